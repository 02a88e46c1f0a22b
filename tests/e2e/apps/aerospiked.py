# SPDX-License-Identifier: Apache-2.0
"""
A stand-in for an Aerospike server of one node: aerospiked.py PORT. What clients ask to find the cluster, records in memory, batches, queries without their filters, security without passwords.
What it does on purpose: records of set "slow" take 97 ms, of set "forbidden" none are written, function "fail" fails, nobody is called "stranger", and a scan is refused in set "busy".
"""
import base64
import socketserver
import struct
import sys
import time
import zlib

PORT = int(sys.argv[1])
INFO, ADMIN, MSG, PACKED = 1, 2, 3, 4
READ, GET_ALL, BATCH, NO_BINS, COMPRESS = 1, 2, 8, 32, 128  # info1
WRITE, DELETE, GENERATION, CREATE_ONLY, RESPOND_ALL = 1, 2, 4, 32, 128  # info2
LAST, PARTITION_DONE, UPDATE_ONLY, CREATE_OR_REPLACE, REPLACE_ONLY = 1, 4, 8, 16, 32  # info3
NOT_FOUND, WRONG_GENERATION, PARAMETER, EXISTS, WRONG_TYPE, FORBIDDEN, UDF_FAILED, QUERY_ABORTED = 2, 3, 4, 5, 12, 22, 100, 15
NO_USER = 60
LOGIN = 20
INTEGER, STRING = 1, 3
OP_READ, OP_WRITE, OP_ADD, OP_APPEND, OP_PREPEND, OP_TOUCH, OP_DELETE = 1, 2, 5, 9, 10, 11, 14
NAMESPACE, SET, DIGEST, MODULE, FUNCTION, UDF_KIND, BATCH_FIELD, BATCH_WITH_SET = 0, 1, 4, 30, 31, 33, 41, 42
FEATURES = ("batch-any;batch-index;blob-bits;cdt-list;cdt-map;cluster-stable;float;geo;peers;pipelining;pquery;pscans;query-show;relaxed-sc;replicas;replicas-all;replicas-master;"
            "replicas-max;sindex-exists;truncate-namespace;udf")
KNOWN = {
    "node": "BB9000000000001", "build": "6.4.0.7", "edition": "Aerospike Enterprise Edition", "version": "Aerospike Enterprise Edition build 6.4.0.7", "features": FEATURES, "partition-generation": "1",
    "peers-generation": "1", "rebalance-generation": "1", "partitions": "4096", "cluster-name": "null", "cluster-stable": "1", "status": "ok", "peers-clear-std": f"1,{PORT},[]",
    "peers-clear-alt": f"1,{PORT},[]", "service-clear-std": f"127.0.0.1:{PORT}", "service-clear-alt": "", "service": f"127.0.0.1:{PORT}", "services": "", "namespaces": "test",
    "replicas": "test:0,1," + base64.b64encode(b"\xff" * 512).decode() + ";", "user-agent-set": "ok", "truncate": "ok", "sets/test": "ns=test:set=users:objects=1;",
}
records = {}  # by set and digest


class Record:
    def __init__(self):
        self.bins, self.generation = {}, 0


def proto(kind, body):
    return struct.pack(">BBHI", 2, kind, 0, len(body)) + body


def field(kind, data):
    return struct.pack(">IB", len(data) + 1, kind) + data


def operation(name, value):
    particle, data = value or (0, b"")
    return struct.pack(">IBBBB", 4 + len(name) + len(data), OP_READ, particle, 0, len(name)) + name + data


def head(code=0, info3=0, generation=0, index=0, fields=(), ops=()):
    return struct.pack(">BBBBBBIIIHH", 22, 0, 0, info3, 0, code, generation, 0, index, len(fields), len(ops)) + b"".join(fields) + b"".join(ops)


