// How much does the gateway carry on this machine? Fills it with SciFact and asks with autocannon; see README.md.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

import autocannon from 'autocannon';
import { loadBeir } from 'quorate';

const seconds = Number(process.argv[2] ?? 8);
const { corpus, queries } = await loadBeir(join(process.env.QUORATE_DATA ?? 'data', 'scifact'));
const folder = await mkdtemp(join(tmpdir(), 'quorate-load-'));
const main = new URL('src/main.js', import.meta.url).pathname;
const child = spawn(process.execPath, [main], { env: { ...process.env, QUORATE_FOLDER: folder, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
try {
  let said = '';
  for await (const data of child.stdout.iterator({ destroyOnReturn: false })) {
    said += data;
    if (/listening at (http:[^"]+)/.test(said)) break;
  }
  child.stdout.resume();
  const [, url] = /listening at (http:[^"]+)/.exec(said);
  const headers = { 'x-tenant': 'load', 'content-type': 'application/json' };
  const filled = await fetch(`${url}/documents`, { method: 'POST', headers, body: JSON.stringify({ documents: corpus }) });
  if (filled.status !== 201) throw new Error(await filled.text());
  const questions = Object.values(queries);
  const ask = {
    'GET /search': questions.map((q) => ({ method: 'GET', path: `/search?k=10&q=${encodeURIComponent(q)}` })),
    'POST /context': questions.map((question) => ({ method: 'POST', path: '/context', body: JSON.stringify({ question, maxTokens: 1000 }) })),
    'POST /match': questions.map((question) => ({ method: 'POST', path: '/match', body: JSON.stringify({ question }) })),
  };
  console.log(`${corpus.length} documents, ${cpus().length} cores, ${seconds} s each, autocannon on the same machine\n`);
  console.log('| endpoint | connections | requests/s | p50 ms | p99 ms | errors |\n|---|---:|---:|---:|---:|---:|');
  for (const [name, requests] of Object.entries(ask)) {
    for (const connections of [1, 8, 32]) {
      const found = await autocannon({ url, connections, duration: seconds, headers, requests });
      const bad = found.errors + found.timeouts + found.non2xx;
      console.log(`| ${name} | ${connections} | ${found.requests.average.toFixed(0)} | ${found.latency.p50} | ${found.latency.p99} | ${bad} |`);
    }
  }
  const health = await (await fetch(`${url}/health`)).json();
  console.log(`\nevent loop delay of the gateway: p99 ${health.loopDelayMs.p99.toFixed(1)} ms`);
} finally {
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  await rm(folder, { recursive: true, force: true });
}
