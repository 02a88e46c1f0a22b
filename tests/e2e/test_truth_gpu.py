# SPDX-License-Identifier: Apache-2.0
"""Calls of GPU drivers, against drivers that keep account themselves: counted to the unit by process, function and result, with their durations, their memory and their kernels; what fails or is slow under its request."""
import http.client
import json
import os
import signal
import subprocess
import urllib.request

import pytest

from harness import servers
from harness.driver import Driver
from harness.gpu import App, Metrics, build
from harness.libraries import watched
from harness.plumb import PLUMB, Plumb, replay
from harness.process import free_port, wait_until
from harness.spans import SERVER, STATUS_ERROR, STATUS_UNSET, describe
from test_restart import children, metric

pytestmark = pytest.mark.live

WAYS = ["uprobe_multi", "uprobe_perf"]
INTERNAL = 1
NAMES = {1: "CUDA_ERROR_INVALID_VALUE", 2: "CUDA_ERROR_OUT_OF_MEMORY", 700: "CUDA_ERROR_ILLEGAL_ADDRESS", 719: "CUDA_ERROR_LAUNCH_FAILED"}
LAUNCHES = ("cuLaunchKernel", "cuLaunchKernelEx", "cuLaunchCooperativeKernel")
KEPT, PEAK = 3 * 1_000_003 + 2_097_152, 11 * 1_000_003 + 5_000_011 + 7 * 1024 + 2003  # apps/gpu/app.c, memory()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("gpu"))


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as r:
        return Metrics(r.read().decode())


def check_calls(m, pid, truth):
    """What was counted of a process is what its driver counted; durations within 5 % where the driver worked."""
    calls = {name: c for name, c in truth["calls"].items() if c["count"]}
    assert m.of("plumb_gpu_call_duration_seconds_count", "gpu_call", process_pid=pid) == {name: c["count"] for name, c in calls.items()}
    codes = {(name, NAMES[int(code)]): n for name, c in calls.items() for code, n in c["codes"].items()}
    assert m.of("plumb_gpu_call_errors_total", ("gpu_call", "error_type"), process_pid=pid) == codes
    copied = {name: c["bytes"] for name, c in calls.items() if c["bytes"]}
    assert {k: v for k, v in m.of("plumb_gpu_call_bytes_total", "gpu_call", process_pid=pid).items() if v} == copied
    took = m.of("plumb_gpu_call_duration_seconds_sum", "gpu_call", process_pid=pid)
    for name, c in calls.items():
        if c["ns"] / c["count"] >= 1e6:
            assert took[name] * 1e9 == pytest.approx(c["ns"], rel=0.05), name
        assert took[name] * 1e9 >= c["ns"], name  # the driver measures within the call


def check_kernels(m, pid, truth):
    counts = sorted(((n, name) for name, n in truth["kernels"].items() if n), key=lambda k: (-k[0], k[1]))
    shown = {name: n for n, name in counts[:20]}
    if counts[20:]:
        shown["_OTHER"] = sum(n for n, name in counts[20:])
    assert m.of("plumb_gpu_kernel_launches", "gpu_kernel_name", process_pid=pid) == shown


def check_app(m, pid, truth):
    check_calls(m, pid, truth)
    assert m.of("plumb_gpu_call_duration_seconds_count", "service_name", process_pid=pid).keys() == {"app"}
    waits = m.of("plumb_gpu_call_duration_seconds_bucket", "le", process_pid=pid, gpu_call="cuCtxSynchronize")
    assert (waits["0.01"], waits["+Inf"]) == (1, 20)  # 19 wait for 20 ms
    check_kernels(m, pid, truth)
    assert m.of("plumb_gpu_memory_unfreed_bytes_total", "memory", process_pid=pid) == {"device": KEPT, "host": 0}
    assert m.of("plumb_gpu_memory_unmatched_frees_total", "process_pid", process_pid=pid) == {str(pid): 0}


def ended(m, pid):
    """The last of a process has come: it has no memory any more."""
    return m.of("plumb_gpu_memory_unfreed_bytes_total", "memory", process_pid=pid).get("device") == KEPT


