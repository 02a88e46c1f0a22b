# SPDX-License-Identifier: Apache-2.0
"""
Loads: an application and what keeps it busy. run() gives what the application's side measured: requests (what is counted, see `unit`),
duration_us, and p50_us and p99_us where there are any.

served() is how many requests the application itself has answered since it started, and counted() what plumb's metrics say of the same: their
differences over a run must agree exactly. A request that served() makes is in neither difference or in both.
"""
import glob
import json
import os
import pwd
import re
import resource
import shutil
import socket
import subprocess
import sys
import time

from measure import free_port, get, total, tree, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build")
CONNECTIONS = int(os.environ.get("CONNECTIONS", "32"))
IDLE_CONNECTIONS = 2000


def program(*names):
    """The first that is there; or ends the benchmark, as run.sh was to install it."""
    for name in names:
        found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        if found:
            return found
    sys.exit(f"bench: {names[0]} is not installed")


def run(*argv, **options):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, **options).stdout


def accepts(port):
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True


class Load:
    unit = "requests"
    server, client = "server", "client"  # how the table calls them
    process = None
    protocol = None  # whose recording the replay benchmark makes of it

    def __init__(self, folder):
        """Starts the servers."""

    def pids(self):
        return tree(self.process.pid) if self.process else []

    def served(self):
        return None

    def counted(self, samples):
        return 0

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)


class Web(Load):
    """wrk against a web server, both on this machine."""

    client = "wrk"
    protocol = "http"
    path = "/"

    def run(self, seconds):
        out = run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", f"{HERE}/report.lua", f"http://127.0.0.1:{self.port}{self.path}")
        result = json.loads(re.search(r"RESULT (.*)", out).group(1))
        if result["errors"]:
            sys.exit(f"bench: {self.name}: wrk met {result['errors']} errors")
        return result


class Nginx(Web):
    name, about = "nginx", "one worker returns 83 bytes, wrk with 32 connections keeps it busy"
    server = "nginx"
    path = "/q/23"
    CONFIG = """
worker_processes 1;
worker_rlimit_nofile 8192;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
	access_log off;
	keepalive_requests 1000000000;
	keepalive_timeout 3600;
	client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
	server {{
		listen 127.0.0.1:{port};
		location = /status {{ stub_status; }}
		location / {{ return 200 "the quick brown fox jumps over the lazy dog, and then does it all again, slowly\\n"; }}
	}}
}}
"""

    def __init__(self, folder):
        self.port = free_port()
        conf = os.path.join(folder, "nginx.conf")
        with open(conf, "w") as f:
            f.write(self.CONFIG.format(dir=folder, port=self.port))
        self.process = subprocess.Popen([program("nginx"), "-c", conf, "-p", folder, "-e", f"{folder}/error.log"])
        wait_for(self.served, "nginx answering")

    def served(self):
        """By stub_status, this request included."""
        return int(get(self.port, "/status").split()[9])

    def counted(self, samples):
        return total(samples, "http_server_request_duration_seconds_count")


class GoHttp(Web):
    name, about = "go", "tests/e2e/apps/go/httpd (net/http), wrk with 32 connections"
    server = "httpd"
    path = "/items/23"

    def __init__(self, folder):
        self.port, self.done = free_port(), 0
        httpd = f"{folder}/httpd"
        run(program("go"), "build", "-o", httpd, "./httpd", cwd=f"{HERE}/../e2e/apps/go")
        self.process = subprocess.Popen([httpd, str(self.port)])
        wait_for(lambda: accepts(self.port), "httpd listening")

    def run(self, seconds):
        result = super().run(seconds)
        self.done += result["requests"]
        return result

    def served(self):
        """It does not count; wrk does. What was on its way when wrk stopped has no answer that anybody read."""
        return self.done

    def counted(self, samples):
        return total(samples, "http_client_request_duration_seconds_count", 'service_name="wrk"', without="error_type")


class Redis(Load):
    name, about = "redis", "redis-benchmark -t get -P 1, 32 connections"
    server, client, unit = "redis-server", "redis-benchmark", "commands"
    protocol = "redis"
    pipeline = 1

    def __init__(self, folder):
        self.port = free_port()
        self.process = subprocess.Popen([program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                                         "--dir", folder, "--daemonize", "no"], stdout=subprocess.DEVNULL)
        wait_for(lambda: accepts(self.port), "redis-server listening")
        self.rate = 20_000 * self.pipeline
        self.rate = self.per_second(self.run(1))
        self.rate = self.per_second(self.run(1))

    @staticmethod
    def per_second(result):
        return result["requests"] * 1e6 / result["duration_us"]

    def run(self, seconds):
        n = max(1000, int(self.rate * seconds))
        out = run("redis-benchmark", "-p", self.port, "-t", "get", "-n", n, "-c", CONNECTIONS, "-P", self.pipeline, "--csv")
        heads, values = ([v.strip('"') for v in line.split(",")] for line in out.strip().splitlines()[-2:])
        row = dict(zip(heads, values))
        return {"requests": n, "duration_us": n / float(row["rps"]) * 1e6, "p50_us": float(row["p50_latency_ms"]) * 1e3,
                "p99_us": float(row["p99_latency_ms"]) * 1e3}

    def served(self):
        """All commands before this one."""
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            s.sendall(b"*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n")
            text = b""
            while b"total_commands_processed:" not in text or not text.endswith(b"\r\n"):
                text += s.recv(65536)
        return int(re.search(rb"total_commands_processed:(\d+)", text).group(1))

    def counted(self, samples):
        return total(samples, "plumb_db_server_operation_duration_seconds_count", 'db_system_name="redis"')


