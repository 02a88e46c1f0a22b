# SPDX-License-Identifier: Apache-2.0
"""argv: port. Queries whose text tells how many rows they return, and some that fail."""
import sys
import threading

import psycopg2


def work(n):
    connection = psycopg2.connect(host="127.0.0.1", port=int(sys.argv[1]), user="plumb", dbname="postgres", sslmode="disable", gssencmode="disable")
    connection.autocommit = True
    cursor = connection.cursor()
    for i in range(307):
        rows = (i * 7 + n * 13) % 101
        try:
            cursor.execute(f"SELECT {'nothing' if i % 11 == 0 else 's'} FROM generate_series(1,{rows}) s")
            cursor.fetchall()
        except psycopg2.Error:
            pass


sys.stdin.readline()
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
