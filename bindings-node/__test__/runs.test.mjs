// What do runs do with values, errors and ends of a host that nobody hopes for?

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { z } from 'zod';

import {
  AgentRegistry,
  Cancelled,
  CallbackEmbedder,
  Conflict,
  InvalidInput,
  Model,
  NotFound,
  QuorateError,
  Runtime,
  ScriptedModel,
  StateStore,
  Unavailable,
  agentTool,
  evaluateAgents,
  open,
  tool,
} from 'quorate';

import { fails, inFolder, withKb } from './support/kb.mjs';
import { refusal, withServer } from './support/loopback.mjs';
import { all, calls, never, program, relay, relayed, results } from './support/runs.mjs';

const scripted = (...replies) => new ScriptedModel(replies);
const plain = () => new Runtime({ model: new ScriptedModel(() => 'x') });
const refused = (message) => fails(InvalidInput, 'invalid_argument', message);

/** What a model reads of a tool that does this. */
async function told(run, more) {
  const runtime = new Runtime({ model: relay(['t']), tools: [tool({ name: 't', run, ...more })] });
  return relayed(await runtime.ask('q')).c0;
}

test('what tools give is said as JSON says it', async () => {
  class Decimal {
    digits = [1, 5];
    toJSON() {
      return '1.5';
    }
  }
  class Plain {
    a = 1;
    #b = 2;
  }
  const given = [
    [undefined, 'done'],
    [null, 'done'],
    ['text', 'text'],
    [{ a: undefined, b: [undefined] }, '{"b":[null]}'],
    [2n ** 63n, String(2n ** 63n)],
    [-(2n ** 63n), String(-(2n ** 63n))],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [{ at: [new Date(0)] }, '{"at":["1970-01-01T00:00:00.000Z"]}'],
    [new Decimal(), '1.5'],
    [{ rows: [{ price: new Decimal() }] }, '{"rows":[{"price":"1.5"}]}'],
    [[{ at: new URL('https://example.org/') }], '[{"at":"https://example.org/"}]'],
    [new String('abc'), 'abc'],
    [{ a: new Number(5), b: new Boolean(false) }, '{"a":5,"b":false}'],
    [Buffer.from('ab'), '{"type":"Buffer","data":[97,98]}'],
    [new Uint8Array([1, 2]), '[1,2]'],
    [[1, , 3], '[1,null,3]'],
    [new Plain(), '{"a":1}'],
    [JSON.parse('{"__proto__":{"x":1}}'), '{"__proto__":{"x":1}}'],
    [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    ['', ''],
  ];
  for (const [value, said] of given) assert.equal(await told(() => value), said, said);
  // What came as a BigInt goes back as one.
  const echo = tool({ name: 't', schema: { type: 'object' }, run: (args) => args });
  const nested = { n: 2n ** 60n, list: [1, 2n ** 61n] };
  const echoed = await new Runtime({ model: relay(['t', nested]), tools: [echo] }).ask('q');
  assert.equal(relayed(echoed).c0, `{"n":${2n ** 60n},"list":[1,${2n ** 61n}]}`);
  // The same objects stay as they are.
  const shared = { price: new Decimal() };
  await told(() => ({ shared, again: shared }));
  assert.ok(shared.price instanceof Decimal);
});

test('what cannot be said, and what is thrown, is named to the model, and ends nothing', async () => {
  const cyclic = {};
  cyclic.self = [cyclic];
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  const throwing = (value) => () => {
    throw value;
  };
  const endless = () => ({ toJSON: endless });
  const given = [
    [() => NaN, /NaN/],
    [() => ({ a: [Infinity] }), /a\[0\] is/],
    [() => 2n ** 70n, /BigInt that does not fit/],
    [() => new Date(NaN), /invalid Date/],
    [() => new Map([[1, 2]]), /a Map/],
    [() => ({ s: new Set([1]) }), /\.s is a Set/],
    [() => cyclic, /nested deeper than 64 levels, or cyclic/],
    [() => ({ a: endless() }), /nested deeper than 64/],
    [() => Symbol('x'), /a symbol/],
    [() => () => 1, /a function/],
    [() => '\ud800', /lone surrogate/],
    [() => new Error('x'), /a Error/],
    [() => ({ get a() { throw new TypeError('no'); } }), /no/],
    [() => new Array(2 ** 24 + 1), /16777217/],
    [() => ({ then() { throw new Error('thenable'); } }), /thenable/],
    [revoked, /revoked/],
    [throwing(revoked()), /the tool failed/],
    [throwing(undefined), /undefined/],
    [throwing(null), /null/],
    [throwing('a text'), /a text/],
    [throwing(Symbol('y')), /Symbol\(y\)/],
    [throwing({ toString() { throw 1; } }), /the tool failed/],
    [throwing(Object.assign(new QuorateError('internal', 'x'), { code: 'nonsense' })), /the tool failed/],
    [throwing(Object.defineProperty(new InvalidInput('tool_arguments', 'x'), 'message', { get() { throw new Error('m'); } })), /the tool failed/],
    [() => Promise.reject(), /undefined/],
    [async () => { throw new TypeError('boom'); }, /TypeError: boom/],
  ];
  for (const [run, message] of given) {
    const said = await told(run);
    assert.match(said, /^tool_failed: /, String(run));
    assert.match(said, message);
  }
  // A model's function, and who approves, fail with their reasons.
  for (const thrown of [revoked(), undefined, 'a text']) {
    const model = new ScriptedModel(throwing(thrown), { resilience: { attempts: 1 } });
    await assert.rejects(new Runtime({ model }).ask('q'), (error) => error.code === 'callback');
    const send = tool({ name: 'send', effect: 'write', run: () => 'sent' });
    const undecided = new Runtime({ model: relay(['send']), tools: [send], approve: throwing(thrown) });
    const events = await all(undecided.stream.ask('q'));
    assert.equal(events.at(-1).type, 'waiting');
    assert.match(events.find((event) => event.type === 'warning').message, /approve/);
  }
  const decides = async (decision) => {
    const runtime = new Runtime({ model: relay(['send']), tools: [tool({ name: 'send', effect: 'write', run: () => 'sent' })], approve: () => decision });
    const events = await all(runtime.stream.ask('q'));
    assert.equal(events.at(-1).type, 'waiting');
    return events.find((event) => event.type === 'warning').message;
  };
  assert.match(await decides(1), /approve.*decision/);
  assert.match(await decides(new Map()), /approve.*Map/);
  assert.match(await decides({ arguments: {}, more: 1 }), /approve.*decision/);
  assert.match(await decides({ arguments: { a: NaN } }), /arguments\.a/);
});

test('a tool that settles after its time changes nothing', async () => {
  const settled = [];
  const late = (settle) => async (_, { signal }) => {
    await pause(300);
    settled.push(signal.aborted);
    return settle();
  };
  for (const settle of [() => 'late', () => Promise.reject(new Error('late'))]) {
    assert.match(await told(late(settle), { timeout: 0.1 }), /^tool_timeout: /);
  }
  await pause(400);
  assert.deepEqual(settled, [true, true]);
});

test('tools of another runtime, whose expert is asked, see the AsyncLocalStorage of who asks', async () => {
  const store = new AsyncLocalStorage();
  const registry = await AgentRegistry.open({ catalog: null });
  await registry.add({ id: 'helper', name: 'Helper', summary: 'Counts the beds.' });
  const seen = [];
  const look = tool({ name: 'look', run: async () => (await pause(1), seen.push(store.getStore())) });
  const send = tool({ name: 'send', effect: 'write', run: () => 'sent' });
  const first = (...names) => (request) =>
    request.messages.some((message) => message.role === 'tool') ? 'done' : { toolCalls: names.map((name) => ({ id: name, name, arguments: name.startsWith('ask') ? { question: 'q' } : {} })) };
  const other = new Runtime({ registry, model: new ScriptedModel(first('look')), tools: [look] });
  const ask = await agentTool(other, 'helper');
  const runtime = new Runtime({ model: new ScriptedModel(first(ask.name)), tools: [ask] });
  await Promise.all(Array.from({ length: 10 }, (_, i) => store.run(i, () => runtime.ask('q'))));
  await store.run(10, () => runtime.stream.ask('q').result());
  await store.run(11, () => evaluateAgents(runtime, [{ id: 'a', question: 'q', expect: { exact: 'done' } }], { repeat: 1 }));
  const waits = new Runtime({ model: new ScriptedModel(first('send', ask.name)), tools: [ask, send] });
  const { runId } = await waits.ask('q');
  await store.run(12, () => waits.resume(runId, { send: 'approve' }));
  assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 13 }, (_, i) => i));
});

