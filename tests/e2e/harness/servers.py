# SPDX-License-Identifier: Apache-2.0
"""Real servers on free ports of 127.0.0.1 with their data in a temporary folder. Each is ready when start_*() returns, and is a Process with a port."""
import base64
import glob
import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.request

import pytest

from .process import APPS, BUILD, REPO, Process, accepts, descendants, find_program, free_port, wait_until

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
		listen 127.0.0.1:{port} backlog=4096{tls};
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


RABBITMQ_CONFIG = """
heartbeat = 0
# It reads as much at once as the larger of these has room for; of more than 256 KiB the middle is not captured, and where several channels send that is a loss.
tcp_listen_options.recbuf = 65536
tcp_listen_options.sndbuf = 65536
log.console = true
log.console.level = warning
log.file = false
vm_memory_high_watermark.absolute = 512MiB
disk_free_limit.absolute = 1MiB
"""


def need(name, package):
    path = find_program(name)
    if not path:
        pytest.skip(f"{name} is not installed (package {package})")
    return path


def start_nginx(folder, workers=2, tls=None):
    """tls: a folder with a certificate; HTTP/2, too, where a client asks for it."""
    program, port = need("nginx", "nginx-light"), free_port()
    (folder / "big").write_bytes(b"b" * 200_003)
    (folder / "slow").write_bytes(b"s" * 30_011)
    folder.chmod(0o755)
    for name in ("big", "slow"):
        (folder / name).chmod(0o644)
    config = folder / "nginx.conf"
    user = "user nobody nogroup;\n" if os.geteuid() == 0 else ""
    config.write_text(user + NGINX_CONFIG.format(workers=workers, folder=folder, port=port, tls=f" ssl http2;\nssl_certificate {tls}/cert.pem;\nssl_certificate_key {tls}/key.pem;\nssl_protocols TLSv1.2 TLSv1.3" if tls else ""))
    return listening(Process("nginx", [program, "-p", folder, "-c", config], folder), port)


def start_redis(folder, tls=None):
    program, port = need("redis-server", "redis-server"), free_port()
    over = ["--port", 0, "--tls-port", port, "--tls-cert-file", f"{tls}/cert.pem", "--tls-key-file", f"{tls}/key.pem", "--tls-auth-clients", "no"] if tls else ["--port", port]
    argv = [program, *over, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder, "--daemonize", "no"]
    return listening(Process("redis", argv, folder), port)


def start_redis_node(folder):
    """Of a cluster, and in none yet; bus_port is where the others talk to it."""
    program, port, bus_port = need("redis-server", "redis-server"), free_port(), free_port()
    argv = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--cluster-enabled", "yes", "--cluster-port", bus_port, "--cluster-config-file", folder / "nodes.conf"]
    node = listening(Process("redis-node", argv, folder), port)
    node.bus_port = bus_port
    return node


def start_redis_sentinel(folder, master_port):
    """Knows one master, shop."""
    program, port, config = need("redis-server", "redis-server"), free_port(), folder / "sentinel.conf"
    config.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor shop 127.0.0.1 {master_port} 1\n")
    return listening(Process("redis-sentinel", [program, config, "--sentinel"], folder), port)


def start_memcached(folder):
    program, port = need("memcached", "memcached"), free_port()
    return listening(Process("memcached", [program, "-u", "nobody", "-l", "127.0.0.1", "-p", port, "-U", port, "-t", 2, "-m", 64], folder), port)


def start_python(folder, *args, app="httpd.py", env=None):
    port = free_port()
    argv = ["/usr/bin/python3" if app == "httpd.py" else BUILD / "venv/bin/python", APPS / app, port, *args]
    return listening(Process(app.replace(".", "-"), argv, folder, env={**os.environ, **(env or {})}), port)


def start_app(folder):
    return start_python(folder, app="appd.py")


def start_mcp(folder, way):
    return start_python(folder, way, app="mcpd.py")


def start_search(folder):
    return start_python(folder, app="searchd.py")


