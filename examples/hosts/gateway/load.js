// How much does the gateway carry on this machine, and does its memory grow? Fills it with SciFact and asks with autocannon; see README.md.
// node load.js [SECONDS] [--clients 1,8,32,128] [--minutes M]

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import autocannon from 'autocannon';
import { loadBeir } from 'quorate';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { clients: { type: 'string', default: '1,8,32,128' }, minutes: { type: 'string' } } });
const seconds = Number(positionals[0] ?? 6);
const clients = values.clients.split(',').map(Number);
const { corpus, queries } = await loadBeir(join(process.env.QUORATE_DATA ?? 'data', 'scifact'));
const questions = Object.values(queries);
const headers = { 'x-tenant': 'load', 'content-type': 'application/json' };
const asked = (path, more = {}) => questions.map((question) => ({ method: 'POST', path, body: JSON.stringify({ question, ...more }) }));

/** What is asked of a gateway with each model. */
const WORK = {
  extractive: {
    search: questions.map((q) => ({ method: 'GET', path: `/v1/search?k=10&q=${encodeURIComponent(q)}` })),
    'ask, extractive': asked('/v1/ask', { agent: 'clinical-pharmacology' }),
    'panel of 3, extractive': asked('/v1/panels', { members: ['cardiology', 'nephrology', 'oncology'], options: ['yes', 'no'] }),
  },
  'scripted:50': {
    'ask, model of 50 ms': asked('/v1/ask', { agent: 'clinical-pharmacology' }),
    'panel of 3, model of 50 ms': asked('/v1/panels', { members: ['cardiology', 'nephrology', 'oncology'], options: ['yes', 'no'] }),
  },
};

/** Runs `work` with a gateway that has SciFact. */
async function withGateway(model, work) {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-load-'));
  const main = new URL('src/main.js', import.meta.url).pathname;
  const env = { ...process.env, QUORATE_FOLDER: folder, PORT: '0', QUORATE_MODEL: model, QUORATE_RATE: '1000000', QUORATE_BURST: '1000000', QUORATE_STREAMS: '1000' };
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const url = await new Promise((resolve, reject) => {
      let said = '';
      child.stdout.on('data', (data) => {
        said = (said + data).slice(-10_000);
        const found = /listening at (http:[^"]+)/.exec(said);
        if (found) resolve(found[1]);
      });
      child.once('exit', () => reject(new Error(said)));
    });
    const filled = await fetch(`${url}/v1/documents`, { method: 'POST', headers, body: JSON.stringify({ documents: corpus }) });
    if (filled.status !== 201) throw new Error(await filled.text());
    await work(url);
  } finally {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Delay of the event loop (p99, ms) since it was last asked, and memory (MB). */
async function state(url) {
  const text = await (await fetch(`${url}/v1/metrics`, { headers })).text();
  const read = (name) => Number(new RegExp(`^quorate_${name} (\\S+)`, 'm').exec(text)?.[1]);
  return { delay: 1000 * read('nodejs_eventloop_lag_p99_seconds'), memory: read('process_resident_memory_bytes') / 1e6 };
}

const bad = (found) => found.errors + found.timeouts + found.non2xx;

console.log(`${corpus.length} documents, ${cpus().length} cores, autocannon on the same machine\n`);
if (values.minutes) {
  console.log('| minute | requests | p99 ms | errors | memory MB |\n|---:|---:|---:|---:|---:|');
  await withGateway('extractive', async (url) => {
    const minutes = Number(values.minutes);
    const all = Object.values(WORK.extractive);
    const requests = questions.flatMap((_, i) => all.map((one) => one[i]));
    for (let part = 0; part < 10; part++) {
      const found = await autocannon({ url, connections: 32, duration: minutes * 6, headers, requests, timeout: 30 });
      const { memory } = await state(url);
      console.log(`| ${(((part + 1) * minutes) / 10).toFixed(1)} | ${found.requests.total} | ${found.latency.p99} | ${bad(found)} | ${memory.toFixed(0)} |`);
    }
  });
} else {
  console.log('| request | clients | requests/s | p50 ms | p99 ms | errors | loop delay p99 ms | memory MB |\n|---|---:|---:|---:|---:|---:|---:|---:|');
  for (const [model, work] of Object.entries(WORK)) {
    await withGateway(model, async (url) => {
      for (const [name, requests] of Object.entries(work)) {
        for (const connections of clients) {
          await state(url);
          const found = await autocannon({ url, connections, duration: seconds, headers, requests, timeout: 30 });
          const { delay, memory } = await state(url);
          console.log(`| ${name} | ${connections} | ${found.requests.average.toFixed(0)} | ${found.latency.p50} | ${found.latency.p99} | ${bad(found)} | ${delay.toFixed(1)} | ${memory.toFixed(0)} |`);
        }
      }
    });
  }
}
