// Are workflows the same after a kill, an exit, in worker threads, and with several processes on one folder?

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { workflows } from 'quorate';

import { program } from './support/runs.mjs';

const { Engine, Tool } = workflows;

const FORM = `
apiVersion: quorate/v1
kind: Workflow
id: chain
version: 1.0.0
steps:
  a: {integration: {tool: note, args: {n: a}}}
  b: {needs: [a], integration: {tool: note, args: {n: b}}}
  p: {needs: [b], parallel: {join: all, steps: {x: {integration: {tool: note, args: {n: x}}}, y: {integration: {tool: note, args: {n: y}}}}}}
  c: {needs: [p], wait: {for: 20ms}}
  d: {needs: [c], integration: {tool: note, args: {n: d}}}
output: ['\${steps.a.output}', '\${steps.d.output}']
`;
const WAITS = 'apiVersion: quorate/v1\nkind: Workflow\nid: t\nversion: 1.0.0\nsteps: {a: {integration: {tool: t}}, b: {needs: [a], wait: {signal: go}}}\n';

const WORKER = `
import { workflows } from 'quorate';
const note = new workflows.Tool('note', async ({ n }) => { await new Promise((done) => setTimeout(done, 10)); return n; });
const engine = await workflows.Engine.open(process.argv[1], { tools: [note] });
console.log('works');
setTimeout(() => engine.close(), 60_000);
`;

async function folder(work) {
  const at = await mkdtemp(join(tmpdir(), 'quorate-workflows-'));
  try {
    return await work(at);
  } finally {
    await rm(at, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function worker(at) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', WORKER, at], { cwd: new URL('..', import.meta.url), stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

async function kill(child) {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

test('no finished step runs again whenever the process is killed', () =>
  folder(async (at) => {
    const engine = await Engine.open(at, { concurrency: 0 });
    await engine.add(FORM);
    const runs = [];
    for (let n = 0; n < 8; n++) runs.push(await engine.start('chain'));
    let seed = 7;
    for (let n = 0; n < 6; n++) {
      const child = await worker(at);
      seed = (seed * 48271) % 2147483647;
      await sleep((seed % 1000) / 10);
      await kill(child);
    }
    const last = await worker(at);
    try {
      for (const run of runs) {
        assert.equal(await run.wait({ timeout: 60 }), 'completed', JSON.stringify(await run.steps()));
        assert.deepEqual(await run.result(), ['a', 'd']);
        const done = new Set();
        for (const { type, data } of await run.journal()) {
          const key = `${data.step}/${data.visit}`;
          if (type === 'step_completed') {
            assert.ok(!done.has(key), `${key} was completed twice`);
            done.add(key);
          }
          if (type === 'step_started' || type === 'step_resumed') assert.ok(!done.has(key), `${key} was begun after it was done`);
        }
        assert.equal(done.size, 7);
      }
    } finally {
      await kill(last);
    }
    await engine.close();
  }));

const ENDS = {
  'the script ends': '',
  'process.exit': 'process.exit(0);',
  'somebody waits without the event loop': 'run.wait().catch(() => {}); setTimeout(() => process.exit(0), 50);',
  'a stream is read': '(async () => { for await (const _ of run.stream()); })(); setTimeout(() => process.exit(0), 50);',
};

for (const [name, last] of Object.entries(ENDS)) {
  test(`a process that ends with a run under way is clean: ${name}`, () =>
    folder(async (at) => {
      const code = `
import { workflows } from 'quorate';
let begun;
const started = new Promise((done) => (begun = done));
const tool = new workflows.Tool('t', () => { begun(); return new Promise(() => {}); });
const engine = new workflows.Engine(process.argv[1], { tools: [tool], clock: () => Date.now() / 1000 });
await engine.add(${JSON.stringify(WAITS)});
const run = await engine.start('t', null, { id: 'r' });
const hold = setInterval(() => {}, 1000);
await started;
clearInterval(hold);
console.log('leaving');
${last}
`;
      const done = await program(code, [at]);
      assert.deepEqual(done, { code: 0, said: 'leaving', errors: '' });
      const engine = new Engine(at, { tools: [new Tool('t', () => 2)] });
      const run = await engine.run('r');
      await run.signal('go');
      assert.equal(await run.wait({ timeout: 60 }), 'completed', JSON.stringify(await run.steps()));
      assert.ok(!(await run.journal()).some(({ type }) => type === 'step_failed'));
      await engine.close();
    }));
}

test('a worker thread that ends leaves its run to others of the process', () =>
  folder(async (at) => {
    const code = `
import { Worker } from 'node:worker_threads';
import { workflows } from 'quorate';
const inner = \`
setInterval(() => {}, 1000);
(async () => {
  const { parentPort, workerData } = await import('node:worker_threads');
  const { workflows } = await import('quorate');
  const tool = new workflows.Tool('t', () => { parentPort.postMessage('begun'); return new Promise(() => {}); });
  const engine = await workflows.Engine.open(workerData.at, { tools: [tool] });
  await engine.add(workerData.form);
  await engine.start('t', null, { id: 'r' });
})();
\`;
const worker = new Worker(inner, { eval: true, workerData: { at: process.argv[1], form: ${JSON.stringify(WAITS)} } });
await new Promise((done) => worker.once('message', done));
await worker.terminate();
const engine = new workflows.Engine(process.argv[1], { tools: [new workflows.Tool('t', () => 2)] });
const run = await engine.run('r');
await run.signal('go');
console.log(await run.wait({ timeout: 40 }), (await run.journal()).filter(({ type }) => type === 'step_failed').length);
await engine.close();
`;
    const done = await program(code, [at]);
    assert.deepEqual([done.code, done.said, done.errors], [0, 'completed 0', '']);
  }));

test('two engines on one folder share the work, and another process decides', () =>
  folder(async (at) => {
    const seen = { one: 0, two: 0 };
    const tool = (name) => new Tool('note', async ({ n }) => { seen[name] += 1; await sleep(20); return n; });
    const [one, two] = [new Engine(at, { tools: [tool('one')], concurrency: 1 }), new Engine(at, { tools: [tool('two')], concurrency: 1 })];
    await one.add(FORM);
    const runs = await Promise.all(Array.from({ length: 10 }, () => one.start('chain')));
    for (const run of runs) assert.equal(await run.wait({ timeout: 120 }), 'completed');
    assert.equal(seen.one + seen.two, 50);
    assert.ok(seen.one > 0 && seen.two > 0, JSON.stringify(seen));
    await one.add('apiVersion: quorate/v1\nkind: Workflow\nid: r\nversion: 1.0.0\nsteps: {a: {human_review: {role: lead, title: x, options: [ok]}}}\n');
    const run = await one.start('r');
    await run.wait({ timeout: 60, until: 'waiting' });
    const code = `
import { workflows } from 'quorate';
const engine = new workflows.Engine(process.argv[1], { concurrency: 0 });
const [review] = await engine.reviews({ role: 'lead' });
await review.decide('ok', { by: 'ann' });
await engine.close();
`;
    const done = await program(code, [at]);
    assert.deepEqual(done, { code: 0, said: '', errors: '' });
    assert.equal(await run.wait({ timeout: 60 }), 'completed');
    await Promise.all([one.close(), two.close()]);
  }));