def start_moto(folder):
    port = free_port()
    argv = [BUILD / "venv/bin/python", "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    return listening(Process("moto", argv, folder, env={**os.environ, "MOTO_PORT": str(port)}), port)


def start_node(folder, *args, app="httpd.js", env=None):
    port = free_port()
    return listening(Process(app.replace(".", "-"), [need("node", "nodejs"), APPS / app, port, *args], folder, env={**os.environ, **(env or {})}), port)


def go_program(name):
    """Our Go programs are built by setup.sh where there is a Go; a program that should be there and is not fails the test."""
    if not shutil.which("go"):
        pytest.skip("go is not installed (package golang)")
    path = BUILD / "e2e" / name
    assert path.exists(), f"{path} was not built: run tests/e2e/setup.sh"
    return path


def old_go_program(version, name):
    """Stripped, of another Go than this machine has."""
    path = BUILD / f"e2e/go-{version}" / name
    if not path.exists():
        pytest.skip(f"no programs of Go {version} (build/e2e/go-{version}.log)")
    return path


def start_go(folder, *args, app="httpd", program=None, env=None):
    port = free_port()
    return listening(Process(f"go-{app}", [program or go_program(app), port, *args], folder, env={**os.environ, **(env or {})}), port)


def listening(process, port):
    process.port = port
    wait_until(lambda: accepts(port), f"listening {process.name}", alive=process)
    return process


def _own_copy(source, to, user):
    """A key that its server alone may read."""
    shutil.copy(source, to)
    to.chmod(0o600)
    if user:
        uid = pwd.getpwnam(user)
        os.chown(to, uid.pw_uid, uid.pw_gid)


class Postgres(Process):
    """PostgreSQL refuses to run as root: it runs as the package's user, or as nobody."""

    def __init__(self, folder, tls=None):
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
        if tls:
            for name in ("cert.pem", "key.pem"):
                _own_copy(tls / name, folder / name, user)
            options |= {"ssl": "on", "ssl_cert_file": folder / "cert.pem", "ssl_key_file": folder / "key.pem"}
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

    def __init__(self, folder, tls=None):
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
        if tls:
            argv += [f"--ssl-cert={tls}/cert.pem", f"--ssl-key={tls}/key.pem"]
        super().__init__("mariadb", argv, folder, user=user, cwd=folder)
        wait_until(self._ready, "MariaDB that takes connections", alive=self)

    def _ready(self):
        """The greeting is packet 0 and says protocol 10."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                return s.recv(5)[3:] == b"\0\x0a"
        except OSError:
            return False


CASSANDRA_CONFIG = """
cluster_name: plumb
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
data_file_directories: [{folder}/data]
commitlog_directory: {folder}/commitlog
saved_caches_directory: {folder}/saved_caches
hints_directory: {folder}/hints
cdc_raw_directory: {folder}/cdc
commitlog_sync: periodic
commitlog_sync_period: 10000ms
endpoint_snitch: SimpleSnitch
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: {storage_port}
native_transport_port: {port}
start_native_transport: true
auto_bootstrap: false
authenticator: PasswordAuthenticator
authorizer: AllowAllAuthorizer
auth_cache_warming_enabled: false
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "127.0.0.1:{storage_port}"}}]
"""
CASSANDRA_LOG = """<configuration><appender name="out" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%d %level %logger - %msg%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="out"/></root></configuration>
"""
# What Cassandra's own jvm11-server.options and jvm17-server.options open.
CASSANDRA_OPENS = ["java.base/java.io", "java.base/java.lang", "java.base/java.lang.module", "java.base/java.lang.ref", "java.base/java.lang.reflect", "java.base/java.math",
                   "java.base/java.net", "java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic",
                   "java.base/jdk.internal.loader", "java.base/jdk.internal.math", "java.base/jdk.internal.misc", "java.base/jdk.internal.module", "java.base/jdk.internal.ref",
                   "java.base/jdk.internal.reflect", "java.base/jdk.internal.util", "java.base/jdk.internal.util.jar", "java.base/sun.nio.ch", "java.base/sun.nio.fs",
                   "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.management/com.sun.jmx.mbeanserver", "java.management/sun.management", "java.rmi/sun.rmi.registry",
                   "java.rmi/sun.rmi.server", "java.rmi/sun.rmi.transport", "java.rmi/sun.rmi.transport.tcp", "java.logging/java.util.logging",
                   "jdk.management/com.sun.management.internal"]


class Cassandra(Process):
    """One node with a heap of 384 MB; ready in half a minute. User cassandra with password cassandra."""

    def __init__(self, folder):
        java, jars = next(iter(glob.glob("/usr/lib/jvm/*-17-*/bin/java")), None), BUILD / "e2e/cassandra"
        if not java:
            pytest.skip("Cassandra 4.1 runs on Java 17, which is not installed (package openjdk-17-jre-headless)")
        agent = next(iter(jars.glob("jamm-*.jar")), None)
        if not agent:
            pytest.skip(f"{jars} has no Cassandra: tests/e2e/setup.sh gets it with mvn (package maven)")
        self.port = free_port()
        (folder / "cassandra.yaml").write_text(CASSANDRA_CONFIG.format(folder=folder, port=self.port, storage_port=free_port()))
        (folder / "logback.xml").write_text(CASSANDRA_LOG)
        options = {"config": f"file://{folder}/cassandra.yaml", "storagedir": folder, "skip_wait_for_gossip_to_settle": 0, "ring_delay_ms": 0, "load_ring_state": "false",
                   "superuser_setup_delay_ms": 0}
        argv = ([java, f"-javaagent:{agent}", "-Xms256m", "-Xmx384m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem",
                 f"-Djava.io.tmpdir={folder}", f"-Dlogback.configurationFile={folder}/logback.xml", "-Dcassandra-foreground=yes"]
                + [x for m in CASSANDRA_OPENS for x in ("--add-opens", f"{m}=ALL-UNNAMED", "--add-exports", f"{m}=ALL-UNNAMED")]
                + [f"-Dcassandra.{k}={v}" for k, v in options.items()] + ["-cp", f"{jars}/*", "org.apache.cassandra.service.CassandraDaemon"])
        super().__init__("cassandra", argv, folder, cwd=folder)
        wait_until(self._ready, "Cassandra that takes logins", timeout_s=240, alive=self)

    def _ready(self):
        """Start-up and a login of version 4: AUTH_SUCCESS comes once the default user was made."""
        options = b"\0\1\0\x0bCQL_VERSION\0\x053.0.0"
        token = b"\0cassandra\0cassandra"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
                s.sendall(b"\4\0\0\0\1" + len(options).to_bytes(4, "big") + options)
                if s.recv(4096)[4:5] != b"\3":
                    return False
                s.sendall(b"\4\0\0\0\x0f" + (len(token) + 4).to_bytes(4, "big") + len(token).to_bytes(4, "big") + token)
                return s.recv(4096)[4:5] == b"\x10"
        except OSError:
            return False

    def stop(self, how=signal.SIGKILL, timeout_s=15):  # its data go with the folder
        return super().stop(how, timeout_s)


class Rabbitmq(Process):
    """
    RabbitMQ with an epmd of its own, both on 127.0.0.1 only. Runs as the package's user, or as nobody. User guest, password guest. pids: its processes. Speaks AMQP 0-9-1 and
    1.0; stomp: this instead.
    """

    def __init__(self, folder, stomp=False):
        program, epmd = find_program("rabbitmq-server", "/usr/lib/rabbitmq/bin"), find_program("epmd")
        own = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the one in PATH changes to another user and back
        program = own if os.path.exists(own) else program
        if not program or not epmd:
            pytest.skip("rabbitmq-server is not installed (package rabbitmq-server)")
        user = None
        if os.geteuid() == 0:
            names = {p.pw_name for p in pwd.getpwall()}
            user = "rabbitmq" if "rabbitmq" in names else "nobody"
            _let_enter(folder)
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        names_port, self.port = free_port(), free_port()
        self.epmd = Process("epmd", [epmd, "-address", "127.0.0.1", "-port", names_port], folder, user=user)
        wait_until(lambda: accepts(names_port), "listening epmd", alive=self.epmd)
        config, plugins = folder / "rabbitmq.conf", folder / "plugins"
        listens = f"listeners.tcp = none\nstomp.listeners.tcp.1 = 127.0.0.1:{self.port}\n" if stomp else f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
        config.write_text(listens + RABBITMQ_CONFIG)
        plugins.write_text("[rabbitmq_stomp].\n" if stomp else "[rabbitmq_amqp1_0].\n")
        self.hello = (b"STOMP\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0", b"CON") if stomp else (b"AMQP\0\0\x09\x01", b"\1\0\0")
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "ERL_EPMD_PORT": str(names_port), "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_NODENAME": "plumb@localhost",
               "RABBITMQ_CONFIG_FILE": str(config), "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins), "RABBITMQ_MNESIA_BASE": str(folder), "RABBITMQ_LOG_BASE": str(folder), "RABBITMQ_LOGS": "-",
               "RABBITMQ_DIST_PORT": str(free_port()), "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_PID_FILE": str(folder / "pid"),
               "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"}
        super().__init__("rabbitmq", [program], folder, user=user, cwd=folder, env=env)
        try:
            wait_until(self._ready, "RabbitMQ that takes connections", timeout_s=90, alive=self)
        except BaseException:
            self.stop()
            raise
        self.pids = descendants(self.pid)

    def _ready(self):
        """Who speaks its protocol is answered: in AMQP with a method frame on channel 0, in STOMP with CONNECTED."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                s.sendall(self.hello[0])
                return s.recv(3) == self.hello[1]
        except OSError:
            return False

    def stop(self, how=signal.SIGTERM, timeout_s=30):
        try:
            return super().stop(how, timeout_s)
        finally:
            self.epmd.stop()


