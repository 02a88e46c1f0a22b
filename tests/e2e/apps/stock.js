// SPDX-License-Identifier: Apache-2.0
// The second service: GET /stock/N asks Redis (RESP2 by hand, no client library): node stock.js PORT REDIS_PORT
'use strict';
const http = require('http');
const net = require('net');

const waiting = [];
let text = '';
const redis = net.connect(Number(process.argv[3]), '127.0.0.1');
redis.setNoDelay(true);
redis.on('data', (data) => {
	text += data;
	for (let end; (end = text.indexOf('\r\n')) >= 0; text = text.slice(end + 2))
		waiting.shift()(text.slice(1, end)); // INCRBY answers with one line, ":N"
});
redis.on('error', (e) => { throw e; });

function increment(number, then) {
	const key = `stock:${number}`;
	waiting.push(then);
	redis.write(`*3\r\n$6\r\nINCRBY\r\n$${key.length}\r\n${key}\r\n$1\r\n7\r\n`);
}

redis.once('connect', () => http.createServer((request, response) => {
	const number = request.url.split('/')[2];
	increment(number, (value) => {
		response.writeHead(200, { 'Content-Length': Buffer.byteLength(value) });
		response.end(value);
	});
}).listen(Number(process.argv[2]), '127.0.0.1'));
