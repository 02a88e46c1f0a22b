# SPDX-License-Identifier: Apache-2.0
"""argv: port. Queries whose text tells how many rows they return, and some that fail."""
import sys
import threading

import pymysql


def work(n):
    connection = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="plumb", password="sesame", database="shop", autocommit=True)
    cursor = connection.cursor()
    for i in range(307):
        rows = 1 + (i * 7 + n * 13) % 101
        try:
            cursor.execute(f"SELECT {'nothing' if i % 11 == 0 else 'seq'} FROM seq_1_to_{rows}")
            cursor.fetchall()
        except pymysql.Error:
            pass


sys.stdin.readline()
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