KAFKA_CONFIG = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners}CONTROLLER://127.0.0.1:{controller}
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
KAFKA_TLS = """
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL
ssl.keystore.type=PEM
ssl.keystore.location={folder}/keystore.pem
"""


class Kafka(Process):
    """A broker that is its own controller. What it needs is fetched by setup.sh. Takes some seconds to start. tls: a folder with its certificate; its port is one for TLS then."""

    def __init__(self, folder, tls=None):
        java, jars = need("java", "default-jre-headless"), BUILD / "e2e/kafka"
        if not (jars / ".pom").exists():
            pytest.skip("Kafka was not fetched: run tests/e2e/setup.sh")
        self.port = free_port()
        self.tls = tls
        config = folder / "server.properties"
        listeners = f"SSL://127.0.0.1:{self.port},PLAINTEXT://127.0.0.1:{free_port()}," if tls else f"PLAINTEXT://127.0.0.1:{self.port},"
        config.write_text(KAFKA_CONFIG.format(folder=folder, listeners=listeners, controller=free_port()) + (KAFKA_TLS.format(folder=folder) if tls else ""))
        if tls:
            (folder / "keystore.pem").write_text((tls / "key.pem").read_text() + (tls / "cert.pem").read_text())
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
                if self.tls:
                    s = ssl.create_default_context(cafile=self.tls / "cert.pem").wrap_socket(s, server_hostname="localhost")
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


