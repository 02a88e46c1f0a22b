# SPDX-License-Identifier: Apache-2.0
"""Asks over a Unix socket: zmq_unix_driver.py PATH < "go"."""
import sys

import zmq

assert sys.stdin.readline() == "go\n"
s = zmq.Context().socket(zmq.REQ)
s.connect(f"ipc://{sys.argv[1]}")
for i in range(11):
    s.send_multipart([b"secret %d" % i, b"parts"])
    assert s.recv_multipart() == [b"secret %d" % i, b"parts"]
s.close()
