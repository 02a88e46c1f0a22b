// SPDX-License-Identifier: Apache-2.0
// Uses DuckDB by its client for Node: duckdb_driver.js MODULES FILE < "go". Prints {"what","ns","error"} for each step.
const { createRequire } = require('module');
const { DuckDBInstance } = createRequire(process.argv[2] + '/')('@duckdb/node-api');

async function timed(what, act) {
  const start = process.hrtime.bigint();
  let error = '';
  try { await act(); } catch (e) { error = String(e).split(':')[1].trim(); }
  console.log(JSON.stringify({ what, ns: Number(process.hrtime.bigint() - start), error }));
}

async function rows(result, expect) {
  const got = (await (await result).getRowsJson()).length;
  if (got !== expect) throw new Error(`rows: ${got}, not ${expect}`);
}

async function main() {
  const db = await DuckDBInstance.create(process.argv[3]);
  const c = await db.connect();
  await timed('table', () => c.run('CREATE TABLE notes(id INTEGER PRIMARY KEY, body VARCHAR)'));
  await timed('insert', () => c.run("INSERT INTO notes SELECT range, 'secret' FROM range(1009)"));
  for (let i = 0; i < 13; i++) await timed('select', () => rows(c.run(`SELECT id FROM notes WHERE id < ${i * 7} AND body = 'secret'`), i * 7));
  await timed('no table', () => c.run("SELECT * FROM nowhere WHERE body = 'secret'"));
  await timed('syntax', () => c.run("SELEC 'secret'"));
  await timed('constraint', () => c.run("INSERT INTO notes VALUES (7, 'secret')"));
  await timed('parameters', () => c.run('SELECT body FROM notes WHERE id = $1 AND body = $2', [7, 'secret']));
  const prepared = await c.prepare('UPDATE notes SET body = $1 WHERE id = $2');
  for (let i = 0; i < 101; i++) { prepared.bindVarchar(1, 'secret ' + i); prepared.bindInteger(2, i); await prepared.run(); }
  const pending = await (await c.prepare("SELECT 'pending' FROM notes LIMIT 5")).start();
  await timed('pending', () => pending.getResult());
  await timed('stream', () => c.stream('SELECT * FROM notes'));
  await timed('several', () => c.run("SELECT 1; SELECT 'secret'"));
  for (let i = 0; i < 1009; i++) await c.run('SELECT body FROM notes WHERE id = ' + i);
  c.closeSync();
  db.closeSync();
}

process.stdin.once('data', data => {
  if (data.toString() !== 'go\n') process.exit(1);
  main().then(() => process.exit(0), e => { console.error(e); process.exit(1); });
});