CANNOT = 77  # backends/*.sh: this machine cannot build it


def start_ferretdb(folder):
    """MongoDB's protocol on SQLite. setup.sh builds it; else the first call does, which takes minutes."""
    done = subprocess.run([REPO / "tests/e2e/backends/ferretdb.sh"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1800)
    if done.returncode == CANNOT:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, f"FerretDB does not build:\n{done.stderr[-3000:]}"
    port, data = free_port(), folder / "data"
    data.mkdir()
    argv = [done.stdout.strip(), "--handler=sqlite", f"--sqlite-url=file:{data}/", f"--listen-addr=127.0.0.1:{port}", "--debug-addr=-", "--telemetry=disable",
            f"--state-dir={folder}", "--log-level=warn"]
    return listening(Process("ferretdb", argv, folder), port)
NATS_CONFIG = """
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{folder}/store", max_memory_store: 67108864, max_file_store: 268435456 }}
authorization {{ users: [
	{{ user: plumb, password: sesame, permissions: {{ publish: {{ deny: ["forbidden.>"] }}, subscribe: {{ deny: ["forbidden.>"] }} }} }}
] }}
"""


def start_nats(folder):
    """User plumb with password sesame, who may do nothing on forbidden.>; with JetStream."""
    program, port = need("nats-server", "nats-server"), free_port()
    config = folder / "nats.conf"
    config.write_text(NATS_CONFIG.format(port=port, folder=folder))
    return listening(Process("nats", [program, "-c", config], folder), port)


MOSQUITTO_CONFIG = """
listener {port} 127.0.0.1
allow_anonymous false
per_listener_settings false
plugin {plugin}
plugin_opt_config_file {folder}/security.json
persistence false
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
log_dest stderr
"""


def _mosquitto_security():
    """User plumb with password sesame, who may do nothing on forbidden/#."""
    salt = b"0123456789ab"
    hashed = hashlib.pbkdf2_hmac("sha512", b"sesame", salt, 101)
    deny = [{"acltype": kind, "topic": "forbidden/#", "priority": 1, "allow": False} for kind in ("publishClientSend", "subscribePattern")]
    return json.dumps({
        "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True, "subscribe": True, "unsubscribe": True},
        "clients": [{"username": "plumb", "password": base64.b64encode(hashed).decode(), "salt": base64.b64encode(salt).decode(), "iterations": 101,
                     "roles": [{"rolename": "guest"}]}],
        "roles": [{"rolename": "guest", "acls": deny}], "groups": []})


def start_mosquitto(folder):
    program, port = need("mosquitto", "mosquitto"), free_port()
    plugins = glob.glob("/usr/lib/*/mosquitto_dynamic_security.so")
    if not plugins:
        pytest.skip("mosquitto_dynamic_security.so is not installed (package mosquitto)")
    config = folder / "mosquitto.conf"
    config.write_text(("user root\n" if os.geteuid() == 0 else "") + MOSQUITTO_CONFIG.format(port=port, folder=folder, plugin=plugins[0]))
    (folder / "security.json").write_text(_mosquitto_security())
    return listening(Process("mosquitto", [program, "-c", config], folder), port)


def start_dnsmasq(folder):
    """Over datagrams and streams: shop.test has an address of each kind and a text, many.test 101 addresses, nothing else in .test is there; it may not answer for others."""
    program, port = need("dnsmasq", "dnsmasq-base"), free_port()
    records = [f"--host-record=many.test,192.0.2.{i}" for i in range(1, 102)]
    return listening(Process("dnsmasq", [program, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--user=", "--log-facility=-", "--no-resolv", "--no-hosts", "--port", port,
                                         "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/", "--host-record=shop.test,192.0.2.7,2001:db8::7",
                                         "--txt-record=shop.test,open", *records], folder), port)


ZOOKEEPER_CONFIG = """
dataDir={folder}/data
clientPort={port}
clientPortAddress=127.0.0.1
tickTime=10000
maxClientCnxns=0
admin.enableServer=false
extendedTypesEnabled=true
"""


def start_zookeeper(folder):
    """One server alone; ready in a second or two. What it needs is fetched by setup.sh. Sessions may last minutes, so that clients need not ping."""
    java, jars, port = need("java", "default-jre-headless"), BUILD / "e2e/zookeeper", free_port()
    if not (jars / ".pom").exists():
        pytest.skip("ZooKeeper was not fetched: run tests/e2e/setup.sh")
    config = folder / "zoo.cfg"
    config.write_text(ZOOKEEPER_CONFIG.format(folder=folder, port=port))
    argv = [java, "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dzookeeper.extendedTypesEnabled=true",
            "-cp", f"{jars}/*", "org.apache.zookeeper.server.ZooKeeperServerMain", config]
    process = Process("zookeeper", argv, folder, cwd=folder)
    process.port = port
    wait_until(lambda: _zookeeper_serves(port), "ZooKeeper that serves", alive=process)
    return process


def _zookeeper_serves(port):
    """It listens before it does: then a session is refused, and this answered otherwise."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
            s.sendall(b"srvr")
            return s.recv(100).startswith(b"Zookeeper version")
    except OSError:
        return False


SLAPD_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload retcode
{tls}database mdb
suffix "dc=plumb,dc=test"
rootdn "cn=admin,dc=plumb,dc=test"
rootpw sesame
maxsize 16777216
dbnosync
directory {folder}/data
overlay retcode
retcode-parent "ou=codes,dc=plumb,dc=test"
retcode-item "cn=busy" 0x33
retcode-item "cn=slow" 0x00 op=search sleeptime=1
"""


def start_slapd(folder, pair=None):
    """A directory dc=plumb,dc=test with nothing in it. Its administrator is cn=admin, password sesame. What is below ou=codes answers as it is called. pair: certificate and key, for StartTLS."""
    program, port = need("slapd", "slapd"), free_port()
    (folder / "data").mkdir()
    config = folder / "slapd.conf"
    tls = f"TLSCertificateFile {pair[0]}\nTLSCertificateKeyFile {pair[1]}\n" if pair else ""
    config.write_text(SLAPD_CONFIG.format(folder=folder, tls=tls))
    user = []
    if os.geteuid() == 0:
        names = {p.pw_name for p in pwd.getpwall()}
        name = "openldap" if "openldap" in names else "nobody"
        _let_enter(folder)
        for path in (folder, folder / "data", config, *(pair or ())):
            os.chown(path, pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid)
        user = ["-u", name]
    return listening(Process("slapd", [program, "-h", f"ldap://127.0.0.1:{port}/", "-f", config, "-d", "0", *user], folder), port)


POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {programs}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/queue/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example
mydestination =
mynetworks = 127.0.0.0/8
default_transport = discard
local_transport = discard
relay_transport = discard
alias_maps =
alias_database =
biff = no
message_size_limit = 1000000
disable_vrfy_command = yes
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 100
smtpd_hard_error_limit = 200
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ refused.example = 550 5.1.1 no such user }}, {{ later.example = 450 4.2.0 later }} }}, permit_mynetworks, reject
"""
POSTFIX_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
"""


