# SPDX-License-Identifier: Apache-2.0
"""What both ends of the Thrift tests speak, written by hand:

    exception SoldOut { 1: string why }
    service Shop {
        i32 add(1: i32 a, 2: i32 b), string echo(1: string text), list<string> list(1: i32 n), void ping(), void buy(1: string what) throws (1: SoldOut e), void fail(),
        string slow(1: i32 ms), oneway void note(1: string text)
    }
"""
import time

from thrift.protocol.TBinaryProtocol import TBinaryProtocolFactory
from thrift.protocol.TCompactProtocol import TCompactProtocolFactory
from thrift.protocol.THeaderProtocol import THeaderProtocolFactory
from thrift.Thrift import TApplicationException, TException, TMessageType, TType
from thrift.transport.THeaderTransport import THeaderClientType, THeaderSubprotocolID, THeaderTransformID
from thrift.transport.TTransport import TBufferedTransportFactory, TFramedTransportFactory


class Compressing(THeaderProtocolFactory):
    def getProtocol(self, trans):
        protocol = super().getProtocol(trans)
        protocol.trans.add_transform(THeaderTransformID.ZLIB)
        return protocol


# name: transport, protocol
WAYS = {
    "framed": (TFramedTransportFactory(), TBinaryProtocolFactory()),
    "buffered": (TBufferedTransportFactory(), TBinaryProtocolFactory()),
    "compact": (TFramedTransportFactory(), TCompactProtocolFactory()),
    "buffered-compact": (TBufferedTransportFactory(), TCompactProtocolFactory()),
    "old": (TBufferedTransportFactory(), TBinaryProtocolFactory(strictRead=False, strictWrite=False)),
    "zlib": (TBufferedTransportFactory(), Compressing(allowed_client_types=(THeaderClientType.HEADERS,))),
    "header": (TBufferedTransportFactory(), THeaderProtocolFactory(allowed_client_types=(THeaderClientType.HEADERS,), default_protocol=THeaderSubprotocolID.COMPACT)),
}
INT, TEXT, LIST = TType.I32, TType.STRING, TType.LIST


class SoldOut(Exception):
    pass


def write_value(p, kind, value):
    if kind == INT:
        p.writeI32(value)
    elif kind == TEXT:
        p.writeString(value)
    else:
        p.writeListBegin(TEXT, len(value))
        for v in value:
            p.writeString(v)
        p.writeListEnd()


def read_value(p, kind):
    if kind == INT:
        return p.readI32()
    if kind == TEXT:
        return p.readString()
    if kind == LIST:
        _, n = p.readListBegin()
        values = [p.readString() for _ in range(n)]
        p.readListEnd()
        return values
    return read_struct(p)


def write_struct(p, fields):
    """fields: (id, kind, value)."""
    p.writeStructBegin("")
    for number, kind, value in fields:
        p.writeFieldBegin("", kind, number)
        if kind == TType.STRUCT:
            write_struct(p, value)
        else:
            write_value(p, kind, value)
        p.writeFieldEnd()
    p.writeFieldStop()
    p.writeStructEnd()


def read_struct(p):
    fields = {}
    p.readStructBegin()
    while True:
        _, kind, number = p.readFieldBegin()
        if kind == TType.STOP:
            p.readStructEnd()
            return fields
        fields[number] = read_value(p, kind)
        p.readFieldEnd()


class Client:
    def __init__(self, protocol, headers=None):
        self.protocol, self.seqid, self.headers = protocol, 0, headers or {}

    def send(self, name, *args, oneway=False):
        p = self.protocol
        for key, value in self.headers.items():
            p.trans.set_header(key, value)
        p.writeMessageBegin(name, TMessageType.ONEWAY if oneway else TMessageType.CALL, self.seqid)
        write_struct(p, [(i + 1, INT if isinstance(a, int) else TEXT, a) for i, a in enumerate(args)])
        p.writeMessageEnd()
        p.trans.flush()

    def receive(self):
        p = self.protocol
        _, kind, _ = p.readMessageBegin()
        if kind == TMessageType.EXCEPTION:
            e = TApplicationException()
            e.read(p)
            p.readMessageEnd()
            raise e
        result = read_struct(p)
        p.readMessageEnd()
        if 1 in result:
            raise SoldOut(result[1].get(1))
        return result.get(0)

    def call(self, name, *args):
        self.send(name, *args)
        return self.receive()


class Processor:
    """A TProcessor."""

    RESULTS = {"add": INT, "echo": TEXT, "list": LIST, "slow": TEXT}

    def on_message_begin(self, func):
        pass

    def answer(self, p, name, kind, seqid, fields):
        p.writeMessageBegin(name, kind, seqid)
        if isinstance(fields, TApplicationException):
            fields.write(p)
        else:
            write_struct(p, fields)
        p.writeMessageEnd()
        p.trans.flush()

    def process(self, iprot, oprot):
        name, kind, seqid = iprot.readMessageBegin()
        args = read_struct(iprot)
        iprot.readMessageEnd()
        name = name.rpartition(":")[2]
        if name == "note":
            return True
        try:
            run = getattr(self, "do_" + name, None)
            if not run:
                raise TApplicationException(TApplicationException.UNKNOWN_METHOD, f"Unknown function {name}")
            value = run(*args.values())
            self.answer(oprot, name, TMessageType.REPLY, seqid, [(0, self.RESULTS[name], value)] if name in self.RESULTS else [])
        except SoldOut as e:
            self.answer(oprot, name, TMessageType.REPLY, seqid, [(1, TType.STRUCT, [(1, TEXT, str(e))])])
        except TApplicationException as e:
            self.answer(oprot, name, TMessageType.EXCEPTION, seqid, e)
        except TException:
            raise
        except Exception:
            self.answer(oprot, name, TMessageType.EXCEPTION, seqid, TApplicationException(TApplicationException.INTERNAL_ERROR, "Internal error"))
        return True

    def do_add(self, a, b):
        return a + b

    def do_echo(self, text):
        return text

    def do_list(self, n):
        return [f"secret {i}" for i in range(n)]

    def do_ping(self):
        pass

    def do_buy(self, what):
        if what == "nothing left":
            raise SoldOut("secret reason")

    def do_fail(self):
        raise ValueError("secret failure")

    def do_slow(self, ms):
        time.sleep(ms / 1000)
        return "slept"
