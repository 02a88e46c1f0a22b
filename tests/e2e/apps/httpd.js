// SPDX-License-Identifier: Apache-2.0
// Serves the routes of the truth tests (the same as httpd.py and go/httpd): node httpd.js PORT [DELAY_SECONDS]
// HTTPD_TLS=FOLDER: over TLS, with the certificate there; HTTPD_H2=1: HTTP/2, too.
'use strict';
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');

const delayMs = 1000 * Number(process.argv[3] || 0.053);

function answer(request, response) {
	const kind = request.url.split('/')[1];
	const reply = (status, body) => {
		response.writeHead(status, status === 204 ? {} : { 'content-length': Buffer.byteLength(body) });
		response.end(body);
	};
	switch (kind) {
	case 'items': return request.method === 'DELETE' ? reply(204, '') : reply(200, `one item: ${request.url}\n`);
	case 'upload': return reply(201, 'stored\n');
	case 'big': return reply(200, 'b'.repeat(200003));
	case 'chunks': // no length given
		for (let i = 0; i < 5; i++)
			response.write('c'.repeat(701));
		return response.end();
	case 'slow': return setTimeout(() => reply(200, 'at last\n'), delayMs);
	case 'fail': return reply(500, 'no\n');
	case 'busy': return reply(503, 'later\n');
	default: return reply(404, 'none\n');
	}
}

function serve(request, response) {
	request.resume();
	request.on('end', () => answer(request, response));
}

const folder = process.env.HTTPD_TLS;
const pair = folder && { cert: fs.readFileSync(`${folder}/cert.pem`), key: fs.readFileSync(`${folder}/key.pem`), allowHTTP1: true };
const server = !folder ? http.createServer(serve) : process.env.HTTPD_H2 ? http2.createSecureServer(pair, serve) : https.createServer(pair, serve);
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 1024 });
