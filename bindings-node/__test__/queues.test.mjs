// Is work that was put worked off, by whoever is there, at least once, and are events heard by everybody who is subscribed?

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { QuorateError, StateStore, Unavailable, workflows } from 'quorate';

import { inFolder } from './support/kb.mjs';

const { Queue, Retry, Workers, Dead, Events, Subscription } = workflows;
const coded = (code) => (error) => error instanceof QuorateError && error.code === code && error.message.length < 1000;

async function until(is, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  while (!(await is())) {
    assert.ok(Date.now() < end, 'it did not come to that');
    await sleep(5);
  }
}

function start(code, ...args) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, ...args], { cwd: new URL('..', import.meta.url), stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.setEncoding('utf8');
  return child;
}

async function ended(child, kill) {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const gone = once(child, 'exit');
  if (kill) child.kill('SIGKILL');
  return (await gone)[0];
}

test('messages are put, taken and settled', async () => {
  const store = new StateStore();
  const mail = store.queue('mail', { concurrency: 4, perKey: { tenant: 1 }, rate: '100/m', aging: '1m' });
  assert.deepEqual(await mail.put({ tenant: 'a', n: 2n ** 60n }), { id: 1, new: true });
  await mail.put({ tenant: 'a' });
  const [taken, ...others] = await mail.take(10);
  assert.deepEqual([taken.id, taken.data, taken.attempts, others], [1, { tenant: 'a', n: 2n ** 60n }, 1, []]);
  assert.ok((await mail.renew(taken)) >= taken.leaseUntil);
  await mail.ack(taken);
  await assert.rejects(mail.ack(taken), coded('stale_write'));
  const [second] = await mail.take();
  assert.equal(await mail.nack(second, { delay: 0, reason: 'busy' }), false);
  assert.equal((await mail.take())[0].attempts, 2);
  assert.deepEqual(await mail.stats(), { ready: 0, delayed: 0, held: 1, dead: 0, done: 1 });
  assert.deepEqual((await mail.options()).perKey, { tenant: 1 });
  assert.deepEqual(await store.queues(), ['mail']);
  assert.ok(await mail.delete());
  await assert.rejects(mail.stats(), coded('unknown_id'));
});

test('handlers work messages off, and what they throw has them given back', async () => {
  const queue = new StateStore().queue('q', { retry: { maxAttempts: 3, first: 0, longest: '1s' } });
  const tries = [];
  for (const one of ['good', 'twice', 'never']) await queue.put(one);
  const workers = await queue.work(
    async ({ data, attempts }) => {
      tries.push(`${data} ${attempts}`);
      await sleep(1);
      if (data === 'twice' && attempts === 1) throw new Error('not yet');
      if (data === 'never') throw new Unavailable('rate_limited', 'slow down');
    },
    { threads: 2, poll: 0.01 },
  );
  await until(async () => (await queue.stats()).done === 2 && (await queue.stats()).dead === 1);
  assert.ok(await workers.drain());
  assert.deepEqual(tries.sort(), ['good 1', 'never 1', 'never 2', 'never 3', 'twice 1', 'twice 2']);
  const dead = await queue.dead.list();
  assert.deepEqual(dead.map(({ data, reason }) => [data, reason]), [['never', 'rate_limited: slow down']]);
  await assert.rejects(queue.dead.replay([3, 77]), coded('unknown_id'));
  assert.equal(await queue.dead.replay(dead), 1);
  const once = await queue.work(() => Promise.reject(new Error('no')), { retry: new Retry({ maxAttempts: 1 }), poll: 0.01 });
  await until(async () => (await queue.stats()).dead === 1);
  await once.drain();
  assert.equal(await queue.dead.discard([3]), 1);
  assert.equal(workers.working, 0);
  assert.equal(workers.error, undefined);
});

test('stopped handlers are told, a drain waits, and both can be given up', async () => {
  const queue = new StateStore().queue('q');
  const told = [];
  let begun = false;
  const workers = await queue.work(
    ({ id }, { signal }) =>
      new Promise((done) => {
        begun = true;
        signal.addEventListener('abort', () => done(told.push(id)));
      }),
    { poll: 0.01 },
  );
  await queue.put(1);
  await until(() => begun);
  assert.equal(await workers.drain({ timeout: 0.05 }), false);
  assert.equal(await workers.wait({ timeout: 0.02 }), false);
  await assert.rejects(workers.drain({ signal: AbortSignal.timeout(50) }), coded('cancelled'));
  assert.deepEqual(told, []);
  assert.ok(await workers.stop());
  assert.deepEqual(told, [1]);
  assert.ok(await workers.wait());
  assert.equal((await queue.stats()).done, 1);
});

