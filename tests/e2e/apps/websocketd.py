# SPDX-License-Identifier: Apache-2.0
"""websocketd.py PORT: answers each message with as many as it says ("7" with seven, in fragments if it ends in f), closes with the code that "close CODE" names, and
vanishes at "vanish"."""
import sys

from websockets.sync.server import serve


def handle(connection):
    for message in connection:
        if isinstance(message, bytes):
            connection.send(message)
        elif message.startswith("close "):
            connection.close(int(message[6:]), "secret reason")
        elif message == "vanish":
            connection.socket.shutdown(2)
        elif message.endswith("f"):
            connection.send(["part "] * int(message[:-1]))
        else:
            for i in range(int(message)):
                connection.send(f"secret {i}")


with serve(handle, "127.0.0.1", int(sys.argv[1])) as server:
    server.serve_forever()