class Web:
    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def get(self, path):
        self.connection.request("GET", path)
        return self.connection.getresponse().read()


def serve(start, built):
    return start(servers.start_python, built / "libcuda.so.1", app="gpu_httpd.py")


@pytest.mark.parametrize("way", WAYS)
def test_three_processes(start, plumb, built, way):
    """10,007 launches and 101 failures: of a program and a server that are older than plumb, and of a program that starts when the probes are there, and ends with its last call."""
    port = free_port()
    old, server = App(start, built, 6007, 41), serve(start, built)
    p = plumb(args=[*watched(way), "--metrics", f"127.0.0.1:{port}", "--comm", "app"], pids=[server.pid])
    p.wait_watching("cuda")
    web = Web(server)
    # Failures are spread over time: so many a second are told of.
    requests = ["fail" if i % 43 == 0 else "run" for i in range(1000 - 24 + 23)] + ["full"] * 4
    fails = requests.count("fail")
    requests += ["run"] * (1000 - sum(r != "full" for r in requests))
    for i, kind in enumerate(requests):
        web.get(f"/{kind}/{i}")
    young = App(start, built, 3000, 101 - 41 - 2 - 2 - fails - 4)
    truths = {old.pid: old.run(), young.pid: young.run(), server.pid: json.loads(web.get("/truth"))}
    launched = {name: sum(t["calls"].get(name, {"count": 0})["count"] for t in truths.values()) for name in LAUNCHES}
    assert sum(launched.values()) == 10_007 and sum(n for t in truths.values() for c in t["calls"].values() for n in c["codes"].values()) == 101
    wait_until(lambda: ended(scrape(port), old.pid) and ended(scrape(port), young.pid), "the last of both programs", alive=p)
    wait_until(lambda: sum(scrape(port).of("plumb_gpu_call_duration_seconds_count", "gpu_call", process_pid=server.pid).values()) == 1004, "the server's calls", alive=p)
    m = scrape(port)
    check_app(m, old.pid, truths[old.pid])
    check_app(m, young.pid, truths[young.pid])
    check_calls(m, server.pid, truths[server.pid])
    check_kernels(m, server.pid, truths[server.pid])
    errors = [s for s in p.finish() if s["error.type"] and s["plumb.gpu.api"] == "cuda" and s.pid in truths]
    suppressed = sum(m.of("plumb_gpu_spans_suppressed_total", "process_pid", process_pid=pid).get(str(pid), 0) for pid in truths)
    assert len(errors) + suppressed == 101, describe(errors)
    assert not any(m.of("plumb_lost_total", "reason")[reason] for reason in ("calls", "gpu_calls", "gpu_allocations", "nested", "ring_full_event", "control"))


def test_spans_of_what_fails_or_is_slow(start, plumb, built):
    """Under the request whose thread made the call; what succeeds at once has none."""
    server = serve(start, built)
    cuda = json.loads(subprocess.run([PLUMB, "doctor", "--output", "json"], capture_output=True).stdout)["gpus"][0]
    assert cuda["api"] == "cuda" and cuda["processes"] >= 1 and cuda["library"].endswith("/libcuda.so.1"), cuda
    p = plumb(args=watched(), pids=[server.pid])
    p.wait_watching("cuda")
    web = Web(server)
    kinds = ["run", "fail", "slow", "run", "full"] * 7
    for i, kind in enumerate(kinds):
        web.get(f"/{kind}/{i}")
    waited_ns = json.loads(web.get("/truth"))["calls"]["cuStreamSynchronize"]["ns"]  # by the driver's own clock: at least what it was told to
    p.wait_spans(len(kinds) + 21 + 1)
    spans = [s for s in p.finish() if s.path != "/truth"]
    requests = {s.span_id: s for s in spans if s.kind == SERVER}
    calls = [s for s in spans if s["plumb.gpu.api"]]
    assert len(requests) == len(kinds) and len(calls) == 21, describe(spans, 60)
    by_kind = {}
    for s in calls:
        r = requests[s.parent_id]
        assert s.kind == INTERNAL and s.trace_id == r.trace_id and s["plumb.join"] == "thread" and r.start_ns <= s.start_ns <= s.end_ns <= r.end_ns, describe([s, r])
        assert s["plumb.gpu.api"] == "cuda" and s["code.function.name"] == s.name
        by_kind.setdefault(r.path.split("/")[1], []).append(s)
    assert {k: len(v) for k, v in by_kind.items()} == {"fail": 7, "slow": 7, "full": 7}
    for s in by_kind["fail"]:
        assert (s.name, s.status, s["error.type"]) == ("cuLaunchKernel", STATUS_ERROR, "CUDA_ERROR_LAUNCH_FAILED")
        assert s["plumb.gpu.kernel.name"] == "_Z6softmaxPKfPfi" and s["plumb.gpu.kernel.shared_memory"] == 8192
        assert (s["plumb.gpu.kernel.grid"], s["plumb.gpu.kernel.block"]) == ("1009,2,3", "128,1,1")
    for s in by_kind["slow"]:
        assert (s.name, s.status, s["error.type"]) == ("cuStreamSynchronize", STATUS_UNSET, None)
        assert s.duration_ns >= 211_000_000
    assert sum(s.duration_ns for s in by_kind["slow"]) == pytest.approx(waited_ns, rel=0.05)
    for s in by_kind["full"]:
        assert (s.name, s["error.type"], s["plumb.gpu.bytes"]) == ("cuMemAlloc", "CUDA_ERROR_OUT_OF_MEMORY", 1 << 40)