test('a lost lease is told', async () => {
  const queue = new StateStore().queue('q', { lease: 0.4 });
  let told = 0;
  let begun = false;
  const workers = await queue.work(
    (_, { signal }) =>
      new Promise((done) => {
        begun = true;
        signal.addEventListener('abort', () => done((told += 1)));
      }),
    { poll: 0.01 },
  );
  await queue.put(1);
  await until(() => begun);
  await queue.delete();
  await until(() => told === 1);
  assert.ok(await workers.drain({ timeout: 20 }));
});

test('work ends with its store, and keeps to the context of who has begun it', async () => {
  const [storage, seen] = [new AsyncLocalStorage(), []];
  const store = new StateStore();
  const queue = store.queue('q');
  await storage.run('the worker', () => queue.work(() => seen.push(storage.getStore()), { poll: 0.01 }));
  await storage.run('somebody else', () => queue.put(1));
  await until(() => seen.length === 1);
  assert.deepEqual(seen, ['the worker']);
  await store.close();
  assert.throws(() => store.queue('q'), coded('closed'));
  assert.throws(() => store.events, coded('closed'));
  assert.throws(() => store.stories, coded('closed'));
  await assert.rejects(store.saga('s'), coded('closed'));
  await queue.put(2);
  await sleep(60);
  assert.equal((await queue.stats()).ready, 1);
});

const WORKER = `
import { StateStore } from 'quorate';
const queue = new StateStore(process.argv[1]).queue('q');
const workers = await queue.work(async ({ data, attempts }) => {
  console.log('has', data, attempts);
  if (process.argv[2] === 'hang') await new Promise((done) => setTimeout(done, 3_600_000));
}, { poll: 0.01 });
await workers.wait();
`;

test('when a worker is killed another takes over at once', () =>
  inFolder(async (folder) => {
    const queue = (await StateStore.open(folder)).queue('q', { lease: 3600 });
    await queue.put('x');
    const first = start(WORKER, folder, 'hang');
    assert.equal((await once(first.stdout, 'data'))[0], 'has x 1\n');
    const second = start(WORKER, folder, 'work');
    const has = once(second.stdout, 'data');
    try {
      await sleep(200);
      assert.equal((await queue.stats()).held, 1);
      await ended(first, true);
      assert.equal((await has)[0], 'has x 2\n');
      await until(async () => (await queue.stats()).done === 1);
    } finally {
      await ended(second, true);
    }
  }));

test('two processes share a queue, and none of it is done twice', () =>
  inFolder(async (folder) => {
    const code = `
import { StateStore } from 'quorate';
const queue = new StateStore(process.argv[1]).queue('q');
const workers = await queue.work(({ data }) => console.log(data), { threads: 2, poll: 0.005 });
while ((await queue.stats()).done < 60) await new Promise((done) => setTimeout(done, 10));
await workers.drain();
`;
    const queue = (await StateStore.open(folder)).queue('q', { perKey: { tenant: 1 } });
    for (let n = 0; n < 60; n++) await queue.put(n, { key: { tenant: `t${n % 3}` } });
    const outputs = await Promise.all(
      [1, 2].map(async () => {
        const child = start(code, folder);
        let output = '';
        child.stdout.on('data', (text) => (output += text));
        const closed = once(child, 'close');
        assert.deepEqual((await closed)[0], 0);
        return output.trim().split('\n').filter(Boolean).map(Number);
      }),
    );
    assert.deepEqual(outputs.flat().sort((a, b) => a - b), Array.from({ length: 60 }, (_, n) => n));
  }));

test('when a worker thread is ended its messages are for others', () =>
  inFolder(async (folder) => {
    const queue = (await StateStore.open(folder)).queue('q', { retry: { first: 0 } });
    await queue.put('x');
    const code = `
const { parentPort, workerData } = require('node:worker_threads');
const { StateStore } = require(workerData.quorate);
const queue = new StateStore(workerData.folder).queue('q');
queue.work(() => { parentPort.postMessage('has'); return new Promise(() => {}); }, { poll: 0.01 }).then(() => setInterval(() => {}, 1000));
`;
    const { createRequire } = await import('node:module');
    const quorate = createRequire(import.meta.url).resolve('quorate');
    const worker = new Worker(code, { eval: true, workerData: { folder, quorate } });
    await once(worker, 'message');
    await worker.terminate();
    let taken;
    await until(async () => {
      [taken] = await queue.take();
      return taken !== undefined;
    });
    assert.equal(taken.data, 'x');
    assert.ok(taken.attempts >= 2);
  }));

