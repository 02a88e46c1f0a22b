# SPDX-License-Identifier: Apache-2.0
"""tls_databases.py PORT postgresql|mysql|redis new|older: 101 statements or commands over TLS, of which 7 fail, at "go"; on a connection that is made then, or is older."""
import ssl
import sys

import psycopg2
import pymysql
import redis

PORT, KIND, AGE = int(sys.argv[1]), sys.argv[2], sys.argv[3]

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE


def postgresql():
    connection = psycopg2.connect(host="127.0.0.1", port=PORT, user="plumb", dbname="postgres", sslmode="require", gssencmode="disable")
    connection.autocommit = True
    return connection.cursor().execute, "SELECT 'secret', %s", "SELECT no_such_column_%s", psycopg2.Error


def mysql():
    connection = pymysql.connect(host="127.0.0.1", port=PORT, user="plumb", password="sesame", database="shop", ssl=context, autocommit=True)
    return connection.cursor().execute, "SELECT 'secret', %s", "SELECT no_such_column_%s", pymysql.Error


def redis_():
    client = redis.Redis(host="127.0.0.1", port=PORT, ssl=True, ssl_cert_reqs="none", ssl_check_hostname=False)
    client.set("word", "secret")
    return lambda text, args: client.execute_command(text, "word", *args), "GETRANGE", "LPUSH", redis.ResponseError


begin = {"postgresql": postgresql, "mysql": mysql, "redis": redis_}[KIND]
made = begin() if AGE == "older" else None
print("ready", flush=True)
assert sys.stdin.readline() == "go\n"
execute, right, wrong, error = made or begin()
for i in range(101):
    if i % 15 == 3:
        try:
            execute(wrong, (i,))
            sys.exit("no error")
        except error:
            pass
    else:
        execute(right, (0, i) if KIND == "redis" else (i,))