test('functions of the host see the AsyncLocalStorage of who asks', async () => {
  const store = new AsyncLocalStorage();
  const seen = [];
  const see = (what, value) => (seen.push([what, store.getStore()]), value);
  const look = tool({ name: 'look', run: () => see('look', 'seen') });
  const send = tool({ name: 'send', effect: 'write', run: async () => (await pause(1), see('send', 'sent')) });
  const own = tool({ name: 'look', schema: z.object({}).refine(() => see('schema', true)), run: () => see('own', 'seen') });
  const make = () => new Runtime({ model: relay(['look'], ['send']), tools: [look, send], approve: () => see('approve', true) });
  const runtime = await store.run('maker', async () => make());
  const asks = async (who, options) => {
    seen.length = 0;
    await store.run(who, () => runtime.ask('q', options));
    return seen.map(([what, by]) => `${what} ${by}`).sort();
  };
  assert.deepEqual(await asks('ann'), ['approve ann', 'look ann', 'send ann']);
  assert.deepEqual(await asks('bob', { tools: [own, send], approve: () => see('other', true) }), ['other bob', 'own bob', 'schema bob', 'send bob']);
  seen.length = 0;
  const both = await Promise.all(['ann', 'bob'].map((who) => store.run(who, () => all(runtime.stream.ask('q')))));
  assert.ok(both.every((events) => events.at(-1).type === 'end'));
  assert.deepEqual(seen.map(([what, by]) => `${what} ${by}`).sort(), ['approve ann', 'approve bob', 'look ann', 'look bob', 'send ann', 'send bob']);
  seen.length = 0;
  const scorer = { name: 'mine', score: () => see('scorer', true) };
  await store.run('ann', () => evaluateAgents(plain(), [{ id: 'a', question: 'q' }], { repeat: 1, scorers: [scorer], progress: () => see('progress') }));
  assert.deepEqual(seen, [['scorer', 'ann'], ['progress', 'ann']]);
  seen.length = 0;
  const embedder = store.run('ann', () => new CallbackEmbedder((texts) => see('embedder', texts.map(() => [1, 0])), { dim: 2, id: 'mine' }));
  await store.run('bob', () => embedder.embed(['x']));
  assert.deepEqual(seen, [['embedder', 'ann']]);
  await withKb(async (kb) => {
    seen.length = 0;
    await store.run('ann', () => kb.search('metformin', { rerank: (_, hits) => see('rerank', hits.map(() => 1)) }));
    assert.deepEqual(seen, [['rerank', 'ann']]);
  });
  // Whoever has loaded the package first has nothing to do with it.
  const lazily = `
    const { AsyncLocalStorage } = require('node:async_hooks');
    const store = new AsyncLocalStorage();
    const { Runtime, ScriptedModel, tool } = store.run('first', () => require('quorate'));
    const seen = [];
    const look = tool({ name: 'look', run: () => (seen.push(store.getStore()), 'seen') });
    const asked = (request) => request.messages.at(-1).role === 'tool';
    const model = new ScriptedModel((request) => (seen.push(store.getStore()), asked(request) ? 'end' : { toolCalls: [{ name: 'look', arguments: {} }] }));
    store.run('second', () => new Runtime({ model, tools: [look] }).ask('q')).then(() => console.log(JSON.stringify(seen)));`;
  assert.equal((await program(lazily, [], 'commonjs')).said, '[null,"second",null]');
});

