// SPDX-License-Identifier: Apache-2.0
// Serves plumb.test.Shop as apps/go/grpcd does, by @grpc/grpc-js over TLS: grpcd.js MODULES PORT FOLDER, with the certificate there.
'use strict';
const fs = require('fs');
const { createRequire } = require('module');
const grpc = createRequire(process.argv[2] + '/')('@grpc/grpc-js');
const { decode, encode } = require('./int64value.js');

const [port, folder] = process.argv.slice(3);
const method = (name, requestStream, responseStream) => ({ path: `/plumb.test.Shop/${name}`, requestStream, responseStream,
	requestSerialize: encode, requestDeserialize: decode, responseSerialize: encode, responseDeserialize: decode });

const server = new grpc.Server();
server.addService({ Price: method('Price', false, false), List: method('List', false, true), Sum: method('Sum', true, false), Echo: method('Echo', true, true) }, {
	Price: (call, done) => {
		const n = call.request.value;
		n > 1000 && n <= 1016 ? done({ code: n - 1000, details: `no price for 'jam': ${n}` }) : done(null, call.request);
	},
	List: call => {
		for (let i = 1; i <= call.request.value; i++)
			call.write({ value: i });
		call.end();
	},
	Sum: (call, done) => {
		let total = 0;
		call.on('data', n => { total += n.value; });
		call.on('end', () => done(null, { value: total }));
	},
	Echo: call => {
		call.on('data', n => call.write(n));
		call.on('end', () => call.end());
	},
});
const pair = [{ cert_chain: fs.readFileSync(`${folder}/cert.pem`), private_key: fs.readFileSync(`${folder}/key.pem`) }];
server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createSsl(null, pair), error => {
	if (error)
		throw error;
});
