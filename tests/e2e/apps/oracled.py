# SPDX-License-Identifier: Apache-2.0
"""
A stand-in for Oracle Database, which cannot be installed here: oracled.py PORT [WAY]. It speaks what thin clients need of Oracle Net and of the calls in it, as their sources
expect it, and knows a few statements. What a real server sends may differ: this proves that clients' calls are read, not that every server's answers are.

Ways: "19" (packets with lengths of four bytes, no flags), "11" (two bytes), "23" (flags at the end of answers, newer fields). The user is plumb, the password sesame.
"""
import hashlib
import os
import socket
import struct
import sys
import threading
import time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

VERSION = {"11": 314, "19": 318, "23": 319}
FIELDS = {"11": 6, "19": 11, "23": 24}
PASSWORD = b"sesame"
CONNECT, ACCEPT, REFUSE, REDIRECT, DATA, MARKER = 1, 2, 4, 5, 6, 12
END_OF_RESPONSE = 0x2000
NUMBER, VARCHAR = 2, 1
ORDERS = 1009


def ub(n):
    raw = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([len(raw)]) + raw


def text(s, big):
    if len(s) <= 252:
        return bytes([len(s)]) + s
    pieces = [s[i:i + 250] for i in range(0, len(s), 250)]
    return b"\xfe" + b"".join((ub(len(p)) if big else bytes([len(p)])) + p for p in pieces) + b"\0"


def number(n):
    """Oracle's own: an exponent and digits to the base of 100."""
    if n == 0:
        return b"\x80"
    digits = []
    while n:
        digits.insert(0, n % 100)
        n //= 100
    exponent = len(digits) - 1
    while digits[-1] == 0:
        digits.pop()
    return bytes([0xc1 + exponent] + [d + 1 for d in digits])


def aes(key, data, encrypt):
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16)))
    way = cipher.encryptor() if encrypt else cipher.decryptor()
    return way.update(data) + way.finalize()


class Closed(Exception):
    pass