def test_a_recording_gives_the_same(start, folder, built):
    """Metrics and spans; shared recordings keep the names of kernels and of calls, which are the program's."""
    app = App(start, built, 2003, 53)
    p = Plumb(folder, ["-o", folder / "gpu.plumb", "--redact", *watched()], pids=[app.pid], command="record", output=None)
    try:
        p.wait_watching("cuda")
        truth = app.run()
    finally:
        assert p.stop() == 0
    again = []
    for i in range(2):
        done = replay(folder / "gpu.plumb", "--metrics-out", folder / f"{i}.prom")
        assert done.returncode == 0, done.stderr
        again.append((done.stdout, (folder / f"{i}.prom").read_text()))
    assert again[0] == again[1]
    m = Metrics(again[0][1])
    check_app(m, app.pid, truth)
    suppressed = m.of("plumb_gpu_spans_suppressed_total", "process_pid")[str(app.pid)]
    assert again[0][0].count(b"CUDA_ERROR_") >= 55 - suppressed and m.of("plumb_spans_total", "none")[None] == 55 - suppressed


WORKS = """
import ctypes, sys, time
cuda = ctypes.CDLL(sys.argv[1])
def take(n):
    a = ctypes.c_ulonglong()
    assert cuda.cuMemAlloc_v2(ctypes.byref(a), ctypes.c_size_t(n)) == 0
    return a
def launch(n):
    for i in range(n):
        cuda.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, None, None, None)
kernel = ctypes.c_void_p()
cuda.cuModuleGetFunction(ctypes.byref(kernel), None, b"vector_add")
kept = [take(1009) for i in range(5)]
print("ready", flush=True)
for line in sys.stdin:
    word, *n = line.split()
    if word == "take":
        kept += [take(1 << 20) for i in range(7)]
    elif word == "give":
        for a in kept[:6]:
            assert cuda.cuMemFree_v2(a) == 0
        kept = kept[6:]
    elif word == "many":
        kept += [take(1009) for i in range(int(n[0]))]
    elif word == "burn":
        end = time.monotonic() + 3
        while time.monotonic() < end:
            launch(100)
    else:
        launch(int(n[0]))
    print("done", line.strip(), flush=True)
"""


class Works(Driver):
    def __init__(self, start, built):
        super().__init__(start.folder(), "works", ["/usr/bin/python3", "-c", WORKS, built / "libcuda.so.1"])
        self.said = 0
        wait_until(lambda: "ready" in self.out.read_text(), "it to be ready", alive=self)

    def does(self, line):
        self.write(f"{line}\n")
        self.said += 1
        wait_until(lambda: self.out.read_text().count("done") == self.said, f"it to {line}", alive=self)

    def ends(self):
        self.popen.stdin.close()
        assert self.wait() == 0, self.tail()

    def has(self, port, memory="allocated_bytes"):
        return scrape(port).of(f"plumb_gpu_memory_{memory}", "memory", process_pid=self.pid)

    def counted(self, port):
        return scrape(port).of("plumb_gpu_call_duration_seconds_count", "gpu_call", process_pid=self.pid).get("cuLaunchKernel", 0)