test('many calls share a signal without a warning, and each is ended by it', async () => {
  const warnings = [];
  const warn = (warning) => warnings.push(warning);
  process.on('warning', warn);
  const control = new AbortController();
  const quick = new Runtime({ model: new ScriptedModel(() => 'x', { resilience: { maxConcurrent: 100 } }) });
  await Promise.all(Array.from({ length: 50 }, () => quick.ask('q', { signal: control.signal })));
  assert.equal(getEventListeners(control.signal, 'abort').length, 0);
  const hung = new Runtime({ model: new ScriptedModel(never, { resilience: { maxConcurrent: 100 } }) });
  const asked = Array.from({ length: 20 }, () => hung.ask('q', { signal: control.signal }));
  const streams = Array.from({ length: 20 }, () => all(hung.stream.ask('q', { signal: control.signal })));
  const [short] = [quick.ask('q', { signal: control.signal })];
  assert.equal((await short).text, 'x');
  await pause(100);
  assert.equal(getEventListeners(control.signal, 'abort').length, 1);
  control.abort();
  for (const { reason } of await Promise.allSettled(asked)) assert.equal(reason.code, 'cancelled');
  for (const events of await Promise.all(streams)) assert.equal(events.at(-1).type, 'cancelled');
  await pause(50);
  process.off('warning', warn);
  assert.deepEqual(warnings, []);
  assert.equal(getEventListeners(control.signal, 'abort').length, 0);
  // After the end an abort is nobody's affair.
  const late = new AbortController();
  const answer = await quick.ask('q', { signal: late.signal });
  const stream = quick.stream.ask('q', { signal: late.signal });
  await stream.result();
  late.abort();
  assert.deepEqual([answer.status, (await stream.result()).status], ['done', 'done']);
});

