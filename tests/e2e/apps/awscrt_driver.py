# SPDX-License-Identifier: Apache-2.0
"""awscrt_driver.py PORT FOLDER VERSION CONNECTIONS WAY: as https_driver.py, by the AWS common runtime, whose TLS is s2n: a thread for each connection. VERSION is the least that it takes."""
import io
import json
import sys
import threading
import time

from awscrt.http import HttpClientConnection, HttpHeaders, HttpRequest
from awscrt.io import ClientBootstrap, ClientTlsContext, DefaultHostResolver, EventLoopGroup, TlsContextOptions, TlsVersion

PORT, FOLDER, VERSION, CONNECTIONS = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])

options = TlsContextOptions()
options.min_tls_ver = {"1.2": TlsVersion.TLSv1_2, "1.3": TlsVersion.TLSv1_3}[VERSION]
options.override_default_trust_store_from_path(None, FOLDER + "/cert.pem")
group = EventLoopGroup(2)
bootstrap = ClientBootstrap(group, DefaultHostResolver(group))
context = ClientTlsContext(options)
plan = []
for line in sys.stdin:
    if line == "go\n":
        break
    plan.append(json.loads(line))
results = []


def ask(mine):
    tls = context.new_connection_options()
    tls.set_server_name("localhost")
    connection = HttpClientConnection.new("localhost", PORT, bootstrap=bootstrap, tls_connection_options=tls).result(30)
    for r in mine:
        begin_ns = time.monotonic_ns()
        body = b"u" * r["body"]
        headers = HttpHeaders([("Host", f"localhost:{PORT}"), ("Content-Length", str(len(body)))])
        stream = connection.request(HttpRequest(r["method"], r["path"], headers, io.BytesIO(body) if body else None), on_body=lambda **_: None)
        stream.activate()
        results.append({"path": r["path"], "status": stream.completion_future.result(30), "ns": time.monotonic_ns() - begin_ns})
    connection.close().result(30)


threads = [threading.Thread(target=ask, args=(plan[i::CONNECTIONS],)) for i in range(CONNECTIONS)]
for t in threads:
    t.start()
for t in threads:
    t.join()
for r in results:
    print(json.dumps(r))
