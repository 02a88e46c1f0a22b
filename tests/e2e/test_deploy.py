# SPDX-License-Identifier: Apache-2.0
"""What is in deploy/, as far as it can be checked without Docker, Kubernetes, systemd and Grafana; the capabilities that it grants are tried."""
import configparser
import json
import re
import shutil
import subprocess

import pytest
import yaml

from harness import servers
from harness.backends import Collector, get, promtool
from harness.driver import http_driver, plan_23
from harness.libraries import watched
from harness.plumb import PLUMB
from harness.process import BUILD, REPO, free_port, wait_until
from test_truth_jsse import serve as serve_jvm

DEPLOY = REPO / "deploy"
DOCKERFILE = DEPLOY / "docker/Dockerfile"
# What each capability list must equal: the manifests say what each is for.
UNIT_CAPABILITIES = {"BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_ADMIN", "LEASE", "SETUID", "SETGID", "SETPCAP", "CHOWN", "KILL"}
CONTAINER_CAPABILITIES = UNIT_CAPABILITIES | {"SYS_RESOURCE", "SYS_NICE"}  # a unit has limits that stand for these two
# What neither the unit nor the container's profile may allow.
DANGEROUS = {"ptrace", "process_vm_readv", "process_vm_writev", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
             "setns", "chroot", "io_uring_setup", "userfaultfd", "open_by_handle_at", "keyctl", "add_key", "request_key", "iopl", "ioperm", "swapon", "acct", "mknod", "mknodat",
             "clock_settime", "settimeofday", "execveat", "pidfd_getfd", "setxattr"}


def documented_families():
    families = dict(re.findall(r"^\| `([a-z_]+)` \| (counter|gauge|histogram|info) \|", (REPO / "docs/metrics.md").read_text(), re.M))
    assert len(families) > 50
    return families


def test_dashboard_asks_for_documented_families_only():
    dashboard = json.loads((DEPLOY / "grafana/plumb-overview.json").read_text())
    names = set()
    for family, kind in documented_families().items():
        names |= {f"{family}_bucket", f"{family}_count", f"{family}_sum"} if kind == "histogram" else {family}
    panels = [p for p in dashboard["panels"] if p["type"] != "row"]
    queries = [t["expr"] for p in panels for t in p["targets"]]
    queries += [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    assert panels and all(p["targets"] and p["title"] and p["description"] for p in panels)
    for query in queries:
        asked = set(re.findall(r"\b(?:http|db|dns|plumb|process|target)_[a-z_]+", query)) - {
            "http_request_method", "http_route", "http_response_status_code", "db_system_name", "db_operation_name"}
        assert asked, query
        assert asked <= names, f"{asked - names} in {query}"
    assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])


def test_dashboard_queries_are_promql():
    """A rule file is the one place where promtool parses expressions."""
    dashboard = json.loads((DEPLOY / "grafana/plumb-overview.json").read_text())
    queries = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])]
    rules = [{"record": f"query_{i}", "expr": q.replace("$__rate_interval", "5m").replace("$service", ".*")} for i, q in enumerate(queries)]
    path = BUILD / "dashboard-rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool(), "check", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(queries)} rules found" in done.stdout, done.stdout + done.stderr


