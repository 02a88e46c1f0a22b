/* SPDX-License-Identifier: Apache-2.0 */
/* span/sql and lib/sql_lex: what is shown of a statement, and that no prefix of any statement shows a byte of a value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "span/sql.h"

/* Values in these statements are made of the letters Z and J and the digits 7 and 8, which nothing else in them uses. */
static const char secret[] = "ZJ78";

struct redact_case {
	const char *sql, *expect;
	enum sql_dialect dialect;
};

static const struct redact_case redact_cases[] = {
	{ "", "", SQL_ANSI },
	{ ";", ";", SQL_ANSI },
	{ "SELECT 1", "SELECT ?", SQL_ANSI },
	{ "SELECT 78", "SELECT ?", SQL_ANSI },
	{ "select 'ZZ'", "select ?", SQL_ANSI },
	{ "SELECT * FROM users WHERE id = 78", "SELECT * FROM users WHERE id = ?", SQL_ANSI },
	{ "SELECT  *\n\tFROM users\n", "SELECT * FROM users", SQL_ANSI },
	{ "  SELECT 7  ", "SELECT ?", SQL_ANSI },
	{ "SELECT a FROM t WHERE a='Z''J' AND b=1", "SELECT a FROM t WHERE a=? AND b=?", SQL_ANSI },
	{ "SELECT ''", "SELECT ?", SQL_ANSI },
	{ "SELECT ''''", "SELECT ?", SQL_ANSI },
	{ "SELECT 'Z", "SELECT ?", SQL_ANSI },
	{ "SELECT 'Z''", "SELECT ?", SQL_ANSI },
	{ "SELECT 'ZJ' 'JZ'", "SELECT ?", SQL_ANSI },
	{ "SELECT 'ZJ'\n'JZ' FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT E'Z\\'J' FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT e'Z\\\\' FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT E'Z\\", "SELECT ?", SQL_ANSI },
	{ "SELECT 'Z\\' FROM t WHERE b = 'J'", "SELECT ?", SQL_ANSI },
	{ "SELECT 'Z\\\\' FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT 'Z\\J' FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT B'Z', X'78', N'ZJ', x'7'", "SELECT ?, ?, ?, ?", SQL_ANSI },
	{ "SELECT U&'Z\\0078' FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT U&'Z\\0078' UESCAPE '!'", "SELECT ? UESCAPE ?", SQL_ANSI },
	{ "SELECT U&\"name\" FROM t", "SELECT U&\"name\" FROM t", SQL_ANSI },
	{ "SELECT $$Z'J$$ FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT $tag$Z $$ $ta$ J$tag$ FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT $tag$Z $$", "SELECT ?", SQL_ANSI },
	{ "SELECT $Z", "SELECT ?", SQL_ANSI },
	{ "SELECT $Z AS a", "SELECT ? AS a", SQL_ANSI },
	{ "DO $$ BEGIN PERFORM 'Z'; END $$", "DO ?", SQL_ANSI },
	{ "SELECT $1, $2", "SELECT $1, $2", SQL_ANSI },
	{ "SELECT $1Z", "SELECT ?", SQL_ANSI },
	{ "SELECT f$1$ FROM t", "SELECT f$1$ FROM t", SQL_ANSI },
	/* A number and a parameter end where a quote may begin. */
	{ "SELECT 2$a$Z J$a$ FROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT $1$a$Z J$a$ FROM t", "SELECT $1? FROM t", SQL_ANSI },
	{ "SELECT 2$a$Z J", "SELECT ?", SQL_ANSI },
	{ "SELECT 2b$a$, $a$Z J$a$", "SELECT ?", SQL_ANSI },
	{ "SELECT $2b$a$, $a$Z J$a$", "SELECT ?", SQL_ANSI },
	{ "UPDATE t SET a = $1 WHERE b = $2", "UPDATE t SET a = $1 WHERE b = $2", SQL_ANSI },
	{ "SELECT ? FROM t WHERE a = ?", "SELECT ? FROM t WHERE a = ?", SQL_ANSI },
	{ "SELECT a ->> 'Z' FROM t", "SELECT a ->> ? FROM t", SQL_ANSI },
	{ "SELECT a #> '{Z,J}' FROM t", "SELECT a #> ? FROM t", SQL_ANSI },
	{ "SELECT 7.8, .7, 7., 7e8, 7E-8, 0x7F, 7_8", "SELECT ?, ?, ?, ?, ?, ?, ?", SQL_ANSI },
	{ "SELECT 78ZJ", "SELECT ?", SQL_ANSI },
	{ "SELECT 7e-", "SELECT ?", SQL_ANSI },
	{ "SELECT a1, t2.b3 FROM t2", "SELECT a1, t2.b3 FROM t2", SQL_ANSI },
	{ "SELECT a-7, a - 8", "SELECT a-?, a - ?", SQL_ANSI },
	{ "SELECT a FROM t WHERE b = -7", "SELECT a FROM t WHERE b = ?", SQL_ANSI },
	{ "SELECT a FROM t WHERE b > +7.8e+7", "SELECT a FROM t WHERE b > ?", SQL_ANSI },
	{ "SELECT a[7:8] FROM t", "SELECT a[?:?] FROM t", SQL_ANSI },
	{ "SELECT \"Name\" FROM \"My \"\"Table\"\"\"", "SELECT \"Name\" FROM \"My \"\"Table\"\"\"", SQL_ANSI },
	{ "SELECT \"ZJ", "SELECT ?", SQL_ANSI },
	{ "SELECT a -- Z 'J\nFROM t", "SELECT a FROM t", SQL_ANSI },
	{ "SELECT a --Z", "SELECT a", SQL_ANSI },
	{ "SELECT /* Z */ a", "SELECT a", SQL_ANSI },
	{ "/* Z */ SELECT a", "SELECT a", SQL_ANSI },
	{ "SELECT a/*Z*/FROM t", "SELECT a FROM t", SQL_ANSI },
	{ "SELECT /* Z /* J */ 78 */ a", "SELECT a", SQL_ANSI },
	{ "SELECT a /* Z", "SELECT a", SQL_ANSI },
	{ "SELECT '/* Z' AS x, 7 /* ' */", "SELECT ? AS x, ?", SQL_ANSI },
	{ "SELECT a FROM t WHERE id IN (7, 8, 78)", "SELECT a FROM t WHERE id IN (?)", SQL_ANSI },
	{ "SELECT a FROM t WHERE id in ( 7,8 , 'Z' )", "SELECT a FROM t WHERE id in ( ? )", SQL_ANSI },
	{ "SELECT a FROM t WHERE id IN (-7, +8, - 7)", "SELECT a FROM t WHERE id IN (?, - ?)", SQL_ANSI },
	{ "SELECT a FROM t WHERE id IN ($1, $2)", "SELECT a FROM t WHERE id IN ($1, $2)", SQL_ANSI },
	{ "SELECT a FROM t WHERE id IN (7, $1, 8, 7)", "SELECT a FROM t WHERE id IN (?, $1, ?)", SQL_ANSI },
	{ "SELECT a FROM t WHERE (a, b) IN ((7, 'Z'), (8, 'J'))", "SELECT a FROM t WHERE (a, b) IN ((?))", SQL_ANSI },
	{ "SELECT a FROM t WHERE id IN (SELECT b FROM u WHERE c = 7)", "SELECT a FROM t WHERE id IN (SELECT b FROM u WHERE c = ?)", SQL_ANSI },
	{ "INSERT INTO t VALUES (7, 'Z')", "INSERT INTO t VALUES (?)", SQL_ANSI },
	{ "INSERT INTO t (a, b) VALUES (7, 'Z'), (8, 'J'), (78, NULL)", "INSERT INTO t (a, b) VALUES (?), (?, NULL)", SQL_ANSI },
	{ "INSERT INTO t VALUES (7, now()), (8, now()),\n(78, now()) RETURNING a", "INSERT INTO t VALUES (?, now()) RETURNING a", SQL_ANSI },
	{ "INSERT INTO t VALUES (f(7, 8), 'Z')", "INSERT INTO t VALUES (f(?, ?), ?)", SQL_ANSI },
	{ "INSERT INTO t VALUES ($1, $2), ($3, $4)", "INSERT INTO t VALUES ($1, $2), ($3, $4)", SQL_ANSI },
	{ "INSERT INTO t VALUES (?, ?), (?, ?)", "INSERT INTO t VALUES (?, ?)", SQL_ANSI },
	{ "SELECT ARRAY[7, 8, 78] <-> a FROM t", "SELECT ARRAY[?] <-> a FROM t", SQL_ANSI },
	{ "SELECT coalesce(a, 7, 8) FROM t", "SELECT coalesce(a, ?, ?) FROM t", SQL_ANSI },
	{ "SELECT a FROM t LIMIT 7 OFFSET 8", "SELECT a FROM t LIMIT ? OFFSET ?", SQL_ANSI },
	{ "SELECT 'Z'::text, date'ZJ', interval '7 J'", "SELECT ?::text, date?, interval ?", SQL_ANSI },
	{ "SELECT q'[Z'J]' FROM t", "SELECT ?", SQL_ANSI },
	{ "SELECT nq'{Z'J}', 7", "SELECT ?", SQL_ANSI },
	{ "ALTER USER u PASSWORD 'ZJ78'", "ALTER USER u PASSWORD ?", SQL_ANSI },
	/* Values that read like names. */
	{ "SET app.token = ZJ", "SET app.token = ?", SQL_ANSI },
	{ "SET LOCAL app.jwt TO ZJ", "SET LOCAL app.jwt TO ?", SQL_ANSI },
	{ "SET SESSION x TO Z, \"J\", 7; SELECT a", "SET SESSION x TO ?; SELECT a", SQL_ANSI },
	{ "set time zone ZJ ;", "set time zone ? ;", SQL_ANSI },
	{ "SET execute TO Z", "SET execute TO ?", SQL_ANSI },
	{ "SET x TO/**/\"Z\"(J)", "SET x TO ?", SQL_ANSI },
	{ "BEGIN; SET x=Z; COMMIT", "BEGIN; SET x=?; COMMIT", SQL_ANSI },
	{ "SET search_path", "SET search_path", SQL_ANSI },
	{ "ALTER ROLE x SET y TO ZJ", "ALTER ROLE x SET y TO ?", SQL_ANSI },
	{ "ALTER DATABASE x SET y = Z", "ALTER DATABASE x SET y = ?", SQL_ANSI },
	{ "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.api_key = ZJ AS 'SELECT 7'",
	  "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.api_key = ?", SQL_ANSI },
	{ "create or replace procedure f(a int DEFAULT 7) SET app.key TO ZJ SET x = J; SELECT a",
	  "create or replace procedure f(a int DEFAULT ?) SET app.key TO ?; SELECT a", SQL_ANSI },
	{ "CREATE FUNCTION f() RETURNS int AS $$ZJ$$ LANGUAGE sql SET \"app\".x = Z", "CREATE FUNCTION f() RETURNS int AS ? LANGUAGE sql SET \"app\".x = ?", SQL_ANSI },
	{ "CREATE TABLE t AS EXECUTE p(ZJ)", "CREATE TABLE t AS EXECUTE p(?)", SQL_ANSI },
	{ "CREATE RULE r AS ON UPDATE TO t DO UPDATE u SET a = b", "CREATE RULE r AS ON UPDATE TO t DO UPDATE u SET a = b", SQL_ANSI },
	{ "ALTER TABLE t SET (fillfactor = 70)", "ALTER TABLE t SET (fillfactor = ?)", SQL_ANSI },
	{ "ALTER TABLE t RENAME TO u", "ALTER TABLE t RENAME TO u", SQL_ANSI },
	{ "EXECUTE p(ZJ)", "EXECUTE p(?)", SQL_ANSI },
	{ "EXECUTE \"p\" ( Z, f(J), 7 ); SELECT a", "EXECUTE \"p\" ( ? ); SELECT a", SQL_ANSI },
	{ "EXPLAIN VERBOSE EXECUTE p(Z, (J", "EXPLAIN VERBOSE EXECUTE p(?", SQL_ANSI },
	{ "EXECUTE p", "EXECUTE p", SQL_ANSI },
	{ "GRANT EXECUTE ON FUNCTION f(int) TO u", "GRANT EXECUTE ON FUNCTION f(int) TO u", SQL_ANSI },
	{ "UPDATE t SET a = b, c = d + 7 WHERE e = f", "UPDATE t SET a = b, c = d + ? WHERE e = f", SQL_ANSI },
	{ "SET @@x = Z, @y := J", "SET @@x = ?", SQL_MYSQL },
	{ "SET @x := Z", "SET @x := ?", SQL_MYSQL },
	{ "SET PASSWORD = Z", "SET PASSWORD = ?", SQL_MYSQL },
	{ "SELECT TRUE, NULL", "SELECT TRUE, NULL", SQL_ANSI },
	{ "SELECT a; SELECT 'Z'", "SELECT a; SELECT ?", SQL_ANSI },
	{ "SELECT :name, :1, @var, %s", "SELECT :name, :?, @var, %s", SQL_ANSI },
	{ "SELECT \xc3\xa4 FROM t", "SELECT \xc3\xa4 FROM t", SQL_ANSI },
	{ "SELECT a\\", "SELECT a\\", SQL_ANSI },
	{ "SELECT 5--1\nFROM t", "SELECT ? FROM t", SQL_ANSI },
	{ "SELECT \"Z\" FROM t", "SELECT ? FROM t", SQL_MYSQL },
	{ "SELECT \"Z\"\"J\" FROM t", "SELECT ? FROM t", SQL_MYSQL },
	{ "SELECT 'Z\\'J' FROM `my t`", "SELECT ? FROM `my t`", SQL_MYSQL },
	{ "SELECT \"Z\\\"J\", 7", "SELECT ?, ?", SQL_MYSQL },
	{ "SELECT a # Z\nFROM t", "SELECT a FROM t", SQL_MYSQL },
	{ "SELECT u&\"ZJ\", u&'Z\\'J'", "SELECT u&?, u&?", SQL_MYSQL },
	{ "SELECT a # Z\rJ\nFROM t", "SELECT a FROM t", SQL_MYSQL },
	{ "SELECT a -- Z\rFROM t", "SELECT a FROM t", SQL_ANSI },
	{ "SELECT a--'Z\nJ'", "SELECT a--?", SQL_MYSQL },
	{ "SELECT a -- 'Z\nFROM t", "SELECT a FROM t", SQL_MYSQL },
	{ "SELECT 5--1", "SELECT ?-?", SQL_MYSQL },
	{ "SELECT /* Z /* J */ a", "SELECT a", SQL_MYSQL },
	{ "SELECT `ZJ", "SELECT ?", SQL_MYSQL },
	{ "SELECT _latin'Z', x'78', 0x78", "SELECT _latin?, ?, ?", SQL_MYSQL },
	{ "SELECT a FROM t WHERE a IN ('Z\\\\', \"J\")", "SELECT a FROM t WHERE a IN (?)", SQL_MYSQL },
	/* CQL: UUIDs and durations without quotes, comments of two kinds that do not nest. */
	{ "SELECT a FROM t WHERE id = 78787878-7777-8888-7878-787878787878", "SELECT a FROM t WHERE id = ?", SQL_CQL },
	{ "SELECT a FROM t WHERE id = a7bc8def-b777-c888-d878-e87878787878 AND b = 0x78", "SELECT a FROM t WHERE id = ? AND b = ?", SQL_CQL },
	{ "SELECT a FROM t WHERE id IN (a7bc8def-b777-c888-d878-e87878787878,f7bc8def-b777-c888-d878-e87878787878)", "SELECT a FROM t WHERE id IN (?)", SQL_CQL },
	{ "SELECT a FROM t WHERE a = a7bc8def-b7", "SELECT a FROM t WHERE a = ?", SQL_CQL },
	{ "SELECT a FROM t WHERE a = a7bc", "SELECT a FROM t WHERE a = ?", SQL_CQL },
	{ "SELECT a-b FROM ks.cafe", "SELECT a-b FROM ks.cafe", SQL_CQL },
	{ "SELECT a FROM deadbeef", "SELECT a FROM deadbeef", SQL_CQL },
	{ "SELECT a FROM t WHERE d = P7Y8M AND e = PT7H8M AND f = 7h8m AND p1 = ?", "SELECT a FROM t WHERE d = ? AND e = ? AND f = ? AND p1 = ?", SQL_CQL },
	{ "SELECT a // it's Z\nFROM t -- it's J", "SELECT a FROM t", SQL_CQL },
	{ "SELECT /* Z /* J */ a FROM t", "SELECT a FROM t", SQL_CQL },
	{ "INSERT INTO t (a) VALUES ($$Z'J$$)", "INSERT INTO t (a) VALUES (?)", SQL_CQL },
	{ "UPDATE t USING TTL 78 SET m = m + {'Z': 'J'}, l[7] = 8", "UPDATE t USING TTL ? SET m = m + {?: ?}, l[?] = ?", SQL_CQL },
	{ "CREATE ROLE me WITH PASSWORD = 'Z' AND LOGIN = true", "CREATE ROLE me WITH PASSWORD = ? AND LOGIN = true", SQL_CQL },
	/* ClickHouse: escapes in all quotes, two kinds of names, comments of three kinds, quotes of typographers, data behind a format. */
	{ "SELECT 'Z\\'J', \"a\\\"b 'c\", `d\\`e 'f` FROM t", "SELECT ?, \"a\\\"b 'c\", `d\\`e 'f` FROM t", SQL_CLICKHOUSE },
	{ "SELECT a --it's Z\n, b # it's J\n, c #!it's Z\n, d /* Z */ FROM t", "SELECT a , b , c , d FROM t", SQL_CLICKHOUSE },
	{ "SELECT a // it's Z\n, b -- x\r'J\n, c FROM t", "SELECT a , b , c FROM t", SQL_CLICKHOUSE },
	{ "SELECT a /* Z /* J */ it's */ FROM t WHERE b = 'Z'", "SELECT a", SQL_CLICKHOUSE },
	{ "SELECT $1$Z J$1$, $ $Z's$ $ FROM t", "SELECT ?, ? FROM t", SQL_CLICKHOUSE },
	{ "SELECT $1$Z J", "SELECT ?", SQL_CLICKHOUSE },
	{ "SELECT \xe2\x80\x98Z' J\xe2\x80\x99, a\xe2\x80\x9cZ\" J\xe2\x80\x9d FROM t", "SELECT ?, a? FROM t", SQL_CLICKHOUSE },
	{ "SELECT \xe2\x80\x98Z", "SELECT ?", SQL_CLICKHOUSE },
	{ "SELECT $x$Z'J$x$, x'78', 1e7, {id:UInt32} FROM db.t FINAL PREWHERE a IN (7, 8) FORMAT JSON", "SELECT ?, ?, ?, {id:UInt32} FROM db.t FINAL PREWHERE a IN (?) FORMAT JSON", SQL_CLICKHOUSE },
	{ "SELECT x'7\\' 'Z", "SELECT ?", SQL_CLICKHOUSE },
	{ "INSERT INTO t (a, b) VALUES (7, 'Z'), (8, 'J')", "INSERT INTO t (a, b) VALUES (?)", SQL_CLICKHOUSE },
	{ "INSERT INTO t FORMAT CSV\n7,Z;J", "INSERT INTO t FORMAT CSV ?", SQL_CLICKHOUSE },
	{ "INSERT INTO t FORMAT Values (7, 'Z')", "INSERT INTO t FORMAT Values ?", SQL_CLICKHOUSE },
	{ "SET a = 'Z', b = J", "SET a = ?", SQL_CLICKHOUSE },
	{ "CREATE USER me IDENTIFIED WITH sha256_password BY 'Z'", "CREATE USER me IDENTIFIED WITH sha256_password BY ?", SQL_CLICKHOUSE },
	{ "SELECT [a 'b], [c]]'d] FROM [dbo].[t] WHERE d = 'C:\\' AND e = N'Z''J' AND f = \"J\"", "SELECT [a 'b], [c]]'d] FROM [dbo].[t] WHERE d = ? AND e = ? AND f = ?", SQL_TSQL },
	{ "SELECT $7.50, $ 7, \xc2\xa3" "7, \xe2\x82\xac-7, $action, @a, @@b, #t.c, 0xZ FROM #t", "SELECT ?, ?, ?, ?, $action, @a, @@b, #t.c, ? FROM #t", SQL_TSQL },
	{ "SELECT a /* Z /* J */ it's */, b -- Z\r'J\n FROM t", "SELECT a , b FROM t", SQL_TSQL },
	{ "EXEC dbo.p @a = 'Z', @b = J, @c = 7; SELECT a FROM t", "EXEC dbo.p @a = ?, @b = ?, @c = ?; SELECT a FROM t", SQL_TSQL },
	{ "EXECUTE @r = [db]..[p] Z, J OUTPUT", "EXECUTE @r = [db]..[p] ?, ?", SQL_TSQL },
	{ "EXEC @p Z; EXEC @r = @p J, 7", "EXEC @p ?; EXEC @r = @p ?, ?", SQL_TSQL },
	{ "..p Z", "..p ?", SQL_TSQL },
	{ "SELECT $-- Z J\n, $ - 7 FROM t", "SELECT ? , ? FROM t", SQL_TSQL },
	{ "EXEC p;7Z@J Z", "EXEC p;?", SQL_TSQL },
	{ "SELECT 7EXEC p Z, J", "SELECT ? p ?, ?", SQL_TSQL },
	{ "SELECT \xef\xbc\x84" "7, \xef\xbf\xa5" "7 FROM t", "SELECT ?, ? FROM t", SQL_TSQL },
	{ "SELECT a FROM \xef\xbf", "SELECT a FROM \xef\xbf", SQL_TSQL }, /* the beginning of one alone */
	{ "sp_addlogin Z, J", "sp_addlogin ?, ?", SQL_TSQL },
	{ "IF 7 = 7 EXEC p Z", "IF ? = ? EXEC p ?", SQL_TSQL },
	{ "EXEC ('SELECT Z') AT s", "EXEC (?) AT s", SQL_TSQL },
	{ "CREATE LOGIN a WITH PASSWORD = 'Z'", "CREATE LOGIN a WITH PASSWORD = ?", SQL_TSQL },
	{ "INSERT INTO t (a) VALUES (7), (8)", "INSERT INTO t (a) VALUES (?)", SQL_TSQL },
	{ "SELECT [Z", "SELECT ?", SQL_TSQL },
	/* SQLite: "text" is a name only where nothing else can stand. */
	{ "SELECT \"u\".\"id\" FROM \"app user\" AS \"u\" WHERE \"u\".\"id\" = 7", "SELECT \"u\".\"id\" FROM \"app user\" AS \"u\" WHERE \"u\".\"id\" = ?", SQL_SQLITE },
	{ "SELECT a FROM t WHERE b = \"Z\" AND \"J\" = c", "SELECT a FROM t WHERE b = ? AND ? = c", SQL_SQLITE },
	{ "SELECT \"Z\", upper(\"J\")", "SELECT ?, upper(?)", SQL_SQLITE },
	{ "INSERT INTO \"t\" (\"a\", \"b\") VALUES (\"Z\", \"J\")", "INSERT INTO \"t\" (\"a\", \"b\") VALUES (?)", SQL_SQLITE },
	{ "INSERT INTO main.\"t\"(\"a\")VALUES(\"Z\"),(\"J\")", "INSERT INTO main.\"t\"(\"a\")VALUES(?)", SQL_SQLITE },
	{ "INSERT INTO t VALUES (\"Z\", lower(\"J\"))", "INSERT INTO t VALUES (?, lower(?))", SQL_SQLITE },
	{ "INSERT OR REPLACE INTO \"t\" (\"a\") SELECT \"Z\" FROM \"b\"", "INSERT OR REPLACE INTO \"t\" (\"a\") SELECT ? FROM \"b\"", SQL_SQLITE },
	{ "UPDATE \"t\" SET \"a\" = \"Z\", \"b\" = f(7, \"J\") WHERE c IN (\"Z\", \"J\")", "UPDATE \"t\" SET \"a\" = ?, \"b\" = f(?, ?) WHERE c IN (?)", SQL_SQLITE },
	{ "UPDATE t SET a = 7 WHERE b = 8, \"Z\"", "UPDATE t SET a = ? WHERE b = ?, ?", SQL_SQLITE },
	{ "CREATE TABLE \"t\" (\"a\" TEXT DEFAULT \"Z\", \"b\" INT CHECK (a > \"J\"))", "CREATE TABLE \"t\" (\"a\" TEXT DEFAULT ?, \"b\" INT CHECK (a > ?))", SQL_SQLITE },
	{ "CREATE TABLE IF NOT EXISTS \"t\" (\"a\")", "CREATE TABLE IF NOT EXISTS \"t\" (\"a\")", SQL_SQLITE },
	{ "SELECT a IS DISTINCT FROM \"Z\"", "SELECT a IS DISTINCT FROM ?", SQL_SQLITE },
	{ "SELECT a FROM t WHERE EXISTS (\"Z\")", "SELECT a FROM t WHERE EXISTS (?)", SQL_SQLITE },
	{ "SELECT [a b], `c` FROM [t]", "SELECT [a b], `c` FROM [t]", SQL_SQLITE },
	{ "SELECT [Z", "SELECT ?", SQL_SQLITE },
	{ "SELECT [a]] 'Z]', b", "SELECT [a]] ?, b", SQL_SQLITE },
	{ "SELECT `Z", "SELECT ?", SQL_SQLITE },
	{ "SELECT a FROM \"Z", "SELECT a FROM ?", SQL_SQLITE },
	{ "SELECT a FROM t WHERE b LIKE ? ESCAPE '\\' AND c = 'Z'", "SELECT a FROM t WHERE b LIKE ? ESCAPE ? AND c = ?", SQL_SQLITE },
	{ "SELECT 'Z\\', a", "SELECT ?, a", SQL_SQLITE },
	{ "SELECT e'Z', q'J', x'78' FROM t", "SELECT e?, q?, ? FROM t", SQL_SQLITE },
	{ "SELECT ?1, ?, :name, @name, $name, $a::b", "SELECT ?1, ?, :name, @name, $name, $a::b", SQL_SQLITE },
	{ "SELECT a /* Z /* J */, b -- Z\r J\n, c", "SELECT a , b , c", SQL_SQLITE },
	{ "PRAGMA key = Z", "PRAGMA key = ?", SQL_SQLITE },
	{ "PRAGMA key = \"x'78'\"; SELECT 7", "PRAGMA key = ?; SELECT ?", SQL_SQLITE },
	{ "PRAGMA main.rekey('Z')", "PRAGMA main.rekey(?)", SQL_SQLITE },
	{ "PRAGMA journal_mode", "PRAGMA journal_mode", SQL_SQLITE },
	/* Secrets that are no literals, or that lack their quotes */
	{ "CREATE SECRET s (TYPE http, BEARER_TOKEN ZJ)",
	  "CREATE SECRET s (TYPE ?, BEARER_TOKEN ?)", SQL_ANSI },
	{ "CREATE OR REPLACE PERSISTENT SECRET s IN f (KEY_ID ZJ, SECRET \"J\", HEADERS MAP {'a': Z, J: 'Z'}, SCOPE [Z, J], REGION Z); SELECT a",
	  "CREATE OR REPLACE PERSISTENT SECRET s IN f (KEY_ID ?, SECRET ?, HEADERS ?, SCOPE ?, REGION ?); SELECT a", SQL_ANSI },
	{ "CREATE TEMP SECRET s (SECRET Z}J]Z, SECRET Z;J); SELECT a",
	  "CREATE TEMP SECRET s (SECRET ?, SECRET ?); SELECT a", SQL_ANSI },
	{ "ATTACH ? AS e (ENCRYPTION_KEY \"ZJ\", READ_ONLY); SELECT a FROM t (b c)",
	  "ATTACH ? AS e (ENCRYPTION_KEY ?, READ_ONLY); SELECT a FROM t (b c)", SQL_ANSI },
	{ "COPY t (a, \"b\") TO 'Z' (KEY_ID ZJ, HEADER, CONFIG {k: Z})",
	  "COPY t (a, \"b\") TO ? (KEY_ID ?, HEADER, CONFIG ?)", SQL_ANSI },
	{ "EXPLAIN VERBOSE COPY (SELECT a + b FROM t WHERE (a, b) = (c, d)) TO ? (KEY_ID = Z)",
	  "EXPLAIN VERBOSE COPY (SELECT a + b FROM t WHERE (a, b) = (c, d)) TO ? (KEY_ID = ?)", SQL_ANSI },
	{ "EXPORT DATABASE 'Z' (KEY_ID Z)",
	  "EXPORT DATABASE ? (KEY_ID ?)", SQL_ANSI },
	{ "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (user 'a', password \"ZJ\")",
	  "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (user ?, password ?)", SQL_ANSI },
	{ "ALTER USER MAPPING FOR u SERVER s OPTIONS (SET password ZJ)",
	  "ALTER USER MAPPING FOR u SERVER s OPTIONS (SET ?)", SQL_ANSI },
	{ "INSERT INTO options (a, b) VALUES (7, 8)",
	  "INSERT INTO options (a, b) VALUES (?)", SQL_ANSI },
	{ "ALTER ROLE u WITH ENCRYPTED PASSWORD Z-J VALID UNTIL '7'",
	  "ALTER ROLE u WITH ENCRYPTED PASSWORD ? VALID UNTIL ?", SQL_ANSI },
	{ "ALTER ROLE u PASSWORD NULL",
	  "ALTER ROLE u PASSWORD NULL", SQL_ANSI },
	{ "CREATE TABLE t (password text); SELECT a FROM t WHERE password = b.c",
	  "CREATE TABLE t (password text); SELECT a FROM t WHERE password = b.c", SQL_ANSI },
	{ "CREATE USER u IDENTIFIED BY Z!J REPLACE \"7\"; SELECT a BY b",
	  "CREATE USER u IDENTIFIED BY ? REPLACE ?; SELECT a BY b", SQL_ANSI },
	{ "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER a, PASSWORD `ZJ`)",
	  "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER ?, PASSWORD ?)", SQL_MYSQL },
	{ "CREATE USER u IDENTIFIED WITH p BY ZJ, v IDENTIFIED VIA e USING PASSWORD(Z, J) PASSWORD EXPIRE NEVER",
	  "CREATE USER u IDENTIFIED WITH p BY ?, v IDENTIFIED VIA e USING ? PASSWORD EXPIRE NEVER", SQL_MYSQL },
	{ "GRANT a ON b TO c IDENTIFIED BY `ZJ` WITH GRANT OPTION",
	  "GRANT a ON b TO c IDENTIFIED BY ? WITH GRANT OPTION", SQL_MYSQL },
	{ "CREATE ROLE u WITH HASHED PASSWORD = ZJ AND LOGIN = true",
	  "CREATE ROLE u WITH HASHED PASSWORD = ? AND LOGIN = true", SQL_CQL },
	{ "BACKUP DATABASE d TO a WITH PASSWORD = ZJ, MEDIAPASSWORD=[ZJ], STATS",
	  "BACKUP DATABASE d TO a WITH PASSWORD = ?, MEDIAPASSWORD=?, STATS", SQL_TSQL },
	{ "SELECT a FROM s3('Z', Z, `J`, f(Z)) WHERE b = f(c)",
	  "SELECT a FROM s3(?) WHERE b = f(c)", SQL_CLICKHOUSE },
	{ "INSERT INTO FUNCTION remoteSecure('Z', d, t, Z, J) SELECT a FROM b",
	  "INSERT INTO FUNCTION remoteSecure(?) SELECT a FROM b", SQL_CLICKHOUSE },
	{ "CREATE TABLE t (a UInt) ENGINE = MySQL('Z', Z, J) ORDER BY a",
	  "CREATE TABLE t (a UInt) ENGINE = MySQL(?) ORDER BY a", SQL_CLICKHOUSE },
	{ "CREATE DICTIONARY d (a UInt) SOURCE(MYSQL(USER Z PASSWORD J)) LAYOUT(FLAT())",
	  "CREATE DICTIONARY d (a UInt) SOURCE(?) LAYOUT(FLAT())", SQL_CLICKHOUSE },
	{ "CREATE NAMED COLLECTION c AS k = 'Z', secret = J OVERRIDABLE; SELECT a",
	  "CREATE NAMED COLLECTION c AS k = ?, secret = ?; SELECT a", SQL_CLICKHOUSE },
	{ "CREATE USER u IDENTIFIED WITH plaintext_password BY \"ZJ\" HOST LOCAL",
	  "CREATE USER u IDENTIFIED WITH plaintext_password BY ? HOST LOCAL", SQL_CLICKHOUSE },
	{ "ATTACH ? AS e KEY ZJ",
	  "ATTACH ? AS e KEY ?", SQL_SQLITE },
	{ "ATTACH DATABASE \"Z\" AS \"aux\" KEY \"J\"", "ATTACH DATABASE ? AS \"aux\" KEY ?", SQL_SQLITE },
	{ "PRAGMA s3_secret = Z", "PRAGMA s3_secret = ?", SQL_ANSI },
};