test('a stream is read by several, left, closed and asked again', async () => {
  const text = plain().stream.ask('q');
  const [one, two] = await Promise.all([text.result(), text.result()]);
  assert.deepEqual([one.text, two.text], ['x', 'x']);
  const read = await Promise.all(Array.from({ length: 12 }, ((stream) => () => stream.next())(plain().stream.ask('q'))));
  const types = read.map(({ done, value }) => (done ? 'done' : value.type));
  assert.deepEqual([types[0], types.filter((type) => type === 'end').length, types.at(-1)], ['run_start', 1, 'done']);
  const status = async (runtime) => {
    for (let i = 0; i < 50 && (await runtime.runs())[0]?.status === 'running'; i++) await pause(10);
    return (await runtime.runs()).map((run) => run.status);
  };
  const hung = () => new Runtime({ model: new ScriptedModel(never) });
  const left = hung();
  const stream = left.stream.ask('q');
  await stream.next();
  await stream.next();
  const waits = stream.next();
  await pause(20);
  assert.deepEqual(await Promise.all([stream.return(), waits]), Array(2).fill({ done: true, value: undefined }));
  assert.deepEqual([await status(left), (await stream.next()).done, (await stream.return()).done], [['cancelled'], true, true]);
  await assert.rejects(stream.result(), fails(Cancelled, 'cancelled'));
  const thrown = hung();
  await assert.rejects(async () => {
    for await (const _ of thrown.stream.ask('q')) throw new RangeError('mine');
  }, RangeError);
  assert.deepEqual(await status(thrown), ['cancelled']);
  const disposed = hung();
  const asked = disposed.stream.ask('q');
  await asked.next();
  await asked[Symbol.asyncDispose]();
  assert.deepEqual(await status(disposed), ['cancelled']);
  // A generator that passes it on, left early.
  const passed = hung();
  async function* passing() {
    yield* passed.stream.ask('q');
  }
  for await (const _ of passing()) break;
  assert.deepEqual(await status(passed), ['cancelled']);
  // One that nobody holds any more.
  const forgotten = hung();
  await (async () => void (await forgotten.stream.ask('q').next()))();
  for (let i = 0; i < 100 && (await status(forgotten))[0] !== 'cancelled'; i++) {
    globalThis.gc();
    await pause(10);
  }
  assert.deepEqual(await status(forgotten), ['cancelled']);
  // Cancelled before it begins: the model is not asked.
  let requests = 0;
  const idle = new Runtime({ model: new ScriptedModel(() => (requests++, 'x')) });
  const aborted = await all(idle.stream.ask('q', { signal: AbortSignal.abort() }));
  assert.deepEqual([aborted.at(-1).type, requests], ['cancelled', 0]);
  assert.throws(() => idle.stream.ask('q', { signal: {} }), refused(/signal/));
  assert.throws(() => idle.stream.ask(7), refused(/question/));
  assert.throws(() => idle.stream.resume(7), refused(/runId/));
  assert.throws(() => idle.stream.resume('r', { c: 'perhaps' }), refused(/decisions\['c'\]/));
  await assert.rejects(idle.stream.resume('nobody').result(), fails(NotFound, 'unknown_id'));
});