test('groups hear what matches, in order, also after a restart', () =>
  inFolder(async (folder) => {
    const store = await StateStore.open(folder);
    const billing = await store.events.subscribe('order.*', null, { group: 'billing' });
    assert.equal(await store.events.publish('order.created', { id: 1 }, { key: 'k' }), 1);
    await store.events.publish('order.paid', { id: 1 }, { key: 'k' });
    await store.events.publish('stock.low');
    const [first, ...others] = await billing.take(9);
    assert.deepEqual([first.seq, first.subject, others], [1, 'order.created', []]);
    await billing.ack(first);
    await store.close();
    const again = await StateStore.open(folder);
    const heard = [];
    const group = await again.events.subscribe('order.*', async (event) => heard.push([event.seq, event.attempts]), { group: 'billing', poll: 0.01 });
    await until(() => heard.length === 1);
    assert.ok(await group.drain());
    assert.deepEqual(heard, [[2, 1]]);
    assert.equal(await again.events.replay(1, { group: 'billing' }), 2);
    assert.equal(await again.events.replay(new Date(0), { group: 'nobody' }), 0);
    assert.equal(await again.events.last(), 3);
    assert.deepEqual(await again.events.subscriptions(), [{ group: 'billing', pattern: 'order.*' }]);
    assert.ok(await group.delete());
    assert.equal(await again.events.prune({ keep: 1 }), 2);
    await again.close();
  }));

test('what is no message, event or option is refused by code', async () => {
  const store = new StateStore();
  const [queue, bus] = [store.queue('q'), store.events];
  const circle = [];
  circle.push(circle);
  const cases = [
    [() => queue.put(circle), 'invalid_argument'],
    [() => queue.put({ a: NaN }), 'not_finite'],
    [() => queue.put('\ud800'), 'invalid_text'],
    [() => queue.put(10n ** 40n), 'invalid_argument'],
    [() => queue.put(() => {}), 'invalid_argument'],
    [() => queue.put(1, { priority: 1.5 }), 'invalid_argument'],
    [() => queue.put(1, { delay: -1 }), 'invalid_argument'],
    [() => queue.put(1, { delays: 1 }), 'invalid_argument'],
    [() => queue.put(1, { key: { a: 1 } }), 'invalid_argument'],
    [() => queue.take(-1), 'invalid_argument'],
    [() => queue.take('1'), 'invalid_argument'],
    [() => queue.ack(null), 'invalid_argument'],
    [() => queue.ack({ lease: 7 }), 'invalid_argument'],
    [() => queue.work(null), 'invalid_argument'],
    [() => queue.work(() => {}, { threads: 0 }), 'invalid_argument'],
    [() => queue.work(() => {}, { retry: new Retry({ on: () => true }) }), 'invalid_argument'],
    [() => queue.dead.replay(1), 'invalid_argument'],
    [() => queue.dead.discard(['1']), 'invalid_argument'],
    [() => queue.dead.discard(new Array(2 ** 32 - 1)), 'too_large'],
    [async () => store.queue('q', { concurrency: 0 }), 'invalid_argument'],
    [async () => store.queue('q', { perKey: { tenant: 0 } }), 'invalid_argument'],
    [() => store.queue('x'.repeat(10_000)).stats(), 'too_large'],
    [() => bus.publish('a..b'), 'invalid_argument'],
    [() => bus.publish('a', { x: Infinity }), 'not_finite'],
    [() => bus.subscribe('>.a'), 'invalid_argument'],
    [() => bus.subscribe('a', 7), 'invalid_argument'],
    [() => bus.subscribe('a', null, { from: 'yesterday' }), 'invalid_argument'],
    [() => bus.replay(-1), 'invalid_argument'],
    [() => bus.prune({ keep: -1 }), 'invalid_argument'],
    [async () => new Queue(), 'invalid_argument'],
    [async () => new Workers(), 'invalid_argument'],
    [async () => new Dead(), 'invalid_argument'],
    [async () => new Events(), 'invalid_argument'],
    [async () => new Subscription(), 'invalid_argument'],
  ];
  for (const [call, code] of cases) await assert.rejects(call, coded(code), String(call));
  assert.equal((await queue.stats()).ready, 0);
  assert.equal(await bus.last(), 0);
});