enum { REDACT_CASES = sizeof(redact_cases) / sizeof(redact_cases[0]) };

struct summary_case {
	const char *sql, *summary, *operation, *collection;
};

static const struct summary_case summary_cases[] = {
	{ "", "", "", "" },
	{ "-- nothing", "", "", "" },
	{ "SELECT 1", "SELECT", "SELECT", "" },
	{ "select * from users", "select users", "select", "users" },
	{ "SELECT * FROM users u, orders AS o WHERE u.id = o.id", "SELECT users orders", "SELECT", "" },
	{ "SELECT * FROM users JOIN orders USING (id) LEFT JOIN items ON a = b", "SELECT users orders items", "SELECT", "" },
	{ "SELECT * FROM users a JOIN users b ON a.id = b.parent", "SELECT users users", "SELECT", "users" },
	{ "SELECT * FROM public.users", "SELECT public.users", "SELECT", "public.users" },
	{ "SELECT * FROM a/* ZJ */.b", "SELECT a", "SELECT", "a" },
	{ "SELECT * FROM \"users\"", "SELECT users", "SELECT", "users" },
	{ "SELECT * FROM \"song list\", 'artists'", "SELECT \"song list\"", "SELECT", "\"song list\"" },
	{ "SELECT * FROM \"s\".\"t\" WHERE x", "SELECT \"s\".\"t\"", "SELECT", "\"s\".\"t\"" },
	{ "SELECT EXTRACT(YEAR FROM at) FROM t", "SELECT t", "SELECT", "t" },
	{ "SELECT a IS DISTINCT FROM b FROM t WHERE c IS NOT DISTINCT FROM d", "SELECT t", "SELECT", "t" },
	{ "SELECT a FROM t ORDER BY a, b", "SELECT t", "SELECT", "t" },
	{ "SELECT a FROM generate_series(1, 7) g, t", "SELECT t", "SELECT", "t" },
	{ "SELECT a FROM (SELECT b FROM u) s, t", "SELECT SELECT u t", "SELECT", "" },
	{ "SELECT a FROM t WHERE x IN (SELECT y FROM u) GROUP BY a, c", "SELECT t SELECT u", "SELECT", "" },
	{ "SELECT a FROM t UNION ALL SELECT b FROM u", "SELECT t SELECT u", "SELECT", "" },
	{ "SELECT a FROM t FOR UPDATE", "SELECT t", "SELECT", "t" },
	{ "SELECT a AS update, b FROM t", "SELECT t", "SELECT", "t" },
	{ "SELECT a FROM ONLY t", "SELECT t", "SELECT", "t" },
	{ "INSERT INTO orders (id, x) VALUES (1, 'Z') ON CONFLICT (id) DO UPDATE SET x = 7", "INSERT orders", "INSERT", "orders" },
	{ "INSERT INTO shipping_details (a) SELECT b FROM orders", "INSERT shipping_details SELECT orders", "INSERT", "" },
	{ "UPDATE ONLY t SET a = 1 WHERE b = 7", "UPDATE t", "UPDATE", "t" },
	{ "UPDATE t SET a = u.b FROM u WHERE u.c = t.c", "UPDATE t u", "UPDATE", "" },
	{ "DELETE FROM t WHERE a = 'Z'", "DELETE t", "DELETE", "t" },
	{ "DELETE FROM t USING u WHERE t.a = u.a", "DELETE t u", "DELETE", "" },
	{ "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = 7", "MERGE t s", "MERGE", "" },
	{ "WITH x AS (SELECT a FROM t), y (b) AS (SELECT 7) SELECT * FROM x, y, u", "SELECT t SELECT SELECT u", "SELECT", "" },
	{ "WITH RECURSIVE x AS (SELECT a FROM t UNION SELECT a FROM x) SELECT a FROM x", "SELECT t SELECT SELECT", "SELECT", "t" },
	{ "WITH d AS (DELETE FROM t RETURNING a) INSERT INTO u SELECT a FROM d", "DELETE t INSERT u SELECT", "DELETE", "" },
	{ "CREATE TABLE IF NOT EXISTS t (a int, b text)", "CREATE TABLE t", "CREATE", "t" },
	{ "CREATE TABLE t AS SELECT a FROM u", "CREATE TABLE t SELECT u", "CREATE", "" },
	{ "CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX", "CREATE", "" },
	{ "DROP TABLE IF EXISTS t, u", "DROP TABLE t u", "DROP", "" },
	{ "ALTER TABLE t ADD COLUMN c int", "ALTER TABLE t", "ALTER", "t" },
	{ "TRUNCATE t, u", "TRUNCATE t u", "TRUNCATE", "" },
	{ "TRUNCATE TABLE t", "TRUNCATE t", "TRUNCATE", "t" },
	{ "COPY t (a, b) FROM STDIN", "COPY t", "COPY", "t" },
	{ "COPY (SELECT a FROM t) TO STDOUT", "COPY SELECT t", "COPY", "t" },
	{ "CALL proc(1)", "CALL proc", "CALL", "" },
	{ "BEGIN", "BEGIN", "BEGIN", "" },
	{ "BEGIN; UPDATE t SET a = 7; COMMIT", "BEGIN UPDATE t COMMIT", "BEGIN", "t" },
	{ "SET search_path TO a, b", "SET", "SET", "" },
	{ "EXPLAIN ANALYZE SELECT a FROM t", "EXPLAIN SELECT t", "EXPLAIN", "t" },
	{ "EXPLAIN (ANALYZE, BUFFERS) UPDATE t SET a = 7", "EXPLAIN UPDATE t", "EXPLAIN", "t" },
	{ "PREPARE p AS INSERT INTO t VALUES ($1)", "PREPARE INSERT t", "PREPARE", "t" },
	{ "GRANT SELECT ON t TO u", "GRANT", "GRANT", "" },
	{ "VALUES (7, 8)", "", "", "" },
};

