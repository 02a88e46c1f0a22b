# SPDX-License-Identifier: Apache-2.0
# plumb: `make run` and `make check` do all the set-up a fresh machine needs. `make help` lists the rest.
# Variables: V=1 shows commands, SAN=1 builds with ASan and UBSan into build/asan, SETUP=0 installs nothing. SAN=fuzz is for libFuzzer.
# ARCH=arm64 on another machine builds for arm64 into build/arm64, with what tests/kernels/setup.sh arm64 has fetched.

SAN ?= 0
SETUP ?= 1
HOST := $(patsubst aarch64,arm64,$(shell uname -m))
ARCH := $(HOST)
ifneq ($(ARCH),$(HOST))
B ?= build/$(ARCH)
TRIPLET := $(patsubst arm64,aarch64,$(ARCH))-linux-gnu
SYSROOT := $(shell tests/kernels/sysroot.sh --cached $(ARCH))
CC := $(TRIPLET)-gcc --sysroot=$(SYSROOT)
AR := $(TRIPLET)-ar
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(TRIPLET)/pkgconfig:$(SYSROOT)/usr/share/pkgconfig pkg-config
endif
B ?= $(if $(filter 1,$(SAN)),build/asan,$(if $(filter fuzz,$(SAN)),build/fuzz,build))
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n')

CC ?= cc
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL ?= $(firstword $(shell command -v bpftool) /usr/sbin/bpftool)
PROTOC_C ?= protoc-c
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
VERSION := $(shell cat VERSION)

VMLINUX := vmlinux/$(ARCH)
BPF_ARCH := $(patsubst x86_64,x86,$(ARCH))

