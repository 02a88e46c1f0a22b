# SPDX-License-Identifier: Apache-2.0
"""Works on the GPU for each request, a thread for each connection: gpu_httpd.py PORT LIBRARY. /run/N launches a kernel, /fail/N has a launch that fails, /slow/N waits, /full/N finds no memory; /truth is what the driver knows."""
import ctypes
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

cuda = ctypes.CDLL(sys.argv[2])
kernels = [ctypes.c_void_p() for _ in range(2)]
for kernel, name in zip(kernels, (b"vector_add", b"_Z6softmaxPKfPfi")):
    cuda.cuModuleGetFunction(ctypes.byref(kernel), None, name)


def launch(kernel):
    return cuda.cuLaunchKernel(kernel, 1009, 2, 3, 128, 1, 1, 8192, None, None, None)


def run():
    return launch(kernels[0])


def fail():
    cuda.stub_next(719, ctypes.c_long(0))
    return launch(kernels[1])


def slow():
    cuda.stub_next(0, ctypes.c_long(211_000_000))
    return cuda.cuStreamSynchronize(None)


def full():
    address = ctypes.c_ulonglong()
    cuda.stub_next(2, ctypes.c_long(0))
    return cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(1 << 40))


class Handler(BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", 1 << 16  # one write an answer

    def do_GET(self):
        kind = self.path.split("/")[1]
        if kind == "truth":
            text = ctypes.create_string_buffer(1 << 16)
            cuda.stub_truth(text, ctypes.c_size_t(len(text)))
            body = text.value
        else:
            body = b"%d" % {"run": run, "fail": fail, "slow": slow, "full": full}[kind]()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