test('a process that ends leaves its runs to the next', () =>
  inFolder(async (folder) => {
    const begins = (run) => `
      import { Runtime, ScriptedModel, tool } from 'quorate';
      globalThis.held = [];
      const never = () => new Promise((resolve) => held.push(resolve));
      const asked = (request) => request.messages.at(-1).role === 'tool';
      const model = new ScriptedModel((request) => (asked(request) ? 'end' : { toolCalls: [{ id: 'a', name: 'first', arguments: {} }, { id: 'b', name: 'second', arguments: {} }] }));
      const made = (run, more, options) => new Runtime({ store: process.argv[1], model, tools: [tool({ name: 'first', run: () => (console.log('first'), 'one') }), tool({ name: 'second', run, ...more })], ...options });
      ${run}`;
    const ends = {
      exit: `await made(() => process.exit(3)).ask('q');`,
      uncaught: `made(() => { setTimeout(() => { throw new Error('crash'); }, 100); return never(); }).ask('q');`,
      approve: `await made(() => 'x', { effect: 'write' }, { approve: never }).ask('q');`,
      later: `made(() => { setTimeout(() => process.exit(0), 100); return never(); }).ask('q');`,
      stream: `for await (const event of made(() => { setTimeout(() => process.exit(0), 100); return never(); }).stream.ask('q'));`,
      left: `globalThis.kept = made(never).stream.ask('q'); while ((await kept.next()).value.type !== 'step_end'); setTimeout(() => {}, 200);`,
    };
    const codes = { exit: 3, uncaught: 1, approve: 13, later: 0, stream: 0, left: 0 };
    for (const [name, code] of Object.entries(ends)) {
      const place = join(folder, name);
      const ended = await program(begins(code), [place]);
      assert.equal(ended.code, codes[name], `${name}: ${ended.errors}`);
      const made = [];
      const noted = (name) => tool({ name, effect: name === 'second' && code.includes('write') ? 'write' : 'read', run: () => (made.push(name), name) });
      const model = new ScriptedModel((request) => JSON.stringify(results(request)));
      const runtime = new Runtime({ store: place, model, tools: [noted('first'), noted('second')], approve: () => true });
      const [run, ...none] = await runtime.runs();
      // Who was asked is gone: nobody has decided.
      assert.deepEqual([run.status, none], [name === 'approve' ? 'waiting' : 'interrupted', []], name);
      const answer = await runtime.resume(run.runId);
      assert.equal(answer.status, 'done', name);
      assert.deepEqual(Object.keys(relayed(answer)), ['a', 'b'], name);
      assert.ok(!/given up|callback/.test(answer.text), answer.text);
      // What had returned before the end does not run again.
      if (name !== 'exit' && name !== 'approve') assert.deepEqual(made, ['second'], name);
    }
  }));

test('a worker that is ended leaves its runs to the others', () =>
  inFolder(async (folder) => {
    const place = join(folder, 'state');
    const code = `
      const { Runtime, ScriptedModel, tool } = require('quorate');
      const { parentPort, workerData } = require('node:worker_threads');
      const never = () => new Promise((resolve) => { (globalThis.held ??= []).push(resolve); parentPort.postMessage('under way'); });
      const asked = (request) => request.messages.at(-1).role === 'tool';
      const model = new ScriptedModel((request) => (asked(request) ? 'end' : { toolCalls: [{ id: 'c0', name: 'slow', arguments: {} }] }));
      const { kind } = workerData;
      const slow = tool({ name: 'slow', run: never, ...(kind === 'approve' && { effect: 'write' }) });
      const runtime = new Runtime({ store: workerData.place, model, tools: [slow], approve: kind === 'approve' ? never : null });
      runtime.ask(kind);
      setInterval(() => {}, 1000);`;
    for (const kind of ['tool', 'approve']) {
      const worker = new Worker(code, { eval: true, workerData: { place, kind } });
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      await worker.terminate();
      const slow = tool({ name: 'slow', ...(kind === 'approve' && { effect: 'write' }), run: () => 'made after all' });
      const runtime = new Runtime({ store: place, model: new ScriptedModel((request) => results(request).c0), tools: [slow], approve: () => true });
      const found = async () => (await runtime.runs()).find((run) => run.title === kind);
      for (let i = 0; i < 100 && (await found()).status === 'running'; i++) await pause(20);
      const { status, runId } = await found();
      assert.equal(status, kind === 'approve' ? 'waiting' : 'interrupted', kind);
      assert.equal((await runtime.resume(runId)).text, 'made after all');
    }
  }));

test('a run has one holder, among runtimes and processes', () =>
  inFolder(async (folder) => {
    const place = join(folder, 'state');
    const first = new Runtime({ store: place, model: new ScriptedModel(() => pause(2000, 'x')) });
    const second = new Runtime({ store: await StateStore.open(place), model: scripted('y') });
    const asked = first.ask('q', { idempotencyKey: 'k' });
    while ((await second.runs()).length === 0) await pause(10);
    const [{ runId, status }] = await second.runs();
    assert.equal(status, 'running');
    const conflict = fails(Conflict, 'run_conflict');
    for (const one of [first, second]) {
      await assert.rejects(one.resume(runId), conflict);
      await assert.rejects(one.stream.resume(runId).result(), conflict);
      await assert.rejects(one.delete(runId), conflict);
      await assert.rejects(one.ask('q', { idempotencyKey: 'k' }), conflict);
    }
    const other = await program(
      `import { Runtime, ScriptedModel } from 'quorate';
       const runtime = new Runtime({ store: process.argv[1], model: new ScriptedModel(['z']) });
       const code = (made) => made.then(() => 'none', (error) => error.code);
       const id = process.argv[2];
       console.log(await code(runtime.resume(id)), await code(runtime.delete(id)), (await runtime.run(id)).status);
       await runtime.cancel(id);`,
      [place, runId],
    );
    assert.equal(other.said, 'run_conflict run_conflict running', other.errors);
    assert.equal((await asked).status, 'cancelled');
    await second.delete(runId);
    assert.deepEqual(await first.runs(), []);
  }));