comma := ,
LIBS := libbpf libelf zlib libprotobuf-c libcurl libmicrohttpd yaml-0.1 libseccomp libcap-ng libpcap libnghttp2
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla
SANFLAGS := $(if $(filter 1 fuzz,$(SAN)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
ifeq ($(SAN),fuzz)
CC := $(CLANG)
SANFLAGS += -fsanitize=fuzzer-no-link
CFLAGS ?= -O1 -g
endif
CFLAGS ?= -O3 -g
# gcc clears structs of some hundred bytes by `rep stos`, which takes longer to begin than the library's memset to end.
TUNE := $(shell $(CC) -mmemset-strategy=libcall:-1:noalign -E -x c - </dev/null >/dev/null 2>&1 && echo -mmemset-strategy=libcall:-1:noalign)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DPLUMB_VERSION='"$(VERSION)"' $(WARN) $(SANFLAGS) -fstack-protector-strong $(TUNE) $(CFLAGS) \
	-Iuser -I$(B)/gen $(shell $(PKG_CONFIG) --cflags $(LIBS) 2>/dev/null)
ALL_LDLIBS = $(SANFLAGS) $(shell $(PKG_CONFIG) --libs $(LIBS) 2>/dev/null) -lm -lpthread

# The library holds everything but the privileged side, the commands and main; unit tests and fuzzers link it alone.
LIB_SRC := $(filter-out user/probe/% user/cmd/% user/java/%,$(wildcard user/*/*.c)) $(wildcard user/pipeline.c)
BIN_SRC := $(wildcard user/main.c user/probe/*.c user/cmd/*.c)
PROTO_SRC := $(wildcard user/sink/*.proto)
BPF_SRC := $(wildcard bpf/*.bpf.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o) $(PROTO_SRC:user/%.proto=$(B)/obj/gen/%.pb-c.o)
BIN_OBJ := $(BIN_SRC:%.c=$(B)/obj/%.o)
# The agent that tells of Java's TLS (docs/tls.md) is built where a JDK has its headers (JAVA_HOME, or what is installed); plumb works without.
JAVA_INCLUDE := $(patsubst %/jvmti.h,%,$(firstword $(wildcard $(if $(JAVA_HOME),$(JAVA_HOME)/include/jvmti.h) /usr/lib/jvm/default-java/include/jvmti.h /usr/lib/jvm/*/include/jvmti.h)))
AGENT := $(if $(filter 0,$(SAN)),$(if $(JAVA_INCLUDE),$(B)/libplumb-jsse.so))
AGENT_SRC := $(wildcard user/java/*.c)
SKEL := $(BPF_SRC:bpf/%.bpf.c=$(B)/gen/%.skel.h)
PROTO_GEN := $(PROTO_SRC:user/%.proto=$(B)/gen/%.pb-c.h)

UNIT_SRC := $(wildcard tests/unit/test_*.c tests/proto/test_*.c)
UNIT := $(UNIT_SRC:%.c=$(B)/%)

.PHONY: all build run check test unit bench bench-faults soak soak-uprobes churn fuzz lint check-kernels check-arm64 check-layers fmt help install setup setup-check clean new-proto
.DELETE_ON_ERROR:
.SECONDARY:

all: build
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## ?/\1\t/' | expand -t 16

build: setup ## build/plumb
	$(Q)$(MAKE) --no-print-directory $(B)/plumb $(AGENT)

setup: ## installs what is missing (skipped with SETUP=0)
	$(Q)$(if $(filter 1,$(SETUP)),./deploy/setup.sh,true)

setup-check:
	$(Q)$(if $(filter 1,$(SETUP)),./deploy/setup.sh check,true)

run: build ## starts plumb as a node agent with live spans on the terminal
	$(B)/plumb run

check: setup-check ## everything that must pass before a commit lands
	$(Q)./tests/check.sh

test: unit
unit: setup ## unit and parser tests under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory SAN=1 SETUP=0 unit-programs
	$(Q)./tests/run-unit.sh build/asan

.PHONY: unit-programs
unit-programs: $(UNIT)

BENCH := $(patsubst %.c,build/%,$(wildcard tests/bench/*.c))

.PHONY: bench-programs
bench-programs: $(BENCH)

bench: build ## what plumb costs, LOADS=nginx,redis,… for some of it (docs/overhead.md)
	$(Q)$(MAKE) --no-print-directory SETUP=0 bench-programs
	$(Q)./tests/bench/run.sh

bench-faults: build ## what an application notices while plumb breaks (ROUNDS=5 SECONDS=4 RATE=1000)
	$(Q)SETUP=$(SETUP) ./tests/e2e/setup.sh
	$(Q)$(if $(ROUNDS),ROUNDS=$(ROUNDS)) $(if $(SECONDS),SECONDS=$(SECONDS)) $(if $(RATE),RATE=$(RATE)) build/venv/bin/python tests/bench/faults.py

soak: build ## an hour of load: memory is flat, all is counted (SECONDS=3600 RATE=10000)
	$(Q)SETUP=$(SETUP) ./tests/e2e/setup.sh
	$(Q)$(if $(SECONDS),SECONDS=$(SECONDS)) $(if $(RATE),RATE=$(RATE)) build/venv/bin/python tests/bench/soak.py

soak-uprobes: build ## an hour of probes that come and go on programs under load, none of which may notice (SECONDS=3600)
	$(Q)SETUP=$(SETUP) ./tests/e2e/setup.sh
	$(Q)$(if $(SECONDS),SECONDS=$(SECONDS)) build/venv/bin/python tests/bench/soak_uprobes.py

churn: build ## ten thousand processes that load a TLS library and end, of which plumb may keep nothing (PROCESSES=10000 FRESH=40)
	$(Q)SETUP=$(SETUP) ./tests/e2e/setup.sh
	$(Q)$(if $(PROCESSES),PROCESSES=$(PROCESSES)) $(if $(FRESH),FRESH=$(FRESH)) build/venv/bin/python tests/bench/churn.py

FUZZ := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c)) $(B)/tests/fuzz/seeds
.PHONY: fuzz-programs
fuzz: setup-check ## libFuzzer over all that reads foreign bytes; T=60 seconds in all, KEEP=1 keeps what it learns
	$(Q)$(MAKE) --no-print-directory SAN=fuzz SETUP=0 fuzz-programs
	$(Q)./tests/fuzz/run.sh $(T)

fuzz-programs: $(FUZZ)

check-kernels: build ## boots stock kernels under QEMU and tries everything there (docs/kernels.md)
	$(Q)./tests/kernels/run.sh

check-arm64: setup ## the same for arm64, cross-built and emulated; no part of check
	$(Q)./tests/kernels/run.sh arm64

.PHONY: lint-headers
lint-headers: $(SKEL) $(PROTO_GEN)
	@:

lint: setup-check ## static checks of user/: clang's warnings, cppcheck, clang-tidy; FAST=1 leaves out clang's analyzer
	$(Q)$(MAKE) --no-print-directory SETUP=0 lint-headers
	$(Q)FAST=$(FAST) ./tests/lint.sh

check-layers: ## a folder includes only folders above it
	$(Q)./tests/check-layers.sh

new-proto: ## the skeleton of a protocol, NAME=xmpp (docs/adding-a-protocol.md)
	$(Q)./tests/proto/new.sh $(NAME)

fmt: ## clang-format over our sources
	$(Q)git ls-files '*.c' '*.h' | grep -v ^vmlinux/ | xargs clang-format -i

install: build ## into $(PREFIX)
	install -D -m 0755 $(B)/plumb $(DESTDIR)$(PREFIX)/bin/plumb
	$(Q)$(if $(AGENT),install -D -m 0644 $(AGENT) $(DESTDIR)$(PREFIX)/lib/plumb/libplumb-jsse.so)
	$(Q)for f in docs/man/*.[1-9]; do [ -e "$$f" ] || continue; install -D -m 0644 "$$f" "$(DESTDIR)$(PREFIX)/share/man/man$${f##*.}/$$(basename "$$f")"; done

clean: ## removes build/
	rm -rf build

$(BIN_OBJ): | $(SKEL)

$(B)/plumb: $(BIN_OBJ) $(B)/libplumb.a
	$(say) LD $@
	$(Q)$(CC) -o $@ $(BIN_OBJ) $(B)/libplumb.a $(ALL_LDLIBS)

# Other people's programs load it: only what it must tell them is seen of it.
$(B)/libplumb-jsse.so: $(AGENT_SRC:%.c=$(B)/obj/%.o)
	$(say) LD $@
	$(Q)$(CC) -shared -Wl,-z,defs,-z,relro,-z,now -o $@ $^ -lpthread

$(B)/obj/user/java/%.o: user/java/%.c
	$(say) CC $<
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) $(SANFLAGS) -fPIC -fvisibility=hidden -fstack-protector-strong -O2 -g -Iuser \
		$(if $(JAVA_INCLUDE),-isystem $(JAVA_INCLUDE) -isystem $(JAVA_INCLUDE)/linux) -MMD -MP -c -o $@ $<

$(B)/libplumb.a: $(LIB_OBJ)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/obj/%.o: %.c | $(PROTO_GEN)
	$(say) CC $<
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(if $(filter tests/%,$<),-Itests) -MMD -MP -c -o $@ $<

# Generated code is not held to our warnings.
$(B)/obj/gen/%.pb-c.o: $(B)/gen/%.pb-c.h
	$(say) CC $*.pb-c.c
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -O2 -g $(SANFLAGS) -I$(B)/gen -c -o $@ $(B)/gen/$*.pb-c.c

$(B)/gen/%.pb-c.h: user/%.proto
	$(say) PROTOC $<
	$(Q)mkdir -p $(@D) && $(PROTOC_C) --proto_path=user --c_out=$(B)/gen $<

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	$(say) BPF $<
	$(Q)mkdir -p $(@D) && $(CLANG) -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Wno-missing-declarations \
		-Wno-unused-parameter -I$(VMLINUX) -Ibpf -MMD -MP -c -o $@ $<
	$(Q)$(LLVM_STRIP) -g $@

$(B)/gen/%.skel.h: $(B)/bpf/%.bpf.o
	$(say) SKEL $@
	$(Q)mkdir -p $(@D) && echo '/* NOLINTBEGIN */' > $@ && $(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf >> $@ && echo '/* NOLINTEND */' >> $@

# Parsers are linked as objects: the harness knows them weakly, and a weak name pulls nothing out of an archive.
PARSERS := $(shell awk -F, '/^PROTOCOL/ { print $$2 }' bpf/abi/protocols.def)
PARSER_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(PARSERS:%=user/proto/%.c)))
HARNESS := $(filter-out tests/proto/test_%,$(wildcard tests/proto/*.c))

$(B)/tests/proto/%: tests/proto/%.c $(HARNESS) $(wildcard tests/proto/*.h) $(PARSER_OBJ) $(B)/libplumb.a
	$(say) TEST $<
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Itests -o $@ $< $(HARNESS) $(PARSER_OBJ) $(B)/libplumb.a $(ALL_LDLIBS) -lcmocka

$(B)/tests/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(B)/libplumb.a
	$(say) FUZZ $<
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Itests -MMD -MP -o $@ $< $(filter %.o,$^) $(B)/libplumb.a $(ALL_LDLIBS) -fsanitize=fuzzer

$(B)/tests/fuzz/seeds: tests/fuzz/seeds.c tests/proto/fixture.c $(B)/libplumb.a
	$(say) FUZZ $<
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Itests -MMD -MP -o $@ $(filter %.c,$^) $(B)/libplumb.a $(ALL_LDLIBS)

# Tests of what is not in the library name its objects.
$(B)/tests/unit/test_describe: $(B)/obj/user/probe/describe.o
$(B)/tests/unit/test_elf $(B)/tests/unit/test_go: $(B)/obj/user/probe/elf.o $(B)/obj/user/probe/go.o $(B)/obj/user/probe/window.o
BY_CODE := $(patsubst %,$(B)/obj/user/probe/%.o,elf signatures code frames window)
$(B)/tests/unit/test_signatures: $(BY_CODE)
$(B)/tests/fuzz/fuzz_elf: $(BY_CODE) $(B)/obj/user/probe/go.o
$(B)/tests/unit/test_classfile $(B)/tests/fuzz/fuzz_classfile: $(B)/obj/user/java/classfile.o $(B)/obj/user/java/code.o
$(B)/tests/unit/test_filter: $(B)/obj/user/probe/filter.o $(B)/obj/user/probe/describe.o
$(B)/tests/unit/test_governor: $(B)/obj/user/probe/governor.o
$(B)/tests/unit/test_rights: $(B)/obj/user/probe/rights.o $(B)/obj/user/probe/caps.o
$(B)/tests/unit/test_shed: $(B)/obj/user/probe/shed.o
$(B)/tests/unit/test_sandbox: $(B)/obj/user/probe/sandbox.o
$(B)/tests/unit/test_uprobe: $(B)/obj/user/probe/uprobe.o
$(B)/tests/unit/test_wanted: $(patsubst %,$(B)/obj/user/probe/%.o,wanted reading file_index lease mapped known sandbox uprobe go elf signatures code frames window)
$(B)/tests/unit/test_nomem: $(filter-out %/main.o,$(BIN_OBJ)) $(B)/obj/tests/proto/fixture.o

$(B)/tests/bench/forks: ALL_LDLIBS := -static # starts faster
$(B)/tests/bench/empty_uprobes: $(filter-out %/main.o,$(BIN_OBJ))
$(B)/tests/bench/%: tests/bench/%.c $(B)/libplumb.a
	$(say) BENCH $<
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -o $@ $< $(filter %.o,$^) $(B)/libplumb.a $(ALL_LDLIBS)

$(B)/tests/kernels/truth_ssl: ALL_LDLIBS += -lssl -lcrypto
$(B)/tests/%: tests/%.c $(B)/libplumb.a
	$(say) TEST $<
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Itests -MMD -MP -o $@ $< $(filter %.o,$^) $(B)/libplumb.a $(ALL_LDLIBS) -lcmocka

-include $(LIB_OBJ:.o=.d) $(AGENT_SRC:%.c=$(B)/obj/%.d) $(BIN_OBJ:.o=.d) $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.bpf.d) $(UNIT:=.d) $(FUZZ:=.d) $(wildcard $(B)/obj/tests/*/*.d)
