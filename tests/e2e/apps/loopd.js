// SPDX-License-Identifier: Apache-2.0
// An event loop that calls others: loopd.js PORT BACKEND_PORT [EVERY_MS]. The routes are those of loopd.py; with EVERY_MS it also calls on its own, for no request.
'use strict';
const fs = require('fs');
const http = require('http');

const [port, backend, every] = process.argv.slice(2).map(Number);
const kept = new http.Agent({ keepAlive: true });
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function call(path, agent = kept) {
  return new Promise((done, failed) => http.get({ agent, host: '127.0.0.1', port: backend, path }, (r) => r.resume().on('end', done)).on('error', failed));
}

const routes = {
  once: (at) => call(`${at}/0`),
  twice: async (at) => { await call(`${at}/0`); await call(`${at}/1`); },
  fan: (at) => Promise.all([0, 1, 2].map((i) => call(`${at}/${i}`))),
  fresh: async (at) => { await call(`${at}/0`, false); await call(`${at}/1`, false); },
  pause: async (at) => { await pause(60); await call(`${at}/0`); },
  file: async (at) => { await fs.promises.readFile(__filename); await call(`${at}/0`); },
  idle: () => pause(700),
};

http.createServer(async (request, response) => {
  const kind = request.url.split('/')[1];
  await (routes[kind] || (() => 0))(`/for${request.url}`);
  response.end('done\n');
}).listen(port, '127.0.0.1');
let own = 0;
if (every) setInterval(() => call(`/own/${own++}`), every);