def test_memory_that_a_process_has(start, plumb, built):
    """While it lives, and beside what it had before plumb came."""
    port, w = free_port(), Works(start, built)
    p = plumb(args=[*watched(), "--metrics", f"127.0.0.1:{port}"], pids=[w.pid])
    p.wait_watching("cuda")

    def after(line, allocated, peak, strange):
        w.does(line)
        wait_until(lambda: (w.has(port), w.has(port, "peak_bytes"), scrape(port).of("plumb_gpu_memory_unmatched_frees_total", "process_pid", process_pid=w.pid))
                   == ({"device": allocated, "host": 0}, {"device": peak, "host": 0}, {str(w.pid): strange}), f"memory after {line}", alive=p)

    after("take", 7 << 20, 7 << 20, 0)
    wait_until(lambda: metric(port, "plumb_library_traps_total") == 2 * 7, "an entry and a return each, of a function with two names", alive=p)
    after("give", 6 << 20, 7 << 20, 5)
    after("give", 0, 7 << 20, 5)
    after("take", 7 << 20, 7 << 20, 5)
    w.ends()
    wait_until(lambda: w.has(port, "unfreed_bytes_total") == {"device": 7 << 20, "host": 0}, "the end", alive=p)
    assert w.has(port) == {}


def test_more_memory_than_is_remembered(start, plumb, built):
    """There is room for 16,384 addresses; what finds none is counted, and no other balance suffers."""
    port, w = free_port(), Works(start, built)
    p = plumb(args=[*watched(), "--metrics", f"127.0.0.1:{port}"], pids=[w.pid])
    p.wait_watching("cuda")
    w.does(f"many {16_384 + 101}")
    lost = 'plumb_lost_total{reason="gpu_allocations"}'
    wait_until(lambda: metric(port, lost) == 101 and w.has(port) == {"device": 16_384 * 1009, "host": 0}, "what was lost", alive=p)
    w.does("give")  # of six, one was known
    wait_until(lambda: w.has(port) == {"device": 16_383 * 1009, "host": 0}, "what it gave back", alive=p)
    w.does("many 2")
    wait_until(lambda: metric(port, lost) == 102 and w.has(port) == {"device": 16_384 * 1009, "host": 0}, "one that found room", alive=p)
    w.ends()


def test_an_engine_that_is_killed(start, plumb, built):
    """The next one is told of all that was counted, by a process that has ended meanwhile, too."""
    port, w, gone = free_port(), Works(start, built), Works(start, built)
    p = plumb(command="run", output=None, args=[*watched(), "--metrics", f"127.0.0.1:{port}", "--spool", "", "--max-overhead", "100%"], pids=[w.pid, gone.pid])
    p.wait_watching("cuda")
    w.does("launch 1009")
    gone.does("take")
    wait_until(lambda: w.counted(port) == 1009 and gone.has(port) == {"device": 7 << 20, "host": 0}, "what was counted", alive=p)
    engine, = children(p.pid)
    os.kill(engine, signal.SIGKILL)  # ours: this test's plumb started it
    w.does("launch 503")
    gone.ends()
    wait_until(lambda: metric(port, "plumb_engine_restarts_total") == 1, "the engine to come back", alive=p)
    wait_until(lambda: w.counted(port) == 1512 and gone.has(port, "unfreed_bytes_total") == {"device": 7 << 20, "host": 0}, "all that was counted", alive=p)
    w.ends()