test('tenants never cross', () =>
  inFolder(async (folder) => {
    const place = join(folder, 'state');
    const send = tool({ name: 'send', effect: 'write', run: () => 'sent' });
    const of = (tenant, more = {}) => new Runtime({ store: place, tenant, model: relay(['send']), tools: [send], ...more });
    const [acme, other, none] = [of('acme'), of('other'), of(undefined)];
    const { runId } = await acme.ask('Acme asks');
    const talk = await acme.conversation({ user: 'ann' });
    await acme.memory.remember('ann', 'Ann is allergic to penicillin.');
    const gone = fails(NotFound, 'unknown_id');
    for (const runtime of [other, none]) {
      assert.deepEqual(await runtime.runs(), []);
      await assert.rejects(runtime.run(runId), gone);
      await assert.rejects(runtime.resume(runId, { c0: 'approve' }), gone);
      await assert.rejects(runtime.stream.resume(runId, { c0: 'approve' }).result(), gone);
      await assert.rejects(runtime.cancel(runId), gone);
      await assert.rejects(runtime.delete(runId), gone);
      await assert.rejects(runtime.replay(runId), gone);
      assert.deepEqual([await runtime.memory.facts('ann'), await runtime.memory.recall('ann', 'penicillin'), await runtime.memory.forget('ann')], [[], [], 0]);
      assert.deepEqual(await (await runtime.conversation({ id: talk.id })).turns(), []);
      await assert.rejects(runtime.ask('q', { conversation: talk }), (error) => error instanceof QuorateError && /tenant/.test(error.message));
    }
    assert.equal((await acme.memory.facts('ann')).length, 1);
    // A store's tenant holds where the runtime names none, and no other may be named.
    const store = await StateStore.open(place, { tenant: 'acme' });
    assert.equal((await new Runtime({ store, model: scripted() }).runs()).length, 1);
    assert.equal((await of('acme', { store }).runs()).length, 1);
    assert.throws(() => of('other', { store }), (error) => error.code === 'tenant_violation');
    await assert.rejects(of('').ask('q'), refused(/tenant/));
    assert.throws(() => of(7), refused(/tenant/));
    const kb = await open(null);
    await kb.tenant('acme').add([{ id: 'a', text: 'The dose of metformin is 5 mg.' }]);
    await kb.tenant('other').add([{ id: 'b', text: 'The dose of metformin is 9 mg.' }]);
    const asks = async (tenant) => (await new Runtime({ kb, tenant }).ask('What is the dose of metformin?')).text;
    assert.match(await asks('acme'), /5 mg/);
    assert.match(await asks('other'), /9 mg/);
    const wrong = new Runtime({ kb: await kb.tenant('other'), tenant: 'acme' });
    await assert.rejects(wrong.ask('What is the dose of metformin?'), (error) => error.code === 'tenant_violation');
  }));

