// SPDX-License-Identifier: Apache-2.0
// Serves the routes of the truth tests (the same as httpd.py and go/httpd): node httpd.js PORT [DELAY_SECONDS]
'use strict';
const http = require('http');

const delayMs = 1000 * Number(process.argv[3] || 0.053);

function answer(request, response) {
	const kind = request.url.split('/')[1];
	const reply = (status, body) => {
		response.writeHead(status, status === 204 ? {} : { 'Content-Length': Buffer.byteLength(body) });
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

http.createServer((request, response) => {
	request.resume();
	request.on('end', () => answer(request, response));
}).listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 1024 });