def start_postfix(folder):
    """Takes mail for anybody and throws it away; refuses refused.example for good and later.example for now. Its programs change to users of their own, so it needs root."""
    programs, program = "/usr/lib/postfix/sbin", find_program("postfix")
    if not program or not os.path.exists(f"{programs}/master"):
        pytest.skip("postfix is not installed (package postfix)")
    if os.geteuid() != 0:
        pytest.skip("postfix starts as root only")
    _let_enter(folder)
    config, port = folder / "etc", free_port()
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    (config / "main.cf").write_text(POSTFIX_MAIN.format(folder=folder, programs=programs))
    (config / "master.cf").write_text(POSTFIX_MASTER.format(port=port))
    subprocess.run([program, "-c", config, "check"], check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return listening(Process("postfix", [f"{programs}/master", "-c", config, "-d"], folder), port)


VSFTPD_CONFIG = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
local_enable=NO
anonymous_enable=YES
anon_root={folder}/root
anon_umask=022
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
no_anon_password=NO
secure_chroot_dir={folder}/empty
nopriv_user=nobody
ftp_username=ftp
seccomp_sandbox=NO
pasv_enable=YES
pasv_addr_resolve=NO
{more}
"""


def start_vsftpd(folder, certificate=None, key=None):
    """Takes anybody as anonymous, who may write in /in. Its processes change to users of their own, so it needs root."""
    program, port = need("vsftpd", "vsftpd"), free_port()
    if os.geteuid() != 0:
        pytest.skip("vsftpd starts as root only")
    _let_enter(folder)
    for name in ("root", "root/in", "empty"):
        (folder / name).mkdir()
        (folder / name).chmod(0o755)
    os.chown(folder / "root/in", pwd.getpwnam("ftp").pw_uid, -1)
    more = f"ssl_enable=YES\nallow_anon_ssl=YES\nrsa_cert_file={certificate}\nrsa_private_key_file={key}\n" if certificate else ""
    config = folder / "vsftpd.conf"
    config.write_text(VSFTPD_CONFIG.format(folder=folder, port=port, more=more))
    return listening(Process("vsftpd", [program, config], folder), port)


CLICKHOUSE_CONFIG = """<yandex>
<logger><level>warning</level><console>1</console></logger>
<tcp_port>{port}</tcp_port><listen_host>127.0.0.1</listen_host>
<path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path><user_files_path>{folder}/files/</user_files_path><format_schema_path>{folder}/formats/</format_schema_path>
<users_config>{folder}/users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
<mark_cache_size>16777216</mark_cache_size><uncompressed_cache_size>0</uncompressed_cache_size><mlock_executable>false</mlock_executable>
</yandex>
"""
CLICKHOUSE_USERS = """<yandex>
<profiles><default><max_threads>2</max_threads><log_queries>0</log_queries></default></profiles>
<users><plumb><password>sesame</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></plumb></users>
<quotas><default></default></quotas>
</yandex>
"""


class Clickhouse(Process):
    """ClickHouse 18.16, as Debian has it. User plumb with password sesame."""

    def __init__(self, folder):
        program = need("clickhouse-server", "clickhouse-server")
        self.port = free_port()
        (folder / "config.xml").write_text(CLICKHOUSE_CONFIG.format(port=self.port, folder=folder))
        (folder / "users.xml").write_text(CLICKHOUSE_USERS)
        super().__init__("clickhouse", [program, f"--config-file={folder}/config.xml"], folder, cwd=folder)
        listening(self, self.port)


def brpc_java(program):
    """How a program of apps/brpc is called."""
    java, jars = need("java", "default-jre-headless"), BUILD / "e2e/brpc"
    if not (jars / "classes" / f"{program}.class").exists():
        pytest.skip("brpc-java was not fetched, or there was no javac: run tests/e2e/setup.sh")
    return [java, "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            "-cp", f"{jars}/classes:{jars}/*", program]


def start_brpc(folder):
    port = free_port()
    return listening(Process("brpc-java", [*brpc_java("Brpcd"), port], folder), port)


def brpc_link():
    """bRPC itself, which is C++, has no package; a library for Python has it in it."""
    library = BUILD / "e2e/brpc-link"
    if not (library / "libspu.so").exists():
        pytest.skip("no bRPC in C++ (the Python package spu 0.9.5, for Python 3.11 on x86-64): run tests/e2e/setup.sh")
    return [BUILD / "venv/bin/python", "-u", APPS / "brpc_link.py", library]


def start_brpc_link(folder, peer_port, *args):
    port = free_port()
    return listening(Process("brpc-link", [*brpc_link(), "serve", port, peer_port, *args], folder), port)


def start_couchbase(folder):
    """One node for tests: backends/couchbase/main.go says what is in it. setup.sh builds it; else the first call does, which takes a minute."""
    done = subprocess.run([REPO / "tests/e2e/backends/couchbase.sh"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1800)
    if done.returncode == CANNOT:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, f"Couchbase's server for tests does not build:\n{done.stderr[-3000:]}"
    file = folder / "port"
    process = Process("couchbase", [done.stdout.strip(), file], folder)
    wait_until(file.exists, "Couchbase's port", alive=process)
    process.port = int(file.read_text())
    return process


JAVA_FAST = ["-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def dubbo_program(name, *args):
    """A program of apps/dubbo. Its classes are built by setup.sh, from jars that it fetches; hessian2 looks into Java's own."""
    java, jars = need("java", "default-jre-headless"), BUILD / "e2e/dubbo"
    if not (jars / "classes/shop/Server.class").exists():
        pytest.skip("Dubbo was not fetched: run tests/e2e/setup.sh")
    opens = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in ("lang", "math", "util")]
    return [java, *JAVA_FAST, *opens, "-cp", f"{jars}/*:{jars}/classes", f"shop.{name}", *args]