def test_launches_that_cost_too_much(start, plumb, built):
    """They are not counted while they are let go, which is said; memory is."""
    port, w = free_port(), Works(start, built)
    p = plumb(args=[*watched(), "--max-overhead", "2%", "--set", "capture.library_pause=60s", "--metrics", f"127.0.0.1:{port}"], pids=[w.pid])
    p.wait_watching("cuda")
    w.does("burn")
    wait_until(lambda: metric(port, "plumb_library_shed") == 1 and len(children(p.pid)) == 1, "launches to be let go", alive=p)
    w.does("take")
    wait_until(lambda: w.has(port) == {"device": 7 << 20, "host": 0}, "what it took", alive=p)
    counted = w.counted(port)  # told of with what it took
    w.does("launch 101")
    w.does("give")
    wait_until(lambda: w.has(port) == {"device": 6 << 20, "host": 0}, "what it gave back", alive=p)
    assert w.counted(port) == counted > 0 and metric(port, "plumb_library_shed") == 1
    w.ends()


HIP = """
import ctypes, json, sys
hip = ctypes.CDLL(sys.argv[1])
class Dim3(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint32) for n in "xyz"]
print("ready", flush=True)
assert sys.stdin.readline() == "go\\n"
module, memory = ctypes.c_void_p(), ctypes.c_void_p()
hip.hipModuleLoadData(ctypes.byref(module), None)
for i in range(101):
    hip.hipGetDevice(ctypes.byref(ctypes.c_int()))
    hip.stub_next(98 if i % 29 == 0 else 0, ctypes.c_long(0))
    f = hip.hipLaunchKernel_spt if i % 3 else hip.hipLaunchKernel
    f.argtypes = [ctypes.c_void_p, Dim3, Dim3, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    f(None, Dim3(70000, 3, 5), Dim3(128, 2, 1), None, 4096, None)
for i in range(23):
    hip.stub_next(700 if i == 7 else 0, ctypes.c_long(0))
    hip.hipModuleLaunchKernel(module, 8, 1, 2, 64, 1, 1, 1024, None, None, None)
assert hip.hipMalloc(ctypes.byref(memory), ctypes.c_size_t(1 << 20)) == 0
for i in range(13):
    hip.hipMemcpy(memory, None, ctypes.c_size_t(1009), 1)
hip.hipFree(memory)
assert hip.hipMalloc(ctypes.byref(memory), ctypes.c_size_t(4099)) == 0
assert hip.hipMemCreate(ctypes.byref(memory), ctypes.c_size_t(8209), None, ctypes.c_ulonglong(0)) == 0
hip.hipMemRelease(memory)
for i in range(7):
    hip.stub_next(0, ctypes.c_long(20_000_000))
    hip.hipDeviceSynchronize()
text = ctypes.create_string_buffer(1 << 16)
hip.stub_truth(text, ctypes.c_size_t(len(text)))
print(text.value.decode(), flush=True)
"""


def test_hip(start, plumb, built):
    port = free_port()
    driver = Driver(start.folder(), "hip", ["/usr/bin/python3", "-c", HIP, built / "libamdhip64.so.6"])
    wait_until(lambda: "ready" in driver.out.read_text(), "it to be ready", alive=driver)
    p = plumb(args=[*watched(), "--metrics", f"127.0.0.1:{port}"], pids=[driver.pid])
    p.wait_watching("hip")
    driver.write("go\n")
    assert driver.wait() == 0, driver.tail()
    truth = json.loads(driver.out.read_text().splitlines()[-1])
    left = {"device": 4099, "host": 0}
    wait_until(lambda: scrape(port).of("plumb_gpu_memory_unfreed_bytes_total", "memory", process_pid=driver.pid) == left, "the last of it", alive=p)
    m = scrape(port)
    calls = truth["calls"]
    assert m.of("plumb_gpu_call_duration_seconds_count", "gpu_call", process_pid=driver.pid, gpu_api="hip") == {name: c["count"] for name, c in calls.items()}
    assert m.of("plumb_gpu_call_errors_total", ("gpu_call", "error_type")) == {("hipLaunchKernel", "hipErrorInvalidDeviceFunction"): 4, ("hipModuleLaunchKernel", "hipErrorIllegalAddress"): 1}
    assert m.of("plumb_gpu_call_bytes_total", "gpu_call", process_pid=driver.pid) == {"hipMalloc": (1 << 20) + 4099, "hipMemCreate": 8209, "hipMemcpy": 13 * 1009}
    assert m.of("plumb_gpu_call_duration_seconds_sum", "gpu_call")["hipDeviceSynchronize"] * 1e9 == pytest.approx(calls["hipDeviceSynchronize"]["ns"], rel=0.05)
    p.wait_spans(5)
    spans = sorted((s for s in p.finish() if s["plumb.gpu.api"] == "hip"), key=lambda s: s.start_ns)
    said = [(s.name, s["error.type"], s["plumb.gpu.kernel.grid"], s["plumb.gpu.kernel.block"], s["plumb.gpu.kernel.shared_memory"], s["plumb.gpu.kernel.name"]) for s in spans]
    assert said == ([("hipLaunchKernel", "hipErrorInvalidDeviceFunction", "70000,3,5", "128,2,1", 4096, None)] * 4
                    + [("hipModuleLaunchKernel", "hipErrorIllegalAddress", "8,1,2", "64,1,1", 1024, None)])


