# SPDX-License-Identifier: Apache-2.0
"""What DuckDB's C API is asked for by itself: duckdb_app.py LIBRARY FILE < "go"."""
import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])
P, SUCCESS, ERROR = ctypes.c_void_p, 0, 1
result = (ctypes.c_char * 256)()


def call(name, *args):
    f = getattr(library, "duckdb_" + name)
    f.argtypes = [P if not isinstance(a, (bytes, int)) else ctypes.c_char_p if isinstance(a, bytes) else ctypes.c_uint64 for a in args]
    f.restype = ctypes.c_uint64 if name == "extract_statements" else ctypes.c_int
    return f(*args)


def expect(wanted, name, *args):
    got = call(name, *args)
    assert got == wanted, (name, args, got)


def handle(name, *args):
    h = P()
    expect(SUCCESS, name, *args, ctypes.byref(h))
    return h


def run(wanted, name, *args):
    expect(wanted, name, *args, result)
    call("destroy_result", result)


def end(name, h):
    call(name, ctypes.byref(h))


assert sys.stdin.readline() == "go\n"
db = P()
expect(SUCCESS, "open", sys.argv[2].encode(), ctypes.byref(db))
con = handle("connect", db)
run(SUCCESS, "query", con, b"CREATE TABLE goods(id INTEGER PRIMARY KEY, name VARCHAR)")
run(SUCCESS, "query", con, b"INSERT INTO goods SELECT range, 'secret' FROM range(101)")
run(ERROR, "query", con, b"SELECT * FROM nowhere WHERE name = 'secret'")
statement = handle("prepare", con, b"SELECT name FROM goods WHERE id = 7 AND name <> 'secret'")
for _ in range(23):
    run(SUCCESS, "execute_prepared", statement)
end("destroy_prepare", statement)
bad = P()
expect(ERROR, "prepare", con, b"SELECT colour FROM goods WHERE name = 'secret'", ctypes.byref(bad))
end("destroy_prepare", bad)
# One in a text, and two: of those it is not known which is which.
for text, count in ((b"DELETE FROM goods WHERE name = 'secret one'", 1), (b"SELECT 'secret'; SELECT 2", 2)):
    several = P()
    expect(count, "extract_statements", con, text, ctypes.byref(several))
    for i in range(count):
        statement = handle("prepare_extracted_statement", con, several, i)
        pending = handle("pending_prepared", statement)
        run(SUCCESS, "execute_pending", pending)
        end("destroy_pending", pending)
        end("destroy_prepare", statement)
    end("destroy_extracted", several)
several = P()
expect(0, "extract_statements", con, b"SELEC 'secret'", ctypes.byref(several))
end("destroy_extracted", several)
end("disconnect", con)
end("close", db)
