# SPDX-License-Identifier: Apache-2.0
"""etcd_driver.py PORT FOLDER: over TLS with the certificate of FOLDER 101 calls of etcd's own service by gRPC, of which 7 fail, when "go" is read. Prints {"method","code","ns"} of each."""
import json
import sys
import time

import grpc

port, folder = sys.argv[1:3]


def field(number, value):
    """Bytes of a message of protobuf, fewer than 128."""
    return bytes([number << 3 | 2, len(value)]) + value


with open(folder + "/cert.pem", "rb") as pem:
    channel = grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(pem.read()))


def timed(method, request, has=b""):
    begin_ns, code = time.monotonic_ns(), 0
    try:
        answer = channel.unary_unary(f"/etcdserverpb.KV/{method}")(request, timeout=30)
        assert has in answer, answer
    except grpc.RpcError as e:
        code = e.code().value[0]
    print(json.dumps({"method": method, "code": code, "ns": time.monotonic_ns() - begin_ns}))


assert sys.stdin.readline() == "go\n"
for i in range(53):
    timed("Put", field(1, b"parcel/%d" % i) + field(2, b"secret %d" % i))
for i in range(41):
    timed("Range", field(1, b"parcel/%d" % i), b"secret %d" % i)
for i in range(7):
    timed("Put", field(2, b"of no key"))