test('each failure of a run has its code', async () => {
  const rejects = async (code, runtime, options) => {
    const error = await runtime.ask('q', options).then(() => null, (error) => error);
    assert.ok(error instanceof QuorateError, `${code}: ${error}`);
    assert.equal(error.code, code, error.message);
    const last = (await all(runtime.stream.ask('q', options))).at(-1);
    assert.deepEqual([last.type, last.error?.code], ['error', code], code);
  };
  const failing = (code, kind = Unavailable) => new Runtime({ model: new ScriptedModel(() => new kind(code, 'as the test says'), { resilience: { attempts: 1 } }) });
  for (const code of ['context_overflow', 'stream_incomplete', 'rate_limited', 'offline', 'timeout', 'remote_failed', 'remote_invalid']) await rejects(code, failing(code));
  await withServer(refusal(500), async (server) => {
    const model = new Model('openai:m', { baseUrl: server.url, apiKey: 'x', resilience: { attempts: 1, breaker: [1, 60] } });
    await assert.rejects(new Runtime({ model }).ask('q'), fails(Unavailable, 'remote_failed'));
    await rejects('circuit_open', new Runtime({ model }));
  });
  await rejects('output_invalid', plain(), { output: { type: 'object' } });
  await rejects('budget_unpriced', plain(), { budget: { maxCost: 1 } });
  await rejects('callback', new Runtime({ model: new ScriptedModel(() => { throw new Error('no'); }, { resilience: { attempts: 1 } }) }));
  await rejects('unknown_id', new Runtime({ model: scripted(), registry: await AgentRegistry.open({ catalog: null }) }), { agent: 'nobody' });
  const no = await new Runtime({ model: scripted({ refusal: 'I will not.' }) }).ask('q');
  assert.deepEqual([no.status, no.stoppedBy], ['refused', 'model_refused']);
  // What calls of tools fail with.
  const told = async (runtime, options) => (await all(runtime.stream.ask('q', options))).filter((event) => event.type === 'tool_result').map((event) => event.error);
  const tools = [
    tool({ name: 'fails', run: () => { throw new Error('no'); } }),
    tool({ name: 'slow', timeout: 0.1, run: never }),
    tool({ name: 'strict', schema: { type: 'object', required: ['code'] }, run: () => 1 }),
  ];
  assert.deepEqual((await told(new Runtime({ model: relay(['fails'], ['slow']), tools }))).sort(), ['tool_failed', 'tool_timeout']);
  const read = relayed(await new Runtime({ model: relay(['fails'], ['slow'], ['strict'], ['missing']), tools }).ask('q'));
  const codes = Object.values(read).map((content) => content.split(':')[0]);
  assert.deepEqual(codes, ['tool_failed', 'tool_timeout', 'tool_arguments', 'tool_unknown']);
  // Those of calls that cannot run, too.
  assert.deepEqual(await told(new Runtime({ model: relay(['missing'], ['strict']), tools })), ['tool_unknown', 'tool_arguments']);
  const { steps } = await new Runtime({ model: relay(['missing'], ['strict']), tools }).ask('q');
  assert.deepEqual(steps.filter((step) => step.kind === 'tool').map((step) => step.error), ['tool_unknown', 'tool_arguments']);
  const long = tool({ name: 'long', timeout: 20, run: never });
  assert.deepEqual(await told(new Runtime({ model: relay(['long']), tools: [long] }), { budget: { maxSeconds: 1 } }), ['budget_exceeded']);
  const registry = await AgentRegistry.open({ catalog: null });
  await registry.addAll([{ id: 'kidney', name: 'kidney', summary: 'Treats diseases of the kidney.' }]);
  const inner = new Runtime({ registry, model: relay(['send']), tools: [tool({ name: 'send', effect: 'write', run: () => 'sent' })] });
  const asking = new Runtime({ registry, model: relay(['ask_kidney', { question: 'q' }]), tools: [await agentTool(inner, 'kidney')] });
  const waiting = await asking.ask('q');
  assert.deepEqual([waiting.status, waiting.pending.map(({ id, agent }) => [id, agent])], ['waiting', [['c0/c0', 'kidney']]]);
  const deep = new Runtime({ registry, model: scripted('the last') });
  let chain = deep;
  for (let depth = 0; depth < 6; depth++) chain = new Runtime({ registry, model: relay(['ask_kidney', { question: 'q' }]), tools: [await agentTool(chain, 'kidney')] });
  assert.match((await chain.ask('q', { agent: 'kidney' })).text, /step_limit/);
});