class Session:
    def __init__(self, sock, way):
        self.sock, self.way = sock, way
        self.large = False
        self.sdu = 8192
        self.cursors = {}  # number to [sql, rows sent]
        self.next_cursor = 1
        self.sequence = 0
        self.fields = FIELDS[way]
        self.ends = way == "23"
        self.flagged = False
        self.unread = b""

    # --- packets ---

    def read(self, n):
        while len(self.unread) < n:
            piece = self.sock.recv(65536)
            if not piece:
                raise Closed
            self.unread += piece
        data, self.unread = self.unread[:n], self.unread[n:]
        return data

    def packet(self):
        head = self.read(8)
        self.redirected = head[5] & 4
        n = struct.unpack(">I", head[:4])[0] if self.large else struct.unpack(">H", head[:2])[0]
        return head[4], self.read(n - 8)

    def send(self, kind, body, flags=0):
        n = len(body) + 8
        head = struct.pack(">I", n) if self.large else struct.pack(">HH", n, 0)
        self.sock.sendall(head + bytes([kind, flags, 0, 0]) + body)

    def answer(self, body, flagged=None):
        flagged = self.flagged if flagged is None else flagged
        body += b"\x1d" if flagged else b""
        room = self.sdu - 10
        pieces = [body[i:i + room] for i in range(0, len(body), room)] or [b""]
        for i, piece in enumerate(pieces):
            last = i == len(pieces) - 1
            flag = END_OF_RESPONSE if last and flagged else 0
            self.send(DATA, struct.pack(">H", flag) + piece)

    def call(self):
        """The bytes of the next call. Markers in between are a break: they end up in `broken`."""
        body = b""
        while True:
            kind, data = self.packet()
            if kind == MARKER:
                self.marker(data)
                body = b""
                continue
            flags = struct.unpack(">H", data[:2])[0]
            if flags & 0x40:
                raise Closed
            body += data[2:]
            if len(data) + 8 + 64 < self.sdu:
                return body

    def marker(self, data):
        """One that comes when all has been answered."""
        if data[2] == 2:
            self.send(MARKER, b"\x01\x00\x02")
            self.answer(self.end(1013, b"ORA-01013: user requested cancel of current operation\n"), self.flagged)

    # --- what answers are made of ---

    def end(self, number_=0, message=b"", cursor=0, rows=0):
        self.sequence += 1
        body = b"\x04" + ub(1) + ub(self.sequence) + ub(rows) + ub(min(number_, 65535)) + ub(0) + ub(0) + ub(cursor) + ub(0)
        body += b"\x03\0" + b"\0\0" + b"\0\0"
        body += ub(0) + ub(0) + b"\0" + ub(0) + ub(0)
        body += ub(0) + b"\0\0" + ub(0) + ub(0) + ub(0)
        body += ub(0) + ub(0) + ub(0)
        if self.fields >= 7:
            body += ub(number_) + ub(rows)
        if self.fields >= 14:
            body += ub(0) + ub(0)
        if number_:
            body += text(message or b"ORA-%05d: it says so\n" % number_, self.fields >= 7)
        return body

    def status(self):
        self.sequence += 1
        return b"\x09" + ub(1) + ub(self.sequence)

    def column(self, kind, name, position):
        size = 22 if kind == NUMBER else 100
        body = bytes([kind, 0, 10 if kind == NUMBER else 0, 0]) + ub(size) + ub(0) + ub(0) + ub(0) + ub(0)
        body += ub(0 if kind == NUMBER else 873) + bytes([0 if kind == NUMBER else 1]) + ub(0 if kind == NUMBER else 100)
        if self.fields >= 8:
            body += ub(0)
        body += b"\x01" + bytes([len(name)]) + ub(len(name)) + text(name, True) + ub(0) + ub(0) + ub(position) + ub(0)
        if self.fields >= 17:
            body += ub(0) + ub(0)
        if self.fields >= 20:
            body += ub(0)
        if self.fields >= 24:
            body += ub(0) + b"\0\0"
        return body

    def describe(self, columns):
        body = b"\x10" + b"\x01x" + ub(122) + ub(len(columns)) + b"\x01"
        body += b"".join(self.column(kind, name, i + 1) for i, (kind, name) in enumerate(columns))
        return body + ub(0) + ub(0) + ub(0) + ub(0) + ub(0) + ub(0)

    def row_header(self, columns):
        return b"\x06" + b"\x01" + ub(columns) + ub(0) + ub(1) + ub(0) + ub(0) + ub(0)

    def parameters(self):
        return b"\x08" + ub(2) + ub(9) + ub(0) + ub(0) + ub(0) + ub(0)

    # --- logging on ---

    def negotiate(self):
        caps = bytearray(55)
        caps[4] = 2 | 8
        caps[7] = self.fields
        caps[15] = 1
        caps[16] = 1
        caps[27] = 1
        caps[37] = 32 if self.fields >= 7 else 0
        runtime = bytes([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        fdo = bytes(5) + bytes([0, 0]) + bytes(3) + struct.pack(">H", 2000)
        return (b"\x01\x06\x00" + b"Linuxi386/Linux-2.0.34-8.1.0\0" + struct.pack("<H", 873) + b"\x01" + struct.pack("<H", 0) + struct.pack(">H", len(fdo)) + fdo
                + bytes([len(caps)]) + bytes(caps) + bytes([len(runtime)]) + runtime)

    def pairs(self, pairs):
        body = b"\x08" + ub(len(pairs))
        for key, value, flags in pairs:
            body += ub(len(key)) + text(key, True) + (ub(len(value)) + text(value, True) if value else b"\0") + ub(flags)
        return body

    def challenge(self):
        self.salt, self.half = os.urandom(10), os.urandom(48)
        self.key = hashlib.sha1(PASSWORD + self.salt).digest() + bytes(4)
        return self.pairs([(b"AUTH_SESSKEY", aes(self.key, self.half, True).hex().upper().encode(), 0), (b"AUTH_VFR_DATA", self.salt.hex().upper().encode(), 6949),
                           (b"AUTH_GLOBALLY_UNIQUE_DBID\0", b"0123456789ABCDEF", 0)]) + self.end()

    def log_on(self, call):
        def value(key):
            at = call.index(key) + len(key)
            at += 1 + call[at]
            return bytes.fromhex(call[at + 1:at + 1 + call[at]].decode())

        other = aes(self.key, value(b"AUTH_SESSKEY")[:48], False)
        mixed = bytes(a ^ b for a, b in zip(self.half[16:40], other[16:40]))
        combined = (hashlib.md5(mixed[:16]).digest() + hashlib.md5(mixed[16:]).digest())[:24]
        password = aes(combined, value(b"AUTH_PASSWORD"), False)[16:]
        if password[:-password[-1]] != PASSWORD:
            return self.end(1017, b"ORA-01017: invalid username/password; logon denied\n")
        proof = aes(combined, os.urandom(16) + b"SERVER_TO_CLIENT" + bytes([16]) * 16, True)
        return self.pairs([(b"AUTH_VERSION_STRING", b"a stand-in", 0), (b"AUTH_VERSION_NO", str(19 << 24).encode(), 0), (b"AUTH_SESSION_ID", b"47", 0), (b"AUTH_SERIAL_NUM", b"11", 0),
                           (b"AUTH_SC_DBUNIQUE_NAME", b"SHOP", 0), (b"AUTH_SC_REAL_DBUNIQUE_NAME", b"SHOP1", 0), (b"AUTH_SC_SERVICE_NAME", b"orders", 0),
                           (b"AUTH_SC_INSTANCE_NAME", b"shop", 0), (b"AUTH_SC_DB_DOMAIN", b"", 0), (b"AUTH_SVR_RESPONSE", proof.hex().upper().encode(), 0)]) + self.end()

    # --- statements ---

    def number_at(self, call, at):
        n = call[at]
        return int.from_bytes(call[at + 1:at + 1 + n], "big"), at + 1 + n

    def rows_of(self, sql):
        low = sql.lower()
        if "from orders" in low:
            return [(NUMBER, b"ID"), (VARCHAR, b"NAME")], [(number(i), b"order secret %d" % i) for i in range(1, ORDERS + 1)]
        if "from parcels" in low:
            return [(NUMBER, b"ID")], [(number(i),) for i in range(1, 4)]
        if "from empty" in low:
            return [(NUMBER, b"ID")], []
        return None, None

    def execute(self, call):
        at = call.index(b"\x03\x5e") + 3
        if self.fields >= 18:
            _, at = self.number_at(call, at)
        options, at = self.number_at(call, at)
        cursor, at = self.number_at(call, at)
        at += 1
        length, at = self.number_at(call, at)
        _, rows_at = self.number_at(call, at + 1)
        _, rows_at = self.number_at(call, rows_at + 2)
        rows, _ = self.number_at(call, rows_at)
        if length:
            sql = self.sql(call, at, length)
            cursor = cursor or self.open_cursor()
            self.cursors[cursor] = [sql, 0]
        if cursor not in self.cursors:
            return self.end(1001, b"ORA-01001: invalid cursor\n")
        executes = options & 0x20
        return self.do(cursor, rows, bool(length), executes)

    def sql(self, call, at, length):
        for p in range(at, len(call)):
            if call[p] == length and length <= 252 and call[p + 1:p + 2].isalpha():
                return call[p + 1:p + 1 + length].decode()
            if call[p] == 0xfe and length > 252:
                out, q = b"", p + 1
                numbers = call[q] <= 4
                try:
                    while call[q]:
                        n, q = self.number_at(call, q) if numbers else (call[q], q + 1)
                        out, q = out + call[q:q + n], q + n
                except IndexError:
                    continue
                if len(out) == length:
                    return out.decode()
        raise AssertionError("no statement")

    def open_cursor(self):
        self.next_cursor += 1
        return self.next_cursor - 1

    def do(self, cursor, rows, described, executes=True):
        sql = self.cursors[cursor][0]
        low = sql.lower().lstrip(" (")
        if "slow" in low:
            time.sleep(0.097)
        if "sleep" in low:
            return self.wait_for_break()
        if executes:
            self.cursors[cursor][1] = 0
        if "nowhere" in low:
            return self.end(942, b"ORA-00942: table or view does not exist\n")
        if "duplicate" in low:
            return self.end(1, b"ORA-00001: unique constraint (SHOP.PK) violated\n", cursor)
        if low.startswith(("select", "with")):
            columns, all_rows = self.rows_of(sql)
            if columns is None:
                return self.end(904, b"ORA-00904: invalid identifier\n")
            body = self.describe(columns) if described else b""
            return body + self.fetch(cursor, rows)
        if low.startswith(("insert", "update", "delete", "merge")):
            changed = {"update": 11, "delete": 7}.get(low[:6], 1)
            return self.parameters() + self.end(cursor=cursor, rows=changed)
        return self.parameters() + self.end(cursor=cursor, rows=0)

    def fetch(self, cursor, n):
        sql, sent = self.cursors[cursor]
        columns, all_rows = self.rows_of(sql)
        part = all_rows[sent:sent + n]
        body = b""
        if part:
            body += self.row_header(len(columns)) + b"".join(b"\x07" + b"".join(bytes([len(v)]) + v for v in row) for row in part)
        self.cursors[cursor][1] += len(part)
        over = len(part) < n
        return body + self.end(1403 if over else 0, b"ORA-01403: no data found\n", cursor, sent + len(part))

    def wait_for_break(self):
        """Until the client sends a break. It is told so by markers, and then by the answer."""
        while True:
            kind, data = self.packet()
            if kind == MARKER and data[2] in (1, 3):
                self.send(MARKER, b"\x01\x00\x01")
            elif kind == MARKER:
                self.send(MARKER, b"\x01\x00\x02")
                return self.end(1013, b"ORA-01013: user requested cancel of current operation\n")

    # --- calls ---

    def function(self, call):
        """The call behind what travels in front of it."""
        if call[0] != 17:
            return call
        at = len(call) - 1
        while at > 0 and not (call[at] == 3 and at + 2 < len(call) and call[at + 1] in (4, 5, 9, 14, 15, 78, 94, 147) and call[at + 2] == call[2] + (call[2] != 0)):
            at -= 1
        return call[at:]

    def reply(self, call):
        call = self.function(call)
        at = 3
        if self.fields >= 18 and call[0] == 3:
            _, at = self.number_at(call, at)
        if call[0] == 1:
            return self.negotiate(), False
        if call[0] == 2:
            return b"\x02" + b"\0\0", False
        if call[0] == 34:
            return self.negotiate() + b"\x02\0\0" + self.challenge(), self.ends
        code = call[1]
        self.flagged = self.ends
        if code == 118:
            return self.challenge(), None
        if code == 115:
            return self.log_on(call), None
        if code == 94:
            return self.execute(call), None
        if code in (4, 78):
            cursor, at = self.number_at(call, at)
            n, at = self.number_at(call, at)
            return self.do(cursor, n, False), None
        if code == 5:
            cursor, at = self.number_at(call, at)
            n, at = self.number_at(call, at)
            return self.fetch(cursor, n), None
        if code == 59:
            version = b"a stand-in for Oracle Database"
            return b"\x08" + ub(len(version)) + text(version, True) + ub(19 << 24) + self.status(), None
        return self.status(), None

    def serve(self):
        kind, body = self.packet()
        assert kind == CONNECT
        redirected = self.redirected
        offset = struct.unpack(">H", body[18:20])[0] - 8
        descriptor = body[offset:]
        if not descriptor:
            _, data = self.packet()
            descriptor = data[2:]
        descriptor = descriptor.decode()
        if "orders" not in descriptor and "moved" not in descriptor:
            stack = b"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=12514)(ERROR_STACK=(ERROR=(CODE=12514)(EMFI=4))))"
            self.send(REFUSE, b"\x22\0" + struct.pack(">H", len(stack)) + stack)
            raise Closed
        if "moved" in descriptor and not redirected:
            self.redirect(descriptor)
            raise Closed
        self.accept()
        while True:
            reply, flagged = self.reply(self.call())
            self.answer(reply, flagged)

    def redirect(self, descriptor):
        port = self.sock.getsockname()[1]
        to = f"(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT={port})))".encode() + b"\0" + descriptor.replace("moved", "orders").encode()
        self.send(REDIRECT, struct.pack(">H", len(to)), flags=2)
        self.send(DATA, b"\0\0" + to)

    def accept(self):
        version = VERSION[self.way]
        body = struct.pack(">HHHHHHH", version, 0, min(self.sdu, 65535), 65535, 1, 0, 45 if version >= 315 else 32)
        body += b"\x05\x04"
        if version >= 315:
            body += bytes(8) + struct.pack(">II", self.sdu, 65535) + b"\0" + struct.pack(">I", 0x12000000 if self.ends else 0)
        else:
            body += bytes(8)
        self.send(ACCEPT, body)
        self.large = version >= 315


def serve(sock, way):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        Session(sock, way).serve()
    except (Closed, ConnectionError):
        pass
    finally:
        sock.close()


def main():
    way = sys.argv[2] if len(sys.argv) > 2 else "19"
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock, way), daemon=True).start()


if __name__ == "__main__":
    main()