MANY = r"""
import ctypes, sys
cuda = ctypes.CDLL(sys.argv[1])
cuda.stub_blind()
class Handle(ctypes.Structure):
    _fields_ = [("module", ctypes.c_void_p), ("name", ctypes.c_void_p)]
def handle(text):
    buffer = ctypes.create_string_buffer(text)
    kept.append(buffer)
    kept.append(Handle(None, ctypes.addressof(buffer)))
    return ctypes.addressof(kept[-1])
def handle_at(address):
    kept.append(Handle(None, address))
    return ctypes.addressof(kept[-1])
def launch(function):
    assert cuda.cuLaunchKernel(ctypes.c_void_p(function), 1, 1, 1, 1, 1, 1, 0, None, None, None) == 0
kept = []
names = [handle(b"kernel_%d" % i) for i in range(613)]
long = [handle(b"_Z" + b"a" * 400 + end) for end in (b"1", b"2")]
strange = [handle(b"not a name"), handle(b""), handle(b"\xff\xfe"), handle_at(8), 16, 0]
print("ready", flush=True)
assert sys.stdin.readline() == "go\n"
for i, function in enumerate(names[:29]):
    for k in range(3 + i):
        launch(function)
for function in long + strange + names[29:]:
    for k in range(2):
        launch(function)
"""


def test_more_kernels_than_are_shown(start, plumb, built):
    """Of 613 the 20 that are launched most, by name, all others together; so are what finds no place in the kernel and what is no name."""
    port = free_port()
    driver = Driver(start.folder(), "many", ["/usr/bin/python3", "-c", MANY, built / "libcuda.so.1"])
    wait_until(lambda: "ready" in driver.out.read_text(), "it to be ready", alive=driver)
    p = plumb(args=[*watched(), "--metrics", f"127.0.0.1:{port}"], pids=[driver.pid])
    p.wait_watching("cuda")
    driver.write("go\n")
    assert driver.wait() == 0, driver.tail()
    launches = sum(range(3, 32)) + 2 * (2 + 6 + 584)
    shown = {f"kernel_{i}": 3 + i for i in range(9, 29)} | {"_UNKNOWN": 12, "_OTHER": launches - sum(range(12, 32)) - 12}
    wait_until(lambda: sum(scrape(port).of("plumb_gpu_kernel_launches", "gpu_kernel_name").values()) == launches, "all launches", alive=p)
    m = scrape(port)
    assert m.of("plumb_gpu_kernel_launches", "gpu_kernel_name", process_pid=driver.pid) == shown
    assert m.of("plumb_gpu_call_duration_seconds_count", "gpu_call") == {"cuLaunchKernel": launches}
    took = m.of("plumb_gpu_kernel_launch_seconds", "process_pid")[str(driver.pid)]
    assert took == pytest.approx(m.of("plumb_gpu_call_duration_seconds_sum", "gpu_call")["cuLaunchKernel"], rel=1e-6)


def test_without_gpus(start, plumb, built):
    """capture.gpu=off: no probe, no table."""
    app = App(start, built, 1009, 7)
    p = plumb(args=[*watched(), "--set", "capture.gpu=off"], pids=[app.pid])
    app.run()
    assert p.finish() == [] and "watching" not in p.err.read_text()