test('a wrong option is named with its place', async () => {
  const runtime = plain();
  const ask = (options) => runtime.ask('q', options);
  const places = [
    [{ budget: { maxCost: '1' } }, /budget.*maxCost is "1"/],
    [{ budget: { maxTokens: -1 } }, /budget.*maxTokens is -1/],
    [{ budget: { maxTokens: 0 } }, /budget.*maxTokens is 0/],
    [{ budget: { max_cost: 1 } }, /budget.*'max_cost'/],
    [{ budget: { unpriced: true } }, /budget.*unpriced/],
    [{ budget: [] }, /budget/],
    [{ seed: 2n ** 64n }, /seed is a BigInt/],
    [{ seed: -1 }, /seed is -1/],
    [{ agent: 5 }, /agent is 5/],
    [{ autonomous: 'yes' }, /autonomous is "yes"/],
    [{ idempotencyKey: 5 }, /idempotencyKey is 5/],
    [{ idempotencyKey: '' }, /key is empty/],
    [{ output: 'text' }, /output/],
    [{ output: { type: 'nonsense' } }, /Schema/],
    [{ where: { a: Symbol('x') } }, /where\.a is a symbol/],
    [{ conversation: [{ role: 'nobody', content: 'x' }] }, /role|nobody/],
    [{ conversation: [7] }, /message/],
    [{ tools: 'x' }, /tools/],
    [{ tools: [null] }, /tools\[0\]/],
    [JSON.parse('{"__proto__": {"autonomous": true}}'), /__proto__/],
    [[], /options are an array/],
    [() => 1, /options are a function/],
  ];
  for (const [options, message] of places) await assert.rejects(ask(options), refused(message), String(message));
  await assert.rejects(ask({ budget: { maxCost: NaN } }), fails(InvalidInput, 'not_finite', /budget.*maxCost|maxCost/));
  await assert.rejects(runtime.ask('\ud800'), fails(InvalidInput, 'invalid_text', /question/));
  const resume = (decisions, options) => runtime.resume('r', decisions, options);
  await assert.rejects(resume(new Map([['c', 'approve']])), refused(/decisions is a Map/));
  await assert.rejects(resume(['approve']), refused(/decisions/));
  await assert.rejects(resume('approve'), refused(/decisions/));
  await assert.rejects(resume({ c: { arguments: { a: NaN } } }), fails(InvalidInput, 'not_finite', /decisions\.c\.arguments\.a/));
  await assert.rejects(resume({ c: () => true }), refused(/decisions\.c is a function/));
  await assert.rejects(resume({ c: { arguments: {}, more: 1 } }), refused(/decisions\['c'\]/));
  await assert.rejects(resume({}, { output: 7 }), refused(/output/));
  await assert.rejects(resume(undefined), fails(NotFound, 'unknown_id'));
  for (const call of ['run', 'cancel', 'delete', 'resume', 'replay']) await assert.rejects(runtime[call](undefined), refused(/runId/), call);
  const made = (more) => () => tool({ name: 't', run: () => 1, ...more });
  for (const [more, message] of [
    [{ name: 7 }, /name is 7/], [{ description: 7 }, /description is 7/], [{ schema: 'x' }, /schema/], [{ schema: { type: 'nonsense' } }, /schema/i], [{ approval: 'yes' }, /approval/],
    [{ timeout: 1e9 }, /timeout/], [{ idempotent: 1 }, /idempotent/], [{ maxResultTokens: 0 }, /maxResultTokens/], [{ maxResultTokens: 1.5 }, /maxResultTokens/], [{ max_result_tokens: 5 }, /max_result_tokens/],
  ]) assert.throws(made(more), refused(message), String(message));
  // A decision by a name of the prototype decides nothing.
  const sent = [];
  const send = tool({ name: 'send', effect: 'write', run: () => (sent.push(1), 'sent') });
  const careful = new Runtime({ model: relay(['send']), tools: [send] });
  const { runId } = await careful.ask('q');
  await assert.rejects(careful.resume(runId, JSON.parse('{"__proto__": "approve"}')), fails(NotFound, 'unknown_id'));
  await assert.rejects(careful.resume(runId, { constructor: 'approve' }), fails(NotFound, 'unknown_id'));
  assert.deepEqual([sent, (await careful.resume(runId, Object.create({ c0: 'approve' }))).status], [[], 'waiting']);
});

test('a run that goes on is read in its form', async () => {
  const form = z.object({ mg: z.number() }).transform(({ mg }) => ({ grams: mg / 1000 }));
  const send = tool({ name: 'send', effect: 'write', run: () => 'sent' });
  const runtime = new Runtime({ model: new ScriptedModel((request) => (results(request).c0 ? '{"mg": 5}' : calls(['send']))), tools: [send] });
  const waits = async () => (await runtime.ask('q', { output: form })).runId;
  const first = await waits();
  assert.deepEqual((await runtime.resume(first, { c0: 'approve' }, { output: form })).output, { grams: 0.005 });
  assert.deepEqual((await runtime.stream.resume(await waits(), { c0: 'approve' }, { output: form }).result()).output, { grams: 0.005 });
  assert.deepEqual((await runtime.resume(await waits(), { c0: 'approve' })).output, { mg: 5 });
  const run = await runtime.run(first);
  assert.deepEqual([(await run.answer()).output, (await run.answer({ output: form })).output], [{ mg: 5 }, { grams: 0.005 }]);
  const picky = z.object({ mg: z.number().refine(() => false, 'no') });
  await assert.rejects(run.answer({ output: picky }), fails(Unavailable, 'output_invalid', /\/mg/));
  await assert.rejects(run.answer({ form }), refused(/form/));
});
