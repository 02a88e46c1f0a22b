# SPDX-License-Identifier: Apache-2.0
"""tls_driver.py PORT FOLDER, then its plan and "go" on standard input: each handshake as the plan says, and what became of it, a line each."""
import json
import socket
import ssl
import sys
import time

plan = []
while (line := sys.stdin.readline().strip()) != "go":
    if line:
        plan.append(json.loads(line))
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
sessions = {}
for p in plan:
    context = sessions.get(p["version"], (None, None))[0] if p["resume"] else None
    if not context:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = VERSIONS[p["version"]]
        if p["trust"]:
            context.load_verify_locations(sys.argv[2] + "/cert.pem")
        if p["offers"]:
            context.set_alpn_protocols(p["offers"])
    result = {"version": None, "cipher": None, "chosen": None, "resumed": False, "error": None}
    raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    begin = time.monotonic_ns()
    try:
        s = context.wrap_socket(raw, server_hostname=p["name"], session=sessions[p["version"]][1] if p["resume"] else None)
        result["ns"] = time.monotonic_ns() - begin
        s.sendall(b"hello\n")
        s.recv(100)
        result.update(version=s.version()[4:], cipher=s.cipher()[0], chosen=s.selected_alpn_protocol(), resumed=s.session_reused)
        sessions[p["version"]] = context, s.session
        s.close()
    except ssl.SSLError as e:
        result["ns"] = time.monotonic_ns() - begin
        result["error"] = e.reason
    raw.close()
    print(json.dumps(result), flush=True)