def start_dubbo(folder, serialization):
    """The shop of apps/dubbo; ready in a few seconds."""
    port = free_port()
    return listening(Process("dubbo", dubbo_program("Server", port, serialization), folder, cwd=folder), port)


PULSAR_CONFIG = """
clusterName=plumb
brokerServicePort={port}
webServicePort={web}
bindAddress=127.0.0.1
advertisedAddress=127.0.0.1
allowLoopback=true
numIOThreads=2
numHttpServerThreads=4
numOrderedExecutorThreads=1
numExecutorThreadPoolSize=2
numCacheExecutorThreadPoolSize=1
managedLedgerDefaultEnsembleSize=1
managedLedgerDefaultWriteQuorum=1
managedLedgerDefaultAckQuorum=1
managedLedgerNumSchedulerThreads=1
managedLedgerCacheSizeMB=16
bookkeeperNumberOfChannelsPerBookie=1
journalSyncData=false
journalMaxGroupWaitMSec=0
numJournalCallbackThreads=1
ledgerStorageClass=org.apache.bookkeeper.bookie.SortedLedgerStorage
loadBalancerEnabled=false
systemTopicEnabled=false
topicLevelPoliciesEnabled=false
transactionCoordinatorEnabled=false
brokerDeleteInactiveTopicsEnabled=false
authenticationEnabled=true
authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderBasic
basicAuthConf=file://{folder}/users
brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationBasic
brokerClientAuthenticationParameters={{"userId":"plumb","password":"sesame"}}
exposingBrokerEntryMetadataToClientEnabled=true
brokerEntryMetadataInterceptors=org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor
"""


