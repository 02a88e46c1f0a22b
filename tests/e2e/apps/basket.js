// SPDX-License-Identifier: Apache-2.0
// Second service of the joined trace: asks the third one and answers with what it says: node basket.js PORT NEXT
'use strict';
const http = require('http');

const [port, next] = process.argv.slice(2, 4).map(Number);
const agent = new http.Agent({ keepAlive: true });

http.createServer((request, response) => {
	const number = request.url.split('/').pop();
	http.get({ host: '127.0.0.1', port: next, path: `/stock/${number}`, agent }, (answer) => {
		let body = '';
		answer.on('data', (piece) => { body += piece; });
		answer.on('end', () => response.end(body));
	});
}).listen(port, '127.0.0.1');
