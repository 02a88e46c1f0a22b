# SPDX-License-Identifier: Apache-2.0
"""Real servers on free ports of 127.0.0.1 with their data in a temporary folder. Each is ready when start_*() returns, and is a Process with a port."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess

import pytest

from .process import APPS, BUILD, Process, accepts, find_program, free_port, wait_until

NGINX_CONFIG = """
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
	access_log off;
	default_type text/plain;
	sendfile on;
	keepalive_requests 1000000;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		listen unix:{folder}/nginx.sock;
		# The same routes as in apps/httpd.py, apps/httpd.js and apps/go/httpd.
		location /items/ {{
			if ($request_method = DELETE) {{ return 204; }}
			return 200 "one item: $uri\\n";
		}}
		location /upload/ {{ return 201 "stored\\n"; }}
		location /fail/ {{ return 500 "no\\n"; }}
		location /missing/ {{ return 404 "none\\n"; }}
		location /busy/ {{ return 503 "later\\n"; }}
		location /chunks/ {{ return 200 "no chunks here\n"; }}
		location /big/ {{ root {folder}; rewrite ^ /big break; }}
		# Up to a second of delay: the rest of the file waits for the next second.
		location /slow/ {{ limit_rate 30000; root {folder}; rewrite ^ /slow break; }}
	}}
}}
"""


def need(name, package):
    path = find_program(name)
    if not path:
        pytest.skip(f"{name} is not installed (package {package})")
    return path


def start_nginx(folder, workers=2):
    program, port = need("nginx", "nginx-light"), free_port()
    (folder / "big").write_bytes(b"b" * 200_003)
    (folder / "slow").write_bytes(b"s" * 30_011)
    folder.chmod(0o755)
    for name in ("big", "slow"):
        (folder / name).chmod(0o644)
    config = folder / "nginx.conf"
    user = "user nobody nogroup;\n" if os.geteuid() == 0 else ""
    config.write_text(user + NGINX_CONFIG.format(workers=workers, folder=folder, port=port))
    return listening(Process("nginx", [program, "-p", folder, "-c", config], folder), port)


def start_redis(folder):
    program, port = need("redis-server", "redis-server"), free_port()
    argv = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder, "--daemonize", "no"]
    return listening(Process("redis", argv, folder), port)


def start_memcached(folder):
    program, port = need("memcached", "memcached"), free_port()
    return listening(Process("memcached", [program, "-u", "nobody", "-l", "127.0.0.1", "-p", port, "-U", port, "-t", 2, "-m", 64], folder), port)


def start_python(folder, *args, app="httpd.py", env=None):
    port = free_port()
    argv = ["/usr/bin/python3" if app == "httpd.py" else BUILD / "venv/bin/python", APPS / app, port, *args]
    return listening(Process(app.replace(".", "-"), argv, folder, env={**os.environ, **(env or {})}), port)


def start_node(folder, *args, app="httpd.js"):
    port = free_port()
    return listening(Process(app.replace(".", "-"), [need("node", "nodejs"), APPS / app, port, *args], folder), port)


def go_program(name):
    """Our Go programs are built by setup.sh where there is a Go; a program that should be there and is not fails the test."""
    if not shutil.which("go"):
        pytest.skip("go is not installed (package golang)")
    path = BUILD / "e2e" / name
    assert path.exists(), f"{path} was not built: run tests/e2e/setup.sh"
    return path


def start_go(folder, *args, app="httpd"):
    port = free_port()
    return listening(Process(f"go-{app}", [go_program(app), port, *args], folder), port)


def listening(process, port):
    process.port = port
    wait_until(lambda: accepts(port), f"listening {process.name}", alive=process)
    return process


class Postgres(Process):
    """PostgreSQL refuses to run as root: it runs as the package's user, or as nobody."""

    def __init__(self, folder):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2])) or ["/usr/bin"]
        need_bin = find_program("initdb", programs[-1])
        if not need_bin:
            pytest.skip("initdb is not installed (package postgresql)")
        user = None
        if os.geteuid() == 0:
            names = {p.pw_name for p in pwd.getpwall()}
            user = "postgres" if "postgres" in names else "nobody"
            _let_enter(folder)
            uid = pwd.getpwnam(user)
            os.chown(folder, uid.pw_uid, uid.pw_gid)
        bin_folder, data = os.path.dirname(need_bin), folder / "data"
        subprocess.run([need_bin, "-D", data, "-U", "plumb", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C"], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL, user=user, extra_groups=[] if user else None)
        self.port = free_port()
        self.socket_folder = folder
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": folder, "fsync": "off", "max_connections": 200,
                   "autovacuum": "off", "jit": "off", "logging_collector": "off"}
        argv = [os.path.join(bin_folder, "postgres"), "-D", data] + [x for k, v in options.items() for x in ("-c", f"{k}={v}")]
        super().__init__("postgres", argv, folder, user=user, cwd=folder)
        wait_until(self._ready, "PostgreSQL that takes connections", alive=self)

    def _ready(self):
        """Speaks the protocol itself, so that the harness needs no client library: 'R' is the answer to a start-up that is not refused."""
        startup = b"\0\3\0\0user\0plumb\0database\0postgres\0\0"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                s.sendall((len(startup) + 4).to_bytes(4, "big") + startup)
                return s.recv(1) == b"R"
        except OSError:
            return False

    def stop(self, how=signal.SIGINT, timeout_s=15):  # SIGINT: fast shutdown, does not wait for clients
        return super().stop(how, timeout_s)


class Mariadb(Process):
    """Runs as the package's user, or as nobody. User plumb with password sesame, database shop."""

    def __init__(self, folder):
        install, program = need("mariadb-install-db", "mariadb-server"), need("mariadbd", "mariadb-server")
        user = None
        if os.geteuid() == 0:
            names = {p.pw_name for p in pwd.getpwall()}
            user = "mysql" if "mysql" in names else "nobody"
            _let_enter(folder)
            uid = pwd.getpwnam(user)
            os.chown(folder, uid.pw_uid, uid.pw_gid)
        data = folder / "data"
        subprocess.run([install, "--no-defaults", f"--datadir={data}", "--skip-test-db", "--auth-root-authentication-method=normal"], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, extra_groups=[] if user else None)
        first = folder / "first.sql"
        first.write_text("CREATE DATABASE IF NOT EXISTS shop;\nCREATE USER IF NOT EXISTS plumb@'127.0.0.1' IDENTIFIED BY 'sesame';\nGRANT ALL ON *.* TO plumb@'127.0.0.1';\n")
        first.chmod(0o644)
        self.port = free_port()
        argv = [program, "--no-defaults", f"--datadir={data}", f"--socket={folder}/mariadb.sock", f"--port={self.port}", "--bind-address=127.0.0.1", f"--init-file={first}",
                "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--local-infile=1"]
        super().__init__("mariadb", argv, folder, user=user, cwd=folder)
        wait_until(self._ready, "MariaDB that takes connections", alive=self)

    def _ready(self):
        """The greeting is packet 0 and says protocol 10."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                return s.recv(5)[3:] == b"\0\x0a"
        except OSError:
            return False


KAFKA_CONFIG = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


class Kafka(Process):
    """A broker that is its own controller. What it needs is fetched by setup.sh. Takes some seconds to start."""

    def __init__(self, folder):
        java, jars = need("java", "default-jre-headless"), BUILD / "kafka"
        if not (jars / ".pom").exists():
            pytest.skip("Kafka was not fetched: run tests/e2e/setup.sh")
        self.port = free_port()
        config = folder / "server.properties"
        config.write_text(KAFKA_CONFIG.format(folder=folder, port=self.port, controller=free_port()))
        jvm = [java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
        subprocess.run([*jvm, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", config], check=True, cwd=folder, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        super().__init__("kafka", [*jvm, "kafka.Kafka", config], folder, cwd=folder)
        wait_until(self._ready, "Kafka that takes connections", 60, alive=self)

    def _ready(self):
        """Asks for the cluster's description: an answer without error, of one broker."""
        ask = b"\0\x3c\0\0\0\0\0\7\0\5ready\0\0\0"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                s.sendall(len(ask).to_bytes(4, "big") + ask)
                return b"127.0.0.1" in s.recv(500)
        except OSError:
            return False


def _let_enter(folder):
    """pytest's temporary folders belong to root alone; another user must get through to this one."""
    for parent in [folder, *folder.parents]:
        if parent == parent.parent or parent.stat().st_mode & 0o001:
            continue
        parent.chmod(parent.stat().st_mode | 0o711)