def start_pulsar(folder):
    """A broker and its bookie in one process, user plumb with password sesame. What it needs is fetched by setup.sh. Ready in 10 to 20 s."""
    java, jars, port, web = next(iter(glob.glob("/usr/lib/jvm/*-17-*/bin/java")), None), BUILD / "e2e/pulsar", free_port(), free_port()
    if not java:
        pytest.skip("no Java 17 (package openjdk-17-jre-headless)")
    if not (jars / ".pom").exists():
        pytest.skip("Pulsar was not fetched: run tests/e2e/setup.sh")
    config = folder / "standalone.conf"
    config.write_text(PULSAR_CONFIG.format(folder=folder, port=port, web=web))
    (folder / "users").write_text("plumb:" + subprocess.run(["openssl", "passwd", "-apr1", "sesame"], check=True, capture_output=True, text=True).stdout)
    opens = [f"--add-opens={what}=ALL-UNNAMED" for what in ("java.base/java.nio", "java.base/jdk.internal.misc", "java.base/sun.net", "java.management/sun.management",
                                                            "jdk.management/com.sun.management.internal")]
    argv = [java, "-Xmx384m", "-XX:MaxDirectMemorySize=256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dio.netty.tryReflectionSetAccessible=true", *opens, "-cp", f"{jars}/*",
            "org.apache.pulsar.PulsarStandaloneStarter", "--config", config, "--no-functions-worker", "--no-stream-storage", "--metadata-dir", folder / "meta",
            "--bookkeeper-dir", folder / "bookkeeper", "--bookkeeper-port", str(free_port())]
    process = Process("pulsar", argv, folder, cwd=folder)
    process.port = port
    wait_until(lambda: _pulsar_serves(web), "Pulsar that has its namespaces", 120, alive=process)
    return process


