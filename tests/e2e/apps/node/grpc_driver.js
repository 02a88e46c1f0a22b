// SPDX-License-Identifier: Apache-2.0
// grpc_driver.js MODULES PORT FOLDER STREAMS: makes the calls of a plan as apps/go/grpcdriver does, by @grpc/grpc-js over TLS to the certificate of FOLDER. Plan and output are those of apps/go/grpcdriver.
'use strict';
const fs = require('fs');
const { createRequire } = require('module');
const grpc = createRequire(process.argv[2] + '/')('@grpc/grpc-js');
const { decode, encode } = require('./int64value.js');

const [port, folder, streams] = process.argv.slice(3);
const client = () => new grpc.Client(`localhost:${port}`, grpc.credentials.createSsl(fs.readFileSync(`${folder}/cert.pem`)));

function call(shop, q) {
	return new Promise(resolve => {
		const path = `/plumb.test.Shop/${q.method}`, ways = [path, encode, decode], message = { value: q.number };
		let received = 0, sent = 0;
		const ended = (error, answer) => resolve({ method: q.method, number: q.number, code: error ? error.code : 0, received: received + (answer !== undefined && !error) });
		const stream = q.method === 'List' ? shop.makeServerStreamRequest(...ways, message) : q.method === 'Echo' ? shop.makeBidiStreamRequest(...ways) : null;
		if (stream) {
			stream.on('data', () => {
				received++;
				if (q.method === 'Echo') // by turns
					++sent < q.count ? stream.write(message) : stream.end();
			});
			stream.on('error', ended);
			stream.on('end', () => ended());
			if (q.method === 'Echo')
				stream.write(message);
		} else if (q.method === 'Sum') {
			const sum = shop.makeClientStreamRequest(...ways, ended);
			for (let i = 0; i < q.count; i++)
				sum.write(message);
			sum.end();
		} else {
			shop.makeUnaryRequest(...ways, message, ended);
		}
	});
}

async function main(plan) {
	const results = [], shop = client();
	let next = 0;
	await Promise.all(Array.from({ length: Number(streams) }, async () => {
		while (next < plan.length) {
			const i = next++;
			results[i] = await call(shop, plan[i]);
		}
	}));
	shop.close();
	for (const r of results)
		console.log(JSON.stringify(r));
}

let input = '';
process.stdin.on('data', data => { input += data; });
process.stdin.on('end', () => main(input.split('\n').filter(line => line && line !== 'go').map(line => JSON.parse(line))));
