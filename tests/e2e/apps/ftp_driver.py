# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of steps through ftplib: ftp_driver.py PORT < "go"."""
import ftplib
import io
import sys

port = int(sys.argv[1])


def fails(code, run):
    try:
        run()
    except ftplib.Error as e:
        assert str(e)[:3] == code, e
    else:
        assert False, "not refused"


def transfers(f):
    for i in range(11):
        f.storbinary(f"STOR file{i}.txt", io.BytesIO(b"secret %d" % i))
    f.storbinary("STOR big.bin", io.BytesIO(b"secret" * 200_000))
    for i in range(7):
        got = io.BytesIO()
        f.retrbinary(f"RETR file{i}.txt", got.write)
        assert got.getvalue() == b"secret %d" % i
    for i in range(3):
        fails("550", lambda: f.retrbinary("RETR none.txt", print))
    assert len(f.nlst()) == 12
    lines = []
    f.dir("-la", "/in", lines.append)
    assert len(lines) >= 12
    assert f.size("big.bin") == 1_200_000


def others(f):
    assert f.sendcmd("FEAT").startswith("211")
    assert f.pwd() == "/in"
    f.rename("file0.txt", "first.txt")
    fails("550", lambda: f.rename("none.txt", "x.txt"))
    f.delete("first.txt")
    f.mkd("new")
    f.rmd("new")
    fails("550", lambda: f.rmd("new"))
    fails("500", lambda: f.voidcmd("FROB secret"))
    f.sock.sendall(b"NOOP\r\nPWD\r\nSYST\r\nNOOP\r\n")
    assert [f.getresp()[:3] for _ in range(4)] == ["200", "257", "215", "200"]


assert sys.stdin.readline() == "go\n"
ftp = ftplib.FTP()
ftp.connect("127.0.0.1", port)
fails("530", lambda: ftp.login("secret", "sesame"))
ftp.login("anonymous", "sesame")
ftp.cwd("in")
transfers(ftp)
others(ftp)
ftp.quit()
