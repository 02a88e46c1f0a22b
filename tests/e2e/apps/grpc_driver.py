# SPDX-License-Identifier: Apache-2.0
"""grpc_driver.py PORT: makes the calls of a plan to apps/go/grpcd, one behind the other. Plan and output are those of apps/go/grpcdriver.
DRIVER_TLS=FOLDER: over TLS, with the certificate there."""
import json
import os
import sys

import grpc


def encode(number):
    """google.protobuf.Int64Value: field 1, a varint."""
    out = bytearray([0x08]) if number else bytearray()
    while number:
        out.append(number & 0x7F | (0x80 if number > 0x7F else 0))
        number >>= 7
    return bytes(out)


def call(channel, q):
    path = f"/plumb.test.Shop/{q['method']}"
    timeout = q["timeout_ms"] / 1000 or None
    request, requests = encode(q["number"]), iter([encode(q["number"])] * q["count"])
    received = 0
    try:
        if q["method"] == "Sum":
            channel.stream_unary(path)(requests, timeout=timeout)
            received = 1
        elif q["method"] == "List":
            received = sum(1 for _ in channel.unary_stream(path)(request, timeout=timeout))
        elif q["method"] == "Echo":
            received = sum(1 for _ in channel.stream_stream(path)(requests, timeout=timeout))
        else:
            channel.unary_unary(path)(request, timeout=timeout)
            received = 1
        code = 0
    except grpc.RpcError as e:
        code = e.code().value[0]
    return {"method": q["method"], "number": q["number"], "code": code, "received": received}


def channel_to(address):
    if "DRIVER_TLS" not in os.environ:
        return grpc.insecure_channel(address)
    certificate = open(os.environ["DRIVER_TLS"] + "/cert.pem", "rb").read()
    return grpc.secure_channel(address.replace("127.0.0.1", "localhost"), grpc.ssl_channel_credentials(certificate))


def main():
    plan = []
    for line in sys.stdin:
        if not line.strip():
            break
        plan.append(json.loads(line))
    assert sys.stdin.readline() == "go\n"
    with channel_to(f"127.0.0.1:{sys.argv[1]}") as channel:
        results = [call(channel, q) for q in plan]
    for r in results:
        print(json.dumps(r))


if __name__ == "__main__":
    main()