class Request:
    """A record message, or one record of a batch."""

    def __init__(self, info, generation, fields, ops):
        self.info1, self.info2, self.info3 = info
        self.generation, self.fields, self.ops = generation, fields, ops
        self.set = fields.get(SET, b"").decode()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def bytes(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def items(self, fields, ops):
        found = {}
        for _ in range(fields):
            size, kind = self.take(">IB")
            found[kind] = self.bytes(size - 1)
        done = []
        for _ in range(ops):
            size, op, particle, _, name = self.take(">IBBBB")
            body = self.bytes(size - 4)
            done.append((op, particle, body[:name], body[name:]))
        return found, done


def read_message(body):
    r = Reader(body)
    _, info1, info2, info3, _, _, generation, _, _, fields, ops = r.take(">BBBBBBIIIHH")
    return Request((info1, info2, info3), generation, *r.items(fields, ops))


def read_batch(data):
    """(index, request) of each record."""
    r = Reader(data)
    count, _ = r.take(">IB")
    found = []
    for _ in range(count):
        index, digest, has = r.take(">I20sB")
        if not has & 1:
            info = r.take(">BBB") if has & 2 else (*r.take(">B"), 0, 0)
            r.bytes(1 if has & 16 else 0)
            generation = r.take(">H")[0] if has & 4 else 0
            r.bytes(4 if has & 8 else 0)
            fields, ops = r.take(">HH")
            shared = (info, generation, *r.items(max(fields, 1), ops))
        info, generation, fields, ops = shared
        found.append((index, Request(info, generation, {**fields, DIGEST: digest}, ops)))
    return found


def refusal(q, record):
    """The code for a write that is not done."""
    if q.set == "forbidden":
        return FORBIDDEN
    if q.info2 & CREATE_ONLY and record:
        return EXISTS
    if not record and q.info3 & (UPDATE_ONLY | REPLACE_ONLY):
        return NOT_FOUND
    if q.info2 & GENERATION and (record.generation if record else 0) != q.generation:
        return WRONG_GENERATION
    return 0


def write(record, op, particle, name, value):
    """False: the bin's type is another one."""
    had = record.bins.get(name)
    if op == OP_WRITE and particle == 0:
        record.bins.pop(name, None)
    elif op == OP_WRITE:
        record.bins[name] = (particle, value)
    elif had and had[0] != particle:
        return False
    elif op == OP_ADD:
        number = struct.unpack(">q", value)[0] + (struct.unpack(">q", had[1])[0] if had else 0)
        record.bins[name] = (INTEGER, struct.pack(">q", number))
    elif op in (OP_APPEND, OP_PREPEND):
        old = had[1] if had else b""
        record.bins[name] = (particle, old + value if op == OP_APPEND else value + old)
    return True


def run(q, index=0):
    """The answer to one record's request."""
    key = q.set, q.fields[DIGEST]
    record = records.get(key)
    if q.set == "slow":
        time.sleep(0.097)
    if MODULE in q.fields:
        failed = q.fields[FUNCTION] == b"fail"
        value = (b"FAILURE", (STRING, b"secret reason")) if failed else (b"SUCCESS", (INTEGER, struct.pack(">q", 7)))
        return head(UDF_FAILED if failed else 0, index=index, ops=[operation(*value)])
    if q.info2 & WRITE:
        code = refusal(q, record)
        if code:
            return head(code, index=index)
    if q.info2 & DELETE:
        return head(0 if records.pop(key, None) else NOT_FOUND, index=index)
    if not record and (not q.info2 & WRITE or any(op == OP_TOUCH for op, *_ in q.ops)):
        return head(NOT_FOUND, index=index)
    if q.info2 & WRITE:
        if not record:
            record = records[key] = Record()
        if q.info3 & (CREATE_OR_REPLACE | REPLACE_ONLY):
            record.bins.clear()
        record.generation += 1
    ops = []
    for op, particle, name, value in q.ops:
        if op == OP_READ:
            got = list(record.bins.items()) if not name else [(name, record.bins.get(name))]
            ops += [operation(n, v) for n, v in got if v or q.info2 & RESPOND_ALL]
        elif op == OP_DELETE:
            record.bins.clear()
        elif op != OP_TOUCH and not write(record, op, particle, name, value):
            return head(WRONG_TYPE, index=index)
        elif q.info2 & RESPOND_ALL:
            ops.append(operation(name, None))
    if q.info1 & GET_ALL and not q.info1 & NO_BINS:
        ops += [operation(n, v) for n, v in record.bins.items()]
    return head(0, generation=record.generation, index=index, ops=ops)


def run_batch(data):
    """In two messages, and one that says there are no others."""
    answers = [run(q, index) for index, q in read_batch(data)]
    half = len(answers) // 2
    return [b"".join(part) for part in (answers[:half], answers[half:]) if part] + [head(info3=LAST)]


def run_query(q):
    """All records of the set, three a message; the last has the end behind it."""
    if q.set == "busy":
        return [head(QUERY_ABORTED, LAST)]
    if q.info2 & WRITE or q.fields.get(UDF_KIND) == b"\2":
        return [head(info3=LAST)]
    if q.set == "slow":
        time.sleep(0.097)
    found = [head(0, generation=r.generation, fields=[field(NAMESPACE, b"test"), field(SET, s.encode()), field(DIGEST, digest)], ops=[operation(n, v) for n, v in r.bins.items()])
             for (s, digest), r in sorted(records.items()) if not q.set or s == q.set]
    return [b"".join(found[i:i + 3]) for i in range(0, len(found) // 3 * 3, 3)] + [b"".join(found[len(found) // 3 * 3:]) + head(info3=PARTITION_DONE) + head(info3=LAST)]


def info(text):
    def value(command):
        return KNOWN.get(command.split(":")[0], "ERROR:4:unrecognized command")

    return "".join(f"{line}\t{value(line)}\n" for line in text.split("\n") if line)


def admin(body):
    fields, _ = Reader(body[16:]).items(body[3], 0)
    if fields.get(0) == b"stranger":
        return bytes([0, NO_USER]) + bytes(14)
    if body[2] == LOGIN:
        return bytes([0, 0, 0, 2]) + bytes(12) + field(5, b"session of secrets") + field(6, struct.pack(">I", 86400))
    return bytes(16)


def answers(kind, body):
    if kind == PACKED:
        inner = zlib.decompress(body[8:])
        kind, body = inner[1], inner[8:]
    if kind == INFO:
        return [proto(INFO, info(body.decode()).encode())]
    if kind == ADMIN:
        return [proto(ADMIN, admin(body))]
    q = read_message(body)
    batch = q.fields.get(BATCH_FIELD, q.fields.get(BATCH_WITH_SET))
    parts = run_batch(batch) if batch is not None else [run(q)] if DIGEST in q.fields else run_query(q)
    plain = [proto(MSG, part) for part in parts]
    if not q.info1 & COMPRESS:
        return plain
    return [proto(PACKED, struct.pack(">Q", len(p)) + zlib.compress(p)) if len(p) > 128 else p for p in plain]


class Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while len(start := self.rfile.read(8)) == 8:
            _, kind, _, size = struct.unpack(">BBHI", start)
            for answer in answers(kind, self.rfile.read(size)):
                self.request.sendall(answer)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


Server(("127.0.0.1", PORT), Connection).serve_forever()
