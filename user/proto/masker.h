/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masks payloads for recordings that are shared (recorder_options.mask): a byte stays only if it is framing or a word
 * of a fixed list, so a secret cannot survive anywhere; every other byte becomes 'x' in place. Works byte by byte
 * over any cut of the stream, as records are written when they come. What is not understood, or follows a hole whose
 * end is not known, is masked whole.
 *
 *   HTTP/1      methods, `/?&=:.*` of targets (letters become x, digits 0), version, status, names and values of Content-Length,
 *               Transfer-Encoding, Connection and Upgrade as far as they are known words, chunk sizes, line ends;
 *               of a length the first 10 digits, of a chunk's size the first 8
 *   HTTP/2      frame heads, lengths of padding, sizes of tables and frames, codes of RST_STREAM; of header blocks indexes, lengths and
 *               status codes, a path's first `/`; a string becomes as many bytes of x, or of the code of zeros
 *   Redis       type bytes, lengths, names of commands and pushes, first words of errors, OK, PONG and QUEUED, the number of
 *               subscriptions in a confirmation of one (5 digits)
 *   PostgreSQL  types, lengths, NULs, start-up keys, the first keyword of statements, SQLSTATE, severity, command tags,
 *               transaction status
 *   Memcached   commands and the first words of answers, lengths of data, letters of flags, subcommands of stats and the like, line ends; of binary
 *               headers all but the CAS value
 *   MySQL       (told by the greeting) lengths, numbers of packets, commands, flags, the first keyword of statements, numbers of statements and columns, status,
 *               error numbers and SQLSTATE; small numbers of rows, larger ones become zero
 *   MongoDB     headers but for half of each id, lengths, types of values, NULs, names of commands and of their fields, of replies whether they
 *               failed, codes and counts up to two bytes; numbers and ids in documents become zero
 *   Cassandra   (told by OPTIONS or STARTUP) heads of envelopes and segments, the first keyword of statements, lengths of texts, ids and tokens, consistency,
 *               options and events as far as they are known words, kinds of results, error numbers; a number of rows where no columns stand in front;
 *               nothing of what is compressed
 *   NATS        words of lines, sizes and other numbers in arguments (8 digits), `.*>` and the words of NATS' own interfaces in subjects; an inbox becomes another one.
 *               Of JSON the marks, verbose and pedantic; statuses of header blocks, words of errors, kinds of acknowledgements
 *   MQTT        heads, packet ids, lengths and `/+#` of topics, options, codes; properties become others of the same length
 *   AMQP        heads and ends of frames, classes and methods, lengths of texts and tables, flags, delivery tags (32 bits), reply codes, the size of a body; other numbers
 *               become zero
 *   Kafka       (frames below 512 MiB) lengths, numbers of elements, request keys and versions, the low three bytes of correlation ids, error codes, acknowledgements asked for, partitions up to
 *               2^16; of batches lengths, format, low attributes and number of records below 2^24; other numbers become zero
 *   ZooKeeper   lengths, numbers of elements, the low three bytes of a request's number, what is asked, errors, `/` of paths, time-outs below 2^24; other numbers become zero
 *   LDAP        tags and lengths, the low three bytes of message ids, result codes, scopes, flags; of the names of extensions those that are known; other numbers become zero
 *   SMTP        (told by EHLO, or a greeting that says SMTP) commands, codes, enhanced codes, `:<>@.=` and words of extensions, the length of a chunk (10 digits), line ends,
 *               dots that begin a line of a message
 *   STOMP       commands, names of headers, lengths of bodies, `/ :.` and known words of destinations and errors, how a subscription acknowledges; names of receipts,
 *               subscriptions and messages become others
 *   FTP         (told by a greeting, or a command that nothing else has) commands, codes, security mechanisms, `/`, line ends
 *   AMQP 1.0    heads of frames, types, sizes and counts of values, what they are described as; of performatives the handles, numbers of deliveries, channels and outcomes, conditions of errors
 *               and names of systems as far as they are known words; other numbers become zero. Of a message in several frames the later ones: nothing
 *   ClickHouse  (told by the client's Hello) packets, lengths, revisions, marks, the first keyword of statements, error numbers below 2^16, sizes of frames, numbers of columns and rows, types and
 *               lengths of values where columns are walked (of plain types, in arrays, dictionaries, with NULL; fewer than 2^24 rows); other numbers become zero. Behind another column,
 *               or settings of servers before revision 54429, nothing until a record begins with what is known
 *   Thrift      (nothing of what is compressed, sizes below 512 MiB) lengths, types and ids of fields, numbers of elements, sequence ids, colons of names, numbers of exceptions; of THeader's headers three bytes of
 *               the sequence number
 *   bRPC        (told by a call) letters and lengths of heads (up to 64 MiB, meta messages to 1 MiB), tags and lengths of fields that are known, correlation ids, numbers of streams and their frames,
 *               of methods and errors; a stream's first frame to the caller as an answer if it has the length of one; other numbers become zero
 *   FastCGI     heads of records, roles and statuses, lengths of parameters, names of those that are read, methods, `/?&=` of targets; of a response's head known names,
 *               line ends and the status
 *   Oracle      (told by a CONNECT) heads of packets; of packets that are in one record whole: calls and their numbers, the first word of statements, how an answer ended, ORA numbers;
 *               versions and sizes of what is agreed upon
 *   Couchbase   heads of messages but for the high byte of their number and the CAS value, heads of known frames, the level of durability, the server's time, features agreed on, numbers of
 *               collections below 2^16 in answers, and before keys where that is agreed on
 *   ZeroMQ      (told by its signature) greetings, flags and lengths of frames, names of commands and of the properties that are known, types of sockets, the first byte of a subscription, status
 *               codes of refusals; numbers of requests, and who a ROUTER says has asked, become others. With CURVE nothing else is to be seen
 *   Dubbo       heads with three bytes of an id and none of the others, the first byte of a body, of a request in hessian2 the lengths of its first four texts, whether an answer is an exception
 *   Pulsar      sizes of frames and commands, types, lengths and numbers of fields, `persistent://` of topics, the low 21 bits of numbers in commands, whether metadata say that it is a batch or
 *               compressed; other numbers become zero
 *   RocketMQ    lengths, codes, versions, flags and the number that pairs (of binary headers their languages, too, and no more than the low three bytes of the number), marks of JSON, names of fields
 *               that are known; other numbers in JSON become zero
 *   TDS         (told by PRELOGIN, LOGIN7 or the headers of a request) heads of packets but for the process, options of PRELOGIN and whether there is encryption, version; the first keyword of
 *               statements, numbers and names of well-known procedures, handles below 2^21; tokens, types and lengths (below 2^21), NULLs, status and command of a DONE, numbers of rows and errors
 *               below 2^21. Rows of more than 120 columns (with a bitmap of NULLs: 32), longer texts and what is no token known here: of the rest nothing but the DONE at the end. Of sessions
 *               of MARS nothing
 *   Aerospike   heads of messages but for generations and times, lengths and types of fields and operations, of batches how many records there are and which share what; names of namespaces,
 *               sets, modules and functions become others; names of known info commands, that one failed and the code (3 digits); of what is compressed its size
 *   DNS         (UDP port 53, 5353, 5355) header, lengths of labels, types, classes, TTLs, lengths of data; the data become zeros
 *   TLS         (told by its first record) heads of records; the number by which a record is known (plumb_record_number()), in sockets' and sessions' data alike, becomes another. Of what
 *               other protocols switch to nothing
 *   Calls       (of libraries: SQLite, DuckDB) the first word of statements, `:memory:` as a database's name, of drivers of GPUs kernels' names
 *
 * Protocols that are BLANK in protocols.def, what is none, Memcached in datagrams and DNS over TCP: nothing.
 */
#ifndef PLUMB_PROTO_MASKER_H
#define PLUMB_PROTO_MASKER_H

#include "model/record.h"

struct masker;

/*
 * At most max_connections at once, 0 = 65536; beyond, the oldest one is forgotten and what it still says is
 * masked whole unless it begins anew. `key`: chance that is told nobody, without which names that become others
 * (the same everywhere in a recording) could be guessed.
 */
int masker_new(uint32_t max_connections, uint64_t key, struct masker **ret_masker);
void masker_free(struct masker *m);
/* A recorder_options.mask; ctx is the masker. Must see every record in order. */
void masker_record(void *ctx, struct record *rec, uint8_t *payload, size_t len);

#endif