enum { SUMMARY_CASES = sizeof(summary_cases) / sizeof(summary_cases[0]) };

/* The last n bytes in front of a page that cannot be read. */
static uint8_t *fence;
static size_t page;

static struct slice at_fence(const char *text, size_t n)
{
	assert_true(n <= page);
	uint8_t *p = fence + page - n;
	if (n)
		memcpy(p, text, n);
	return slice_make(p, n);
}

static int map_fence(void **state)
{
	(void)state;
	page = (size_t)sysconf(_SC_PAGESIZE);
	fence = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return fence == MAP_FAILED || mprotect(fence + page, page, PROT_NONE) != 0;
}

static int unmap_fence(void **state)
{
	(void)state;
	return munmap(fence, 2 * page);
}

static void assert_text(const char *got, size_t n, const char *expect, const char *sql)
{
	if (n != strlen(expect) || (n && memcmp(got, expect, n) != 0))
		fail_msg("%s\n  gave   %.*s\n  wanted %s", sql, (int)n, got, expect);
}

static void redacts(void **state)
{
	(void)state;
	assert_true(REDACT_CASES >= 80);
	for (size_t i = 0; i < REDACT_CASES; i++) {
		const struct redact_case *c = &redact_cases[i];
		char out[512];
		size_t n = sql_redact(at_fence(c->sql, strlen(c->sql)), c->dialect, out, sizeof(out));

		assert_text(out, n, c->expect, c->sql);
	}
}