def test_prometheus_config_is_valid():
    done = subprocess.run([promtool(), "check", "config", DEPLOY / "prometheus/prometheus.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.live
def test_documented_families_of_the_otlp_sink_are_the_live_ones(start, plumb, folder):
    collector = Collector().here()
    port = free_port()
    server = start(servers.start_python)
    p = plumb(command="run", output=None, pids=[server.pid], args=["--metrics", f"127.0.0.1:{port}", "--spool", folder / "spool", "--otlp", collector.url])
    text, _ = get(f"http://127.0.0.1:{port}/metrics")
    live = set(re.findall(r"^# TYPE (plumb_otlp_[a-z_]+) ", text, re.M))
    # Only there once something went wrong.
    assert {f for f in documented_families() if f.startswith("plumb_otlp_")} == live | {"plumb_otlp_last_error_info"}
    assert p.stop() == 0
    collector.away()


def stages():
    """Instructions of each stage of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text())
    found = []
    for line in text.splitlines():
        if line.startswith("FROM "):
            found.append([])
        if line and not line.startswith("#"):
            found[-1].append(line.split(maxsplit=1))
    return found


def test_dockerfile_copies_what_is_there():
    build, final = stages()
    for instruction, rest in build:
        if instruction == "COPY":
            assert (REPO / rest.split()[0]).exists()
        if instruction == "RUN":
            script = rest.split()[0]
            assert (REPO / script).stat().st_mode & 0o111, f"{script} cannot be run"
    taken = [rest.split()[1] for instruction, rest in final if instruction == "COPY"]
    out = BUILD / "docker-out"
    shutil.rmtree(out, ignore_errors=True)
    # The very command of the build stage.
    install = re.search(r"make SETUP=0 install (\S+) (\S+)", " ".join(rest for _, rest in build)).groups()
    subprocess.run(["make", "SETUP=0", "install", install[0].replace("/out", str(out)), install[1]], cwd=REPO, check=True, capture_output=True)
    for path in taken:
        assert (out / path.removeprefix("/out/")).exists(), f"{path} is not installed"
    entry = json.loads(next(rest for instruction, rest in final if instruction == "ENTRYPOINT"))
    assert entry[0] == next(rest.split()[2] for instruction, rest in final if instruction == "COPY")


def apt_packages():
    runs = [rest for instruction, rest in stages()[1] if instruction == "RUN"]
    return set(re.search(r"apt-get install -y --no-install-recommends ([^&]*)&&", runs[0]).group(1).split())


def is_bookworm():
    try:
        return "VERSION_CODENAME=bookworm" in open("/etc/os-release").read() and shutil.which("apt-cache") is not None
    except OSError:
        return False


@pytest.mark.skipif(not is_bookworm(), reason="the image's packages are those of Debian 12; this is another system")
def test_dockerfile_installs_what_the_program_needs():
    """The packages exist, and each library that plumb links is in one of them."""
    for package in apt_packages():
        assert subprocess.run(["apt-cache", "show", package], capture_output=True).returncode == 0, f"no package {package}"
    needed = re.findall(r"NEEDED +(\S+)", subprocess.run(["objdump", "-p", PLUMB], capture_output=True, text=True, check=True).stdout)
    assert len(needed) > 5
    resolved = dict(re.findall(r"(\S+) => (\S+)", subprocess.run(["ldd", PLUMB], capture_output=True, text=True, check=True).stdout))
    for library in needed:
        if library.startswith(("libc.", "libm.", "libpthread.", "ld-linux")):
            continue  # in the base image
        owners = {owner_of(p) for p in (resolved[library], resolved[library].removeprefix("/usr"), "/usr" + resolved[library])} - {None}
        assert owners & apt_packages(), f"{library} is in {owners}, which the image does not install"


def owner_of(path):
    from os.path import realpath

    for p in (path, realpath(path)):
        done = subprocess.run(["dpkg", "-S", p], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    return None


def daemonset():
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes/daemonset.yaml").read_text()))
    assert [d["kind"] for d in documents] == ["Namespace", "DaemonSet"]
    assert documents[1]["metadata"]["namespace"] == documents[0]["metadata"]["name"]
    return documents[1]["spec"]


def test_daemonset():
    spec = daemonset()
    pod = spec["template"]["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert pod["hostPID"] is True and not pod.get("hostNetwork")
    container, = pod["containers"]
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    security = container["securityContext"]
    assert security["privileged"] is False and security["capabilities"]["drop"] == ["ALL"]
    assert set(security["capabilities"]["add"]) == CONTAINER_CAPABILITIES
    assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
    assert pod["automountServiceAccountToken"] is False
    assert {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")} == {"/var/lib/plumb"}
    annotation, = (k for k in spec["template"]["metadata"]["annotations"] if "apparmor" in k)
    assert annotation.rsplit("/", 1)[1] == container["name"]
    port = container["ports"][0]
    assert container["args"][container["args"].index("--metrics") + 1].endswith(f":{port['containerPort']}")
    assert container["readinessProbe"]["httpGet"]["port"] == port["name"]
    assert spec["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    assert container["args"][container["args"].index("--spool") + 1].startswith(container["volumeMounts"][0]["mountPath"] + "/")


# systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5): what the unit uses of them, with the values that it may have.
FLAG = {"yes", "no"}
UNIT_KEYS = {
    "Unit": {"Description": None, "Documentation": None, "Wants": None, "After": None},
    "Service": {
        "Type": {"simple", "exec", "notify"}, "EnvironmentFile": None, "ExecStart": None, "StateDirectory": None, "Restart": {"no", "on-failure", "always"},
        "RestartSec": None, "KillMode": {"control-group", "mixed", "process"}, "TimeoutStopSec": None, "LimitMEMLOCK": None, "LimitNICE": None, "UMask": None,
        "CapabilityBoundingSet": None, "NoNewPrivileges": FLAG, "ProtectSystem": {"full", "strict"} | FLAG, "ProtectHome": {"read-only", "tmpfs"} | FLAG, "ProtectClock": FLAG,
        "ProtectHostname": FLAG, "ProtectControlGroups": FLAG, "ProtectKernelTunables": FLAG, "ProtectKernelModules": FLAG, "ProtectKernelLogs": FLAG, "PrivateTmp": FLAG,
        "PrivateDevices": FLAG, "PrivateMounts": FLAG, "RestrictAddressFamilies": None, "RestrictNamespaces": None, "RestrictRealtime": FLAG, "RestrictSUIDSGID": FLAG, "RemoveIPC": FLAG,
        "KeyringMode": {"private", "inherit", "shared"}, "LockPersonality": FLAG, "MemoryDenyWriteExecute": FLAG, "SystemCallArchitectures": {"native"}, "SystemCallFilter": None,
        "SystemCallErrorNumber": {"EPERM"},
    },
    "Install": {"WantedBy": None},
}


def unit():
    """Of an option that stands several times, the values in order, one a line."""
    class Values(dict):
        def __setitem__(self, key, value):
            if key in self and isinstance(value, list):
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",), dict_type=Values)
    parser.optionxform = str
    parser.read_string((DEPLOY / "systemd/plumb.service").read_text())
    repeated = re.findall(r"^([A-Za-z]+)=", (DEPLOY / "systemd/plumb.service").read_text(), re.M)
    assert {k for k in repeated if repeated.count(k) > 1} == {"SystemCallFilter"}
    return parser


def calls_of(group):
    """System calls of one of systemd's groups."""
    if not group.startswith("@"):
        return {group}
    done = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", group], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    members = [line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*map(calls_of, members))


def unit_calls():
    """What the unit's lines of SystemCallFilter allow, applied in order (systemd.exec(5))."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (package systemd)")
    allowed = set()
    for line in unit()["Service"]["SystemCallFilter"].splitlines():
        named = set().union(*map(calls_of, line.lstrip("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


def profile_calls():
    profile = json.loads((DEPLOY / "docker/seccomp.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO" and [r["action"] for r in profile["syscalls"]] == ["SCMP_ACT_ALLOW"]
    names = profile["syscalls"][0]["names"]
    assert names == sorted(set(names))
    return set(names)


@pytest.mark.parametrize("calls", [unit_calls, profile_calls])
def test_filters_of_system_calls(calls):
    allowed = calls()
    assert not allowed & DANGEROUS
    # Whatever the engine's own filter allows must be allowed to it.
    engine = set(re.findall(r"SCMP_SYS\((\w+)\)", (REPO / "user/probe/sandbox.c").read_text()))
    assert len(engine) > 90 and engine <= allowed, engine - allowed


def test_exposure_of_the_unit():
    """The figure that docs/privileges.md names, of Debian 12's systemd; other versions weigh otherwise."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (package systemd)")
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True).stdout.split()[1]
    if version != "252":
        pytest.skip(f"the documented figure is that of systemd 252, not of {version}")
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", DEPLOY / "systemd/plumb.service"], capture_output=True, text=True)
    exposure, = re.findall(r"Overall exposure level for plumb.service: ([\d.]+)", done.stdout)
    assert re.search(rf"exposure of {re.escape(exposure)}\b", (REPO / "docs/privileges.md").read_text()), exposure


def test_systemd_unit():
    parsed = unit()
    assert set(parsed.sections()) == set(UNIT_KEYS)
    for section in parsed.sections():
        for key, value in parsed[section].items():
            assert key in UNIT_KEYS[section], f"[{section}] has no {key}"
            assert value and (UNIT_KEYS[section][key] is None or value in UNIT_KEYS[section][key]), f"{key}={value}"
    service = parsed["Service"]
    assert {c.removeprefix("CAP_") for c in service["CapabilityBoundingSet"].split()} == UNIT_CAPABILITIES
    # What the engine's sandbox does must stay allowed.
    assert "mnt" in service["RestrictNamespaces"].split() and {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"} <= set(service["RestrictAddressFamilies"].split())
    program, command, *args = service["ExecStart"].split()
    assert program == "/usr/local/bin/plumb" and command == "run"
    assert args[args.index("--spool") + 1].startswith(f"/var/lib/{service['StateDirectory']}/")


SETPRIV = shutil.which("setpriv")


def spans_spooled(folder):
    return sum(int(f.stem.split("-")[1]) for f in (folder / "spool").rglob("*.batch"))


def works(start, folder, inside, confined):
    """plumb, run by way of `inside`, sees, serves, spools and ends as it should."""
    server, plan, collector, port = start(servers.start_python), plan_23(), Collector(), free_port()
    driver = http_driver(start.folder(), server, 1, plan)
    # By name, so that the engine must be able to read /etc/hosts.
    p = start.process("plumb", [*inside, PLUMB, "run", "--metrics", f"127.0.0.1:{port}", "--spool", folder / "spool", "--otlp", collector.url.replace("127.0.0.1", "localhost"),
                                "-p", server.pid, "-p", driver.pid])
    wait_until(lambda: "attached" in p.err.read_text(), "line 'attached'", alive=p)
    driver.go()
    complaint = wait_until(lambda: re.findall(r'^plumb_otlp_last_error_info\{.*message="(.*)"\} 1$', get(f"http://127.0.0.1:{port}/metrics")[0], re.M), "a try to send", alive=p)
    assert complaint[0].startswith(f"Failed to connect to localhost port {collector.port}"), complaint
    assert get(f"http://127.0.0.1:{port}/healthz")[0] == "ok\n"
    assert p.stop() == 0, p.tail()
    said = p.err.read_text()
    assert re.search(rf"attached; the engine runs as nobody with {confined}", said), said
    assert spans_spooled(folder) == 46, said
    return said


def with_capabilities(capabilities):
    if not SETPRIV:
        pytest.skip("setpriv is not installed (package util-linux)")
    return [SETPRIV, "--bounding-set", "-all," + ",".join(f"+{c.lower()}" for c in sorted(capabilities)), "--inh-caps", "-all", "--no-new-privs"]


def with_calls(folder, calls):
    names = folder / "calls"
    names.write_text("\n".join(sorted(calls)))
    return ["/usr/bin/python3", "-S", REPO / "tests/e2e/harness/seccomp.py", names]


@pytest.mark.live
@pytest.mark.parametrize("without, confined", [((), "a root of its own.*seccomp, no capabilities$"), (("SYS_ADMIN",), "Landlock, seccomp, no capabilities$")])
def test_what_the_manifest_grants_suffices(start, folder, without, confined):
    """Capabilities, system calls and a root that cannot be written, as the DaemonSet has them. Without SYS_ADMIN too, where the kernel has Landlock."""
    (folder / "spool").mkdir()
    read_only = ["unshare", "--mount", "sh", "-c", f'mount --bind {folder} {folder} && mount -o remount,bind,ro / && exec "$@"', "sh"]
    said = works(start, folder, [*read_only, *with_capabilities(CONTAINER_CAPABILITIES - set(without)), *with_calls(folder, profile_calls())], f"(?m:{confined})")
    missing = set(re.findall(r"^plumb: warning: CAP_(\w+) is missing", said, re.M))
    assert missing == {"NET_ADMIN", *without}


@pytest.mark.live
def test_what_the_unit_grants_suffices(start, folder):
    """The unit's capabilities, limits, mask, system calls and views of the file system, made without systemd."""
    (folder / "spool").mkdir()
    service = unit()["Service"]
    assert (service["ProtectSystem"], service["ProtectHome"], service["UMask"], service["LimitNICE"]) == ("strict", "yes", "0077", "-5")
    view = (f"mount --bind {folder} {folder} && mount -o remount,bind,ro / && mount -t tmpfs -o ro,mode=0 none /home && "
            "mount -o remount,bind,ro /sys && mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && "
            'for f in /proc/kallsyms /proc/kcore; do test ! -e $f || mount --bind /dev/null $f || exit; done && umask 0077 && exec "$@"')
    # LimitNICE=-5; who may not raise limits (no CAP_SYS_RESOURCE) cannot do what systemd does.
    nice = ["prlimit", "--nice=25:25"]
    limited = subprocess.run([*nice, "true"], capture_output=True).returncode == 0
    inside = ["unshare", "--mount", "sh", "-c", view, "sh", *(nice if limited else []), *with_capabilities(UNIT_CAPABILITIES), *with_calls(folder, unit_calls())]
    said = works(start, folder, inside, "a root of its own.*(?m:seccomp, no capabilities$)")
    assert set(re.findall(r"^plumb: warning: CAP_(\w+) is missing", said, re.M)) == {"NET_ADMIN"} | (set() if limited else {"SYS_NICE"})


@pytest.mark.live
@pytest.mark.parametrize("calls, capabilities", [(unit_calls, UNIT_CAPABILITIES), (profile_calls, CONTAINER_CAPABILITIES)], ids=["unit", "container"])
@pytest.mark.parametrize("way", ["uprobe_multi", "uprobe_perf"])
def test_the_filters_suffice_for_libraries(start, plumb, folder, localhost_certificate, calls, capabilities, way):
    """What watches calls of libraries, either way, and what has JVMs load the agent."""
    allowed = calls()
    jvm = start(serve_jvm, "17", localhost_certificate, "engine")
    server = start(servers.start_nginx, tls=localhost_certificate)
    p = plumb(pids=[server.pid, jvm.pid], args=[*watched(way), "--set", "capture.java=attach"], prefix=[*with_capabilities(capabilities), *with_calls(folder, allowed)])
    p.wait_watching("openssl")
    wait_until(lambda: f"the JVM of process {jvm.pid} has loaded the agent" in p.err.read_text(), "the agent", alive=p)
    p.wait_watching("jsse")
    for port in (server.port, jvm.port):
        done = subprocess.run([servers.need("curl", "curl"), "-sSk", "-o", "/dev/null", f"https://127.0.0.1:{port}/items/{port}"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    p.wait_spans(2, match=lambda s: s.name != "TLS handshake")
    assert sorted(s.path for s in p.finish() if s.name != "TLS handshake") == sorted(f"/items/{port}" for port in (server.port, jvm.port))
    assert not re.findall("not permitted|EPERM", p.err.read_text()), p.err.read_text()
