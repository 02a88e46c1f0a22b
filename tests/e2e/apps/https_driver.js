// SPDX-License-Identifier: Apache-2.0
// node https_driver.js PORT FOLDER VERSION CONNECTIONS WAY: as https_driver.py; WAY: https, with an agent that keeps its connections; http2, where streams share one; or fetch, which
// has the certificate by NODE_EXTRA_CA_CERTS and the version by --tls-min-v… and --tls-max-v….
'use strict';
const fs = require('fs');
const http2 = require('http2');
const https = require('https');

const [port, folder, version, connections, way] = process.argv.slice(2);
const tls = { ca: fs.readFileSync(`${folder}/cert.pem`), minVersion: `TLSv${version}`, maxVersion: `TLSv${version}` };
const now = () => { const [s, ns] = process.hrtime(); return s * 1e9 + ns; }; // Node 8 has no hrtime.bigint()
let plan = [], next = 0, ended = 0;
let ask, end;

function done(request, status, beginNs) {
	console.log(JSON.stringify({ path: request.path, status, ns: now() - beginNs }));
	if (++ended === plan.length)
		end();
	else
		one();
}

function one() {
	if (next === plan.length)
		return;
	const request = plan[next++];
	ask(request, now());
}

function over1() {
	const agent = new https.Agent({ ...tls, keepAlive: true, maxSockets: Number(connections) });
	ask = (request, beginNs) => {
		const headers = request.body ? { 'content-length': request.body } : {};
		https.request({ host: 'localhost', port, method: request.method, path: request.path, headers, agent }, response => {
			response.resume();
			response.on('end', () => done(request, response.statusCode, beginNs));
		}).end(request.body ? 'u'.repeat(request.body) : undefined);
	};
	end = () => agent.destroy();
}

function over2() {
	const session = http2.connect(`https://localhost:${port}`, tls);
	ask = (request, beginNs) => {
		const stream = session.request({ ':method': request.method, ':path': request.path });
		let status;
		stream.on('response', headers => { status = headers[':status']; });
		stream.resume();
		stream.on('end', () => done(request, status, beginNs));
		stream.end(request.body ? 'u'.repeat(request.body) : undefined);
	};
	end = () => session.close();
}

function byFetch() {
	ask = async (request, beginNs) => {
		const response = await fetch(`https://localhost:${port}${request.path}`, { method: request.method, body: request.body ? 'u'.repeat(request.body) : undefined });
		await response.arrayBuffer();
		done(request, response.status, beginNs);
	};
	end = () => process.exit();
}

let input = '';
process.stdin.on('data', data => { input += data; });
process.stdin.on('end', () => {
	plan = input.split('\n').filter(line => line && line !== 'go').map(line => JSON.parse(line));
	({ https: over1, http2: over2, fetch: byFetch })[way]();
	for (let i = 0; i < Number(connections); i++)
		one();
});