/* Every prefix into every room: nothing of a value, nothing outside the room. */
static void no_prefix_shows_a_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < REDACT_CASES; i++) {
		const struct redact_case *c = &redact_cases[i];

		for (size_t n = 0; n <= strlen(c->sql); n++) {
			char out[512];

			for (size_t cap = 0; cap < 64; cap += 7) {
				memset(out, 'Q', sizeof(out));
				size_t len = sql_redact(at_fence(c->sql, n), c->dialect, out, cap);
				assert_true(len <= cap);
				for (size_t j = 0; j < len; j++)
					if (memchr(secret, out[j], sizeof(secret) - 1))
						fail_msg("%.*s shows %.*s", (int)n, c->sql, (int)len, out);
				for (size_t j = cap; j < sizeof(out); j++)
					assert_int_equal(out[j], 'Q');
			}
			struct sql_description d;
			sql_describe(at_fence(c->sql, n), c->dialect, &d);
			for (size_t j = 0; j < d.summary_len; j++)
				if (memchr(secret, d.summary[j], sizeof(secret) - 1))
					fail_msg("%.*s is summed up as %s", (int)n, c->sql, d.summary);
		}
	}
}

static void sums_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUMMARY_CASES; i++) {
		const struct summary_case *c = &summary_cases[i];
		struct slice sql = at_fence(c->sql, strlen(c->sql));
		struct sql_description whole;

		sql_describe(sql, SQL_ANSI, &whole);
		assert_text(whole.summary, whole.summary_len, c->summary, c->sql);
		assert_text((const char *)whole.operation.ptr, whole.operation.len, c->operation, c->sql);
		assert_text((const char *)whole.collection.ptr, whole.collection.len, c->collection, c->sql);
		for (size_t n = 0; n <= sql.len; n++) {
			struct sql_description d;
			sql_describe(at_fence(c->sql, n), SQL_ANSI, &d);
			assert_true(d.summary_len <= SQL_SUMMARY_MAX);
			assert_null(memchr(d.summary, 'Z', d.summary_len));
		}
	}
}