class RedisPipeline(Redis):
    name, about = "redis-pipeline", "redis-benchmark -t get -P 16, 32 connections"
    protocol = None
    pipeline = 16


class Postgres(Load):
    name, about = "pgbench", "pgbench -S, 8 clients"
    server, client, unit = "postgres", "pgbench", "transactions"
    protocol = "postgresql"
    CLIENTS = 8

    def __init__(self, folder):
        bins = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2])) or ["/usr/bin"]
        self.bin, self.folder, self.port, self.done = bins[-1], os.path.join(folder, "pg"), free_port(), 0
        os.mkdir(self.folder)
        user = "postgres" if "postgres" in {p.pw_name for p in pwd.getpwall()} else "nobody"  # it refuses to run as root
        os.chown(self.folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        data = f"{self.folder}/data"
        run(f"{self.bin}/initdb", "-D", data, "-U", "plumb", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C", user=user, extra_groups=[], cwd=self.folder)
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder, "fsync": "off", "autovacuum": "off",
                    "logging_collector": "off"}
        with open(f"{self.folder}/log", "w") as log:
            self.process = subprocess.Popen([f"{self.bin}/postgres", "-D", data] + [x for k, v in settings.items() for x in ("-c", f"{k}={v}")],
                                            stdout=log, stderr=log, user=user, extra_groups=[], cwd=self.folder)
        ready = [f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_for(lambda: subprocess.run(ready).returncode == 0, "PostgreSQL ready")
        self.pgbench("-i", "-s", "4", "-q")

    def pgbench(self, *args):
        return run(f"{self.bin}/pgbench", "-h", "127.0.0.1", "-p", self.port, "-U", "plumb", *args, "postgres", cwd=self.folder)

    def run(self, seconds):
        out = self.pgbench("-S", "-n", "-c", self.CLIENTS, "-T", max(1, round(seconds)), "-l", "--sampling-rate", "0.1", "--log-prefix", "tx")
        logs = glob.glob(f"{self.folder}/tx*")
        # client, transaction, its time in microseconds, …
        took = sorted(float(line.split()[2]) for log in logs for line in open(log))
        for log in logs:
            os.unlink(log)
        n, tps = int(re.search(r"actually processed: (\d+)", out).group(1)), float(re.search(r"tps = ([\d.]+)", out).group(1))
        if re.search(r"failed transactions: [1-9]", out):
            sys.exit(f"bench: pgbench: {out}")
        self.done += n
        return {"requests": n, "duration_us": n / tps * 1e6, "p50_us": took[len(took) // 2], "p99_us": took[len(took) * 99 // 100]}

    def served(self):
        """pgbench's own count; it makes other queries than these only to begin with."""
        return self.done

    def counted(self, samples):
        return total(samples, "plumb_db_server_operation_duration_seconds_count", 'db_collection_name="pgbench_accounts"')

    def stop(self):
        self.process.send_signal(2)  # fast shutdown: does not wait for clients
        self.process.wait(60)


class Dd(Load):
    name, about = "dd", "dd bs=1 from /dev/zero to /dev/null: two system calls a byte, no network"
    client, unit = "dd", "blocks"

    def __init__(self, folder):
        self.rate = 1_000_000
        self.rate = self.rate * 1e6 / self.run(1)["duration_us"]

    def run(self, seconds):
        n = int(self.rate * seconds)
        err = subprocess.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={n}"], check=True, stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "LC_ALL": "C"}).stderr
        return {"requests": n, "duration_us": float(re.search(r"copied, ([\d.e-]+) s", err).group(1)) * 1e6}


class Forks(Load):
    name, about = "forks", "one child after the other, forked and executed (tests/bench/forks.c)"
    client, unit = "forks", "children"

    def __init__(self, folder):
        self.done = 0

    def run(self, seconds):
        result = json.loads(run(f"{BUILD}/tests/bench/forks", seconds))
        self.done += 1 + result["requests"]  # itself
        return result

    def served(self):
        return self.done

    def counted(self, samples):
        return total(samples, "plumb_processes_total", 'event="made"')


class Idle(Load):
    name, about = "idle", f"{IDLE_CONNECTIONS} connections to nginx that nobody uses"
    server, client, unit = "nginx", "nobody", "requests"

    def __init__(self, folder):
        files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(files, 2 * IDLE_CONNECTIONS), most), most))
        self.nginx = Nginx(folder)
        self.process = self.nginx.process
        self.sockets = [self.connect() for _ in range(IDLE_CONNECTIONS)]

    def connect(self):
        """One answered request, so that nginx keeps the connection."""
        s = socket.create_connection(("127.0.0.1", self.nginx.port))
        s.sendall(b"GET /q/23 HTTP/1.1\r\nHost: idle\r\n\r\n")
        s.recv(4096)
        return s

    def run(self, seconds):
        time.sleep(seconds)
        return {"requests": 0, "duration_us": seconds * 1e6}

    def stop(self):
        for s in self.sockets:
            s.close()
        super().stop()


ALL = [Nginx, Redis, RedisPipeline, Postgres, GoHttp, Dd, Forks, Idle]
