# SPDX-License-Identifier: Apache-2.0
"""Serves thrift_shop.py with the Thrift library's threaded server: thriftd.py PORT WAY."""
import sys

from thrift.server.TServer import TThreadedServer
from thrift.transport.TSocket import TServerSocket

from thrift_shop import WAYS, Processor

transport, protocol = WAYS[sys.argv[2]]
TThreadedServer(Processor(), TServerSocket("127.0.0.1", int(sys.argv[1])), transport, protocol, daemon=True).serve()
