# SPDX-License-Identifier: Apache-2.0
"""grpcd.py PORT FOLDER: serves plumb.test.Shop over TLS, with the certificate of FOLDER. Methods are those of apps/go/grpcd, but for what waits."""
import sys
from concurrent import futures

import grpc

from grpc_driver import encode


def decode(message):
    number = shift = 0
    for byte in message[1:]:
        number |= (byte & 0x7F) << shift
        shift += 7
    return number


def price(request, context):
    if 1000 < request <= 1016:
        context.abort(next(code for code in grpc.StatusCode if code.value[0] == request - 1000), f"no price for 'jam' at 50% off: {request}")
    return request


def list_all(request, context):
    yield from range(1, request + 1)


def total(requests, context):
    return sum(requests)


def echo(requests, context):
    yield from requests


BY = {"request_deserializer": decode, "response_serializer": encode}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=7))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("plumb.test.Shop", {
    "Price": grpc.unary_unary_rpc_method_handler(price, **BY), "List": grpc.unary_stream_rpc_method_handler(list_all, **BY),
    "Sum": grpc.stream_unary_rpc_method_handler(total, **BY), "Echo": grpc.stream_stream_rpc_method_handler(echo, **BY)})])
key, certificate = (open(f"{sys.argv[2]}/{name}.pem", "rb").read() for name in ("key", "cert"))
server.add_secure_port(f"127.0.0.1:{sys.argv[1]}", grpc.ssl_server_credentials([(key, certificate)]))
server.start()
server.wait_for_termination()