def _pulsar_serves(web):
    """It listens before it has made the namespaces that clients use."""
    request = urllib.request.Request(f"http://127.0.0.1:{web}/admin/v2/namespaces/pulsar", headers={"Authorization": "Basic " + base64.b64encode(b"plumb:sesame").decode()})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return b"pulsar/system" in answer.read()
    except OSError:
        return False


class Tds(Process):
    """A stand-in for SQL Server (apps/tdsd.py). User plumb with password sesame."""

    def __init__(self, folder, packet=4096):
        self.port = free_port()
        super().__init__("tdsd", [BUILD / "venv/bin/python", "-u", APPS / "tdsd.py", self.port, packet], folder)
        listening(self, self.port)


ROCKETMQ_CONFIG = """
brokerClusterName=c
brokerName=b
brokerId=0
brokerIP1=127.0.0.1
bindAddress=127.0.0.1
listenPort={port}
haListenPort={ha}
namesrvAddr=127.0.0.1:{namesrv}
storePathRootDir={folder}/store
storePathCommitLog={folder}/store/commitlog
mappedFileSizeCommitLog=4194304
mappedFileSizeConsumeQueue=60000
maxMessageSize=65536
timerWheelEnable=false
transactionTimeOut=1000
transactionCheckInterval=1000
"""


class Rocketmq(Process):
    """A broker, and its name server beside it. What they need is fetched by setup.sh. Takes some ten seconds to start."""

    TOPICS = ("orders", "later", "trades", "parcels", "old", "masked")

    def __init__(self, folder):
        java, jars = need("java", "default-jre-headless"), BUILD / "e2e/rocketmq"
        if not (jars / ".pom").exists():
            pytest.skip("RocketMQ was not fetched: run tests/e2e/setup.sh")
        self.port, namesrv = free_port(), free_port()
        (folder / "store/config").mkdir(parents=True)
        topics = {t: {"topicName": t, "readQueueNums": 4, "writeQueueNums": 4, "perm": 6, "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0, "order": False} for t in self.TOPICS}
        (folder / "store/config/topics.json").write_text(json.dumps({"topicConfigTable": topics}))
        (folder / "broker.conf").write_text(ROCKETMQ_CONFIG.format(folder=folder, port=self.port, ha=free_port(), namesrv=namesrv))
        (folder / "namesrv.conf").write_text(f"listenPort={namesrv}\nbindAddress=127.0.0.1\n")
        jvm = [java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={folder}", f"-Drocketmq.home.dir={folder}", "-cp", f"{jars}/*"]
        self.namesrv = listening(Process("namesrv", [*jvm, "org.apache.rocketmq.namesrv.NamesrvStartup", "-c", folder / "namesrv.conf"], folder, cwd=folder), namesrv)
        try:
            super().__init__("rocketmq", [*jvm, "org.apache.rocketmq.broker.BrokerStartup", "-c", folder / "broker.conf"], folder, cwd=folder)
            wait_until(self._ready, "RocketMQ that takes messages", 60, alive=self)
        except BaseException:
            self.namesrv.stop()
            raise

    def _ready(self):
        """Asks the name server who has the topic."""
        ask = b'{"code":105,"extFields":{"topic":"orders"},"flag":0,"language":"OTHER","opaque":1,"version":401}'
        try:
            with socket.create_connection(("127.0.0.1", self.namesrv.port), timeout=2) as s:
                s.sendall((len(ask) + 4).to_bytes(4, "big") + len(ask).to_bytes(4, "big") + ask)
                return accepts(self.port) and b'"code":0' in s.recv(4096)
        except OSError:
            return False

    def stop(self, how=signal.SIGTERM, timeout_s=15):
        try:
            return super().stop(how, timeout_s)
        finally:
            self.namesrv.stop()