static void sums_up_cql(void **state)
{
	static const struct summary_case cases[] = {
		{ "DELETE a FROM ks.t USING TIMESTAMP 7 WHERE b = 8", "DELETE ks.t", "DELETE", "ks.t" },
		{ "BEGIN UNLOGGED BATCH INSERT INTO t (a) VALUES (7); UPDATE t SET a = 8 WHERE b = 7; APPLY BATCH", "BEGIN INSERT t UPDATE t", "BEGIN", "t" },
		{ "INSERT INTO ks.t JSON '{}'", "INSERT ks.t", "INSERT", "ks.t" },
		{ "TRUNCATE t", "TRUNCATE t", "TRUNCATE", "t" },
		{ "SELECT * FROM ks.t WHERE token(a) > token(7) ALLOW FILTERING", "SELECT ks.t", "SELECT", "ks.t" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct summary_case *c = &cases[i];
		struct sql_description d;

		sql_describe(at_fence(c->sql, strlen(c->sql)), SQL_CQL, &d);
		assert_text(d.summary, d.summary_len, c->summary, c->sql);
		assert_text((const char *)d.operation.ptr, d.operation.len, c->operation, c->sql);
		assert_text((const char *)d.collection.ptr, d.collection.len, c->collection, c->sql);
	}
}

static void sqlite_is_summed_up(void **state)
{
	static const char *const cases[][2] = {
		{ "INSERT OR REPLACE INTO t VALUES (7)", "INSERT t" }, { "REPLACE INTO t VALUES (7)", "REPLACE t" },
		{ "SELECT * FROM \"users\" JOIN [orders] ON 7", "SELECT users orders" }, { "SELECT \"a\" FROM t", "SELECT t" }, { "PRAGMA table_info(t)", "PRAGMA" },
		{ "UPDATE OR IGNORE t SET a = 7", "UPDATE t" }, { "CREATE TABLE IF NOT EXISTS \"t\" (\"a\")", "CREATE TABLE t" }, { "ATTACH 'Z' AS a", "ATTACH" },
		{ "EXPLAIN QUERY PLAN SELECT * FROM t", "EXPLAIN SELECT t" }, { "DELETE FROM \"t\"", "DELETE t" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sql_description d;
		sql_describe(slice_str(cases[i][0]), SQL_SQLITE, &d);
		assert_text(d.summary, d.summary_len, cases[i][1], cases[i][0]);
	}
}

static void clickhouse_is_summed_up(void **state)
{
	static const struct summary_case cases[] = {
		{ "SELECT a FROM t ARRAY JOIN b AS c LEFT ARRAY JOIN d GLOBAL ANY LEFT JOIN u USING id", "SELECT t u", "SELECT", "" },
		{ "INSERT INTO db.t (a) VALUES", "INSERT db.t", "INSERT", "db.t" },
		{ "INSERT INTO db.t FORMAT TSV\nselect a from secrets", "INSERT db.t", "INSERT", "db.t" },
		{ "CREATE TABLE IF NOT EXISTS db.t (a UInt8) ENGINE = MergeTree ORDER BY a", "CREATE TABLE db.t", "CREATE", "db.t" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct summary_case *c = &cases[i];
		struct sql_description d;

		sql_describe(at_fence(c->sql, strlen(c->sql)), SQL_CLICKHOUSE, &d);
		assert_text(d.summary, d.summary_len, c->summary, c->sql);
		assert_text((const char *)d.operation.ptr, d.operation.len, c->operation, c->sql);
		assert_text((const char *)d.collection.ptr, d.collection.len, c->collection, c->sql);
	}
}

static void summary_holds_whole_names_only(void **state)
{
	char sql[4096];
	size_t n = (size_t)snprintf(sql, sizeof(sql), "SELECT * FROM table_of_19_letters");

	(void)state;
	for (int i = 0; i < 30; i++)
		n += (size_t)snprintf(sql + n, sizeof(sql) - n, ", table_of_19_letters");
	n += (size_t)snprintf(sql + n, sizeof(sql) - n, ", x");
	struct sql_description d;
	sql_describe(slice_make(sql, n), SQL_ANSI, &d);
	assert_int_equal(d.summary_len, 6 + 12 * 20);
	assert_int_equal(d.summary[d.summary_len - 1], 's');
	assert_int_equal(d.targets, 32);
}

static void cuts_between_characters(void **state)
{
	char out[16];
	struct slice sql = SLICE_LIT("SELECT \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 FROM t");
	static const size_t lens[] = { 7, 7, 9, 9, 9, 12, 12, 12, 12, 16 };

	(void)state;
	for (size_t cap = 7; cap <= 16; cap++)
		assert_int_equal(sql_redact(sql, SQL_ANSI, out, cap), lens[cap - 7]);
}

static void big_lists_fit_a_small_room(void **state)
{
	enum { ROWS = 20011 };
	char *sql = malloc(ROWS * 16 + 64), out[64];
	size_t n = (size_t)snprintf(sql, 64, "INSERT INTO t VALUES (7)");

	(void)state;
	assert_non_null(sql);
	for (int i = 0; i < ROWS; i++)
		n += (size_t)snprintf(sql + n, 16, ", (%d)", i);
	assert_text(out, sql_redact(slice_make(sql, n), SQL_ANSI, out, sizeof(out)), "INSERT INTO t VALUES (?)", "rows");
	memset(sql, '(', ROWS);
	assert_int_equal(sql_redact(slice_make(sql, ROWS), SQL_ANSI, out, sizeof(out)), sizeof(out));
	struct sql_description d;
	sql_describe(slice_make(sql, ROWS), SQL_ANSI, &d);
	assert_int_equal(d.summary_len, 0);
	free(sql);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(redacts),
		cmocka_unit_test(no_prefix_shows_a_value),
		cmocka_unit_test(sums_up), cmocka_unit_test(sums_up_cql), cmocka_unit_test(clickhouse_is_summed_up), cmocka_unit_test(sqlite_is_summed_up),
		cmocka_unit_test(summary_holds_whole_names_only),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(big_lists_fit_a_small_room),
	};
	return cmocka_run_group_tests_name("sql", tests, map_fence, unmap_fence);
}
