# SPDX-License-Identifier: Apache-2.0
"""A stand-in for SQL Server, which cannot be installed here: it speaks TDS 7.0 to 7.4 as [MS-TDS] has it, but is no database. tdsd.py PORT [PACKET_BYTES]. Login: plumb, "sesame".

It knows a few forms of statement, of which several may stand in a batch with semicolons between them:

    SELECT ... LIMIT n | SELECT ... TOP (n)   n rows of a number, a text, and what else a row may have
    SELECT ... FROM wide ...                  rows with a column of each type
    INSERT|UPDATE|DELETE ... /* n */          n rows were changed
    USE name                                  changes the database
    FAIL n                                    error n; the batch ends
    LATE n                                    seven rows, then error n
    WAIT seconds                              answers late, or not at all if the client cancels
    anything else                             done, without a count
"""
import re
import select
import socket
import struct
import sys
import threading

BATCH, RPC, RESPONSE, ATTENTION, BULK, TRANSACTION, LOGIN, PRELOGIN, SMP = 1, 3, 4, 6, 7, 14, 16, 18, 0x53
MORE, ERROR, COUNT, ATTN = 1, 2, 0x10, 0x20
SELECT, INSERT, UPDATE, DELETE, EXECUTE = 0xC1, 0xC3, 0xC5, 0xC4, 0xE0
PROCEDURES = {2: "sp_cursoropen", 7: "sp_cursorfetch", 9: "sp_cursorclose", 10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare"}
PACKET = int(sys.argv[2]) if len(sys.argv) > 2 else 4096
COLLATION = bytes.fromhex("0904d00034")


def utf16(text):
    return text.encode("utf-16-le")


def short(text):
    return bytes([len(text)]) + utf16(text)


def long(text):
    return struct.pack("<H", len(text)) + utf16(text)


class Cancelled(Exception):
    pass


class Pipe:
    """Where a session's packets come from and go to: the connection itself, or what MARS makes of it."""

    def __init__(self, sock):
        self.sock = sock

    def read(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def write(self, packet):
        self.sock.sendall(packet)

    def waits(self, seconds):
        """True: something comes within this time."""
        return bool(select.select([self.sock], [], [], seconds)[0])


class Mars:
    """[MC-SMP]: sessions on one connection. What comes for one is queued; what is sent keeps to the client's window."""

    def __init__(self, pipe, serve):
        self.pipe, self.serve, self.lock, self.sessions = pipe, serve, threading.Lock(), {}

    def run(self):
        while True:
            head = self.pipe.read(16)
            smid, flags, sid, length, number, window = struct.unpack("<BBHIII", head)
            assert smid == SMP, head
            data = self.pipe.read(length - 16)
            if flags == 1:
                session = self.sessions[sid] = MarsSession(self, sid)
                threading.Thread(target=self.serve, args=(session,), daemon=True).start()
                session.opens(window)
            elif sid not in self.sessions:  # closed already
                continue
            elif flags == 2:
                self.sessions[sid].opens(window)
            elif flags == 8:
                self.sessions[sid].opens(window)
                self.sessions[sid].came(number, data)
            elif flags == 4:
                session = self.sessions.pop(sid)
                session.came(number, None)
                session.control(4)


class MarsSession:
    def __init__(self, mars, sid):
        self.mars, self.sid, self.sent, self.received, self.window = mars, sid, 0, 0, 0
        self.ready, self.data, self.ended = threading.Condition(), b"", False

    def frame(self, flags, data=b""):
        return struct.pack("<BBHIII", SMP, flags, self.sid, 16 + len(data), self.sent, self.received + 4) + data

    def control(self, flags):
        with self.mars.lock:
            self.mars.pipe.write(self.frame(flags))

    def opens(self, window):
        with self.ready:
            self.window = window
            self.ready.notify_all()

    def came(self, number, data):
        with self.ready:
            self.received = number
            self.ended |= data is None
            self.data += data or b""
            self.ready.notify_all()

    def read(self, n):
        with self.ready:
            self.ready.wait_for(lambda: len(self.data) >= n or self.ended)
            if len(self.data) < n:
                raise EOFError
            data, self.data = self.data[:n], self.data[n:]
        self.control(2)
        return data

    def write(self, packet):
        with self.ready:
            self.ready.wait_for(lambda: self.sent < self.window or self.ended)
        with self.mars.lock:
            self.sent += 1
            self.mars.pipe.write(self.frame(8, packet))

    def waits(self, seconds):
        with self.ready:
            return self.ready.wait_for(lambda: self.data or self.ended, seconds)


class Shared:
    """What the sessions of a connection have in common."""

    def __init__(self):
        self.new = True  # 7.2 and later
        self.collation = True
        self.database, self.packet, self.handles, self.next = "master", PACKET, {}, 1


class Session:
    def __init__(self, pipe, shared):
        self.pipe, self.shared, self.out = pipe, shared, b""

    # --- packets ---

    def message(self):
        data = b""
        while True:
            kind, status, length = struct.unpack(">BBH", self.pipe.read(8)[:4])
            data += self.pipe.read(length - 8)
            if status & 1:
                return kind, data

    def send(self, data):
        """Packets of the agreed size; several make a message."""
        room, number = self.shared.packet - 8, 1
        for at in range(0, max(len(data), 1), room):
            piece = data[at:at + room]
            last = at + room >= len(data)
            self.pipe.write(struct.pack(">BBHHBB", RESPONSE, int(last), len(piece) + 8, 51, number % 256, 0) + piece)
            number += 1

    # --- tokens ---

    def done(self, status, command=0, count=0, token=0xFD):
        self.out += struct.pack("<BHHQ" if self.shared.new else "<BHHI", token, status | (COUNT if count is not None and command else 0), command, count or 0)

    def error(self, number, text, token=0xAA, severity=16, state=1):
        line = struct.pack("<I" if self.shared.new else "<H", 1)
        body = struct.pack("<IBB", number, state, severity) + long(text) + short("standin") + short("") + line
        self.out += struct.pack("<BH", token, len(body)) + body

    def change(self, kind, new, old):
        body = bytes([kind]) + short(new) + short(old)
        self.out += struct.pack("<BH", 0xE3, len(body)) + body

    def chars(self, kind, size):
        return struct.pack("<BH", kind, size) + (COLLATION if self.shared.collation else b"")

    def flags(self):
        return struct.pack("<IH" if self.shared.new else "<HH", 0, 9)

    def columns(self, named):
        self.out += struct.pack("<BH", 0x81, len(named))
        for name, info in named:
            self.out += self.flags() + info + short(name)

    def rows(self, n):
        self.columns([("id", b"\x38"), ("body", self.chars(0xE7, 400)), ("maybe", b"\x26\x04")])
        for i in range(n):
            body = utf16(f"secret {i}" + "." * (i % 150))
            if self.shared.new and i % 3 == 0:
                self.out += b"\xd2\x04" + struct.pack("<IH", i, len(body)) + body
            else:
                self.out += b"\xd1" + struct.pack("<IH", i, len(body)) + body + (b"\x04" + struct.pack("<I", i) if i % 2 else b"\0")

    def wide(self, n):
        """A column of each kind of value."""
        table = b"\x01" + long("wide") if self.shared.new else long("wide")
        kinds = [(b"\x30", b"\x07"), (b"\x34", b"\1\0"), (b"\x38", b"\1\0\0\0"), (b"\x7f", bytes(8)), (b"\x3e", bytes(8)), (b"\x32", b"\1"), (b"\x26\x08", b"\x08" + bytes(8)), (b"\x68\1", b"\0"),
                 (b"\x6d\x08", b"\x08" + bytes(8)), (b"\x6e\x08", b"\x08" + bytes(8)), (b"\x6f\x08", b"\x08" + bytes(8)), (b"\x24\x10", b"\x10" + bytes(16)), (b"\x6a\x11\x12\2", b"\5\1" + bytes(4)),
                 (b"\x6c\x11\x12\2", b"\0"), (b"\xa5\x10\0", b"\3\0abc"), (b"\xad\x10\0", b"\xff\xff"), (self.chars(0xA7, 20), b"\6\0secret"), (self.chars(0xAF, 6), b"\6\0secret"),
                 (self.chars(0xEF, 12), struct.pack("<H", 12) + utf16("secret")), (b"\x22" + struct.pack("<I", 65535) + table, b"\x10" + bytes(24) + struct.pack("<I", 5) + b"\xd1\xfd\xaa\0\1"),
                 (b"\x23" + struct.pack("<I", 65535) + self.chars(0, 0)[3:] + table, b"\0")]
        if self.shared.new:
            text = utf16("secret " * 700)
            parts = struct.pack("<Q", len(text)) + struct.pack("<I", 5000) + text[:5000] + struct.pack("<I", len(text) - 5000) + text[5000:] + bytes(4)
            kinds += [(b"\x28", b"\3\x10\xe2\x0a"), (b"\x29\7", b"\5" + bytes(5)), (b"\x2a\7", b"\x08" + bytes(8)), (b"\x2b\7", b"\x0a" + bytes(10)), (self.chars(0xE7, 0xFFFF), parts), (b"\xf1\0", b"\xff" * 8),
                      (b"\x62" + struct.pack("<I", 8009), struct.pack("<I", 6) + b"\x38\0\1\2\3\4")]
        self.columns([(f"c{i}", info) for i, (info, _) in enumerate(kinds)])
        for _ in range(n):
            self.out += b"\xd1" + b"".join(value for _, value in kinds)

    # --- statements ---

    def wait(self, seconds):
        if not self.pipe.waits(seconds):
            return
        kind, _ = self.message()
        assert kind == ATTENTION, kind
        raise Cancelled

    def statement(self, text, status, token):
        """False: an error ends the batch."""
        words = text.split()
        verb, number = words[0].upper() if words else "", re.search(r"(?:TOP \(|LIMIT |/\* |WAIT |FAIL |LATE )([0-9.]+)", text)
        n = number[1] if number else "1"
        if verb == "SELECT":
            (self.wide if " wide" in text else self.rows)(int(n))
            self.done(status, SELECT, int(n), token)
        elif verb in ("INSERT", "UPDATE", "DELETE"):
            self.done(status, {"INSERT": INSERT, "UPDATE": UPDATE, "DELETE": DELETE}[verb], int(n), token)
        elif verb == "USE":
            self.change(1, words[1].strip("[];"), self.shared.database)
            self.shared.database = words[1].strip("[];")
            self.error(5701, f"Changed database context to '{self.shared.database}'.", 0xAB, 0, 2)
            self.done(status, token=token)
        elif verb in ("FAIL", "LATE"):
            if verb == "LATE":
                self.rows(7)
            self.error(int(n), f"Invalid object name 'secret {n}'.")
            self.done(status & ~MORE | ERROR if token == 0xFD else status | ERROR, SELECT if verb == "LATE" else 0, 0, token)
            return False
        elif verb == "WAIT":
            self.wait(float(n))
            self.done(status, token=token)
        else:
            self.done(status, token=token)
        return True

    def batch(self, text):
        parts = [p for p in text.split(";") if p.strip()] or [""]
        for i, part in enumerate(parts):
            if not self.statement(part, MORE if i + 1 < len(parts) else 0, 0xFD):
                return

    # --- calls ---

    def value(self, data, at):
        """A parameter's value, and where it ends. Types that the clients here send."""
        kind = data[at]
        at += 1
        if kind in (0x24, 0x26, 0x68, 0x6D, 0x6E, 0x6F, 0x6A, 0x6C, 0x29, 0x2A, 0x2B):
            at += 3 if kind in (0x6A, 0x6C) else 1
        if kind in (0x24, 0x26, 0x68, 0x6D, 0x6E, 0x6F, 0x6A, 0x6C, 0x28, 0x29, 0x2A, 0x2B):
            n = data[at]
            return (int.from_bytes(data[at + 1:at + 1 + n], "little") if n else None), at + 1 + n
        if kind in (0x38, 0x7F):
            n = 4 if kind == 0x38 else 8
            return int.from_bytes(data[at:at + n], "little"), at + n
        collation = 5 if self.shared.collation and kind not in (0xA5, 0xAD, 0x22) else 0
        if kind in (0x63, 0x23, 0x22):
            at += 4 + collation
            n = struct.unpack_from("<i", data, at)[0]
            raw, at = data[at + 4:at + 4 + max(n, 0)], at + 4 + max(n, 0)
            return raw.decode("utf-16-le") if kind == 0x63 else raw, at
        size = struct.unpack_from("<H", data, at)[0]
        at += 2 + collation
        if size == 0xFFFF:
            at, raw, total = at + 8, b"", data[at:at + 8]
            while total != b"\xff" * 8:
                n = struct.unpack_from("<I", data, at)[0]
                raw, at = raw + data[at + 4:at + 4 + n], at + 4 + n
                if n == 0:
                    break
        else:
            n = struct.unpack_from("<H", data, at)[0]
            n = 0 if n == 0xFFFF else n
            raw, at = data[at + 2:at + 2 + n], at + 2 + n
        return raw.decode("utf-16-le") if kind in (0xE7, 0xEF) else raw, at

    def call(self, data):
        n = struct.unpack_from("<H", data)[0]
        if n == 0xFFFF:
            name, at = PROCEDURES[struct.unpack_from("<H", data, 2)[0]], 4
        else:
            name, at = data[2:2 + 2 * n].decode("utf-16-le"), 2 + 2 * n
        at += 2
        values = []
        while at < len(data) and data[at] not in ((0xFF, 0xFE) if self.shared.new else (0x80,)):
            at += 1 + 2 * data[at] + 1
            value, at = self.value(data, at)
            values.append(value)
        self.procedure(name, values)
        return data[at + 1:]

    def handle(self, number):
        """RETURNVALUE: an INT that the first parameter becomes."""
        self.out += struct.pack("<BH", 0xAC, 0) + short("") + b"\1" + self.flags() + b"\x26\4\4" + struct.pack("<I", number)

    def procedure(self, name, values):
        ok = True
        if name in ("sp_executesql", "sp_cursoropen"):
            ok = self.statement(values[1 if name == "sp_cursoropen" else 0], MORE, 0xFF)
        elif name in ("sp_prepare", "sp_prepexec"):
            handle, self.shared.next = self.shared.next, self.shared.next + 1
            self.shared.handles[handle] = values[2]
            if name == "sp_prepexec":
                ok = self.statement(values[2], MORE, 0xFF)
            self.out += b"\x79" + struct.pack("<i", 0)
            self.handle(handle)
            self.done(0 if ok else ERROR, EXECUTE, None, 0xFE)
            return
        elif name == "sp_execute":
            text = self.shared.handles.get(values[0])
            if text is None:
                self.error(8179, f"Could not find prepared statement with handle {values[0]}.")
                ok = False
            else:
                ok = self.statement(text, MORE, 0xFF)
        elif name == "sp_unprepare":
            self.shared.handles.pop(values[0], None)
        elif name.endswith("no_such_procedure"):
            self.error(2812, f"Could not find stored procedure '{name}'.", severity=16, state=62)
            self.done(ERROR, 0, None)
            return
        else:
            self.rows(3)
            self.done(MORE | COUNT, SELECT, 3, 0xFF)
        self.out += b"\x79" + struct.pack("<i", 0 if ok else 1)
        self.done(0 if ok else ERROR, EXECUTE, None, 0xFE)

    def transaction(self, data):
        kind = struct.unpack_from("<H", data)[0]
        name = {5: 8, 7: 9, 8: 10}.get(kind)
        if name:
            old, new = (b"\0", b"\x08" + struct.pack("<Q", 7)) if kind == 5 else (b"\x08" + struct.pack("<Q", 7), b"\0")
            body = bytes([name]) + new + old
            self.out += struct.pack("<BH", 0xE3, len(body)) + body
        self.done(0, 0xFD, None)

    # --- a session ---

    def headers(self, data):
        """Behind ALL_HEADERS."""
        return data[struct.unpack_from("<I", data)[0]:] if self.shared.new else data

    def answer(self, kind, data):
        self.out = b""
        try:
            if kind == BATCH:
                self.batch(self.headers(data).decode("utf-16-le"))
            elif kind == RPC:
                rest = self.headers(data)
                while rest:
                    rest = self.call(rest)
            elif kind == TRANSACTION:
                self.transaction(self.headers(data))
            elif kind == BULK:
                self.done(0, INSERT, 1)
            elif kind == ATTENTION:  # too late
                self.done(ATTN)
            else:
                raise ValueError(kind)
        except Cancelled:
            self.out = b""
            self.done(ATTN)
        self.send(self.out)

    def serve(self):
        try:
            while True:
                self.answer(*self.message())
        except (EOFError, OSError):
            pass


def prelogin(session, data):
    """Offers no encryption; MARS where it is asked for."""
    options, at = {}, 0
    while data[at] != 0xFF:
        where, n = struct.unpack_from(">HH", data, at + 1)
        options[data[at]] = data[where:where + n]
        at += 5
    answer = [(0, bytes.fromhex("0f0007d00000")), (1, b"\2"), (2, b"\0"), (3, b""), (4, options.get(4, b"\0")[:1])]
    head, body = b"", b""
    for kind, value in answer:
        head += struct.pack(">BHH", kind, 5 * len(answer) + 1 + len(body), len(value))
        body += value
    session.send(head + b"\xff" + body)
    return options.get(4, b"\0")[:1] == b"\1"


def login(session, data):
    """False: refused."""
    shared = session.shared
    version = struct.unpack_from("<I", data, 4)[0]
    shared.new, shared.collation = version >> 24 >= 0x72, version >> 24 >= 0x71

    def field(at):
        where, n = struct.unpack_from("<HH", data, at)
        return data[where:where + 2 * n]

    user, database = field(40).decode("utf-16-le"), field(68).decode("utf-16-le")
    password = bytes(((b ^ 0xA5) >> 4 | (b ^ 0xA5) << 4) & 0xFF for b in field(44)).decode("utf-16-le")
    session.out = b""
    if (user, password) != ("plumb", "sesame"):
        session.error(18456, f"Login failed for user '{user}'.", severity=14)
        session.done(ERROR, 0, None)
        session.send(session.out)
        return False
    shared.database = database or "master"
    session.change(1, shared.database, "master")
    session.error(5701, f"Changed database context to '{shared.database}'.", 0xAB, 0, 2)
    body = b"\1" + struct.pack(">I", version) + short("Stand-in") + bytes.fromhex("0f0007d0")
    session.out += struct.pack("<BH", 0xAD, len(body)) + body
    session.change(4, str(PACKET), "4096")
    session.done(0, 0, None)
    session.send(session.out)
    return True


def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    shared = Shared()
    session = Session(Pipe(sock), shared)
    try:
        kind, data = session.message()
        mars = False
        if kind == PRELOGIN:
            mars = prelogin(session, data)
            kind, data = session.message()
        if kind != LOGIN or not login(session, data):
            return
        if mars:
            Mars(session.pipe, lambda pipe: Session(pipe, shared).serve()).run()
        else:
            session.serve()
    except (EOFError, OSError):
        pass
    finally:
        sock.close()


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
