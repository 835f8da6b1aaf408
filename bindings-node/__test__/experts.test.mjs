// Do experts answer from Node, use tools, wait for decisions, keep to budgets, and stop when they are told to?

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

import { toStandardJsonSchema } from '@valibot/to-json-schema';
import * as valibot from 'valibot';
import { z } from 'zod';

import {
  AgentRegistry,
  Cancelled,
  Conflict,
  InvalidInput,
  Model,
  NotFound,
  QuorateError,
  Runtime,
  RuntimeTool,
  ScriptedModel,
  StateStore,
  Unavailable,
  Unsupported,
  agentTool,
  kbTool,
  open,
  tool,
} from 'quorate';

import { fails, inFolder, withKb } from './support/kb.mjs';

/** What is never answered, though somebody could: what nobody can answer any more is given up when it is collected. */
const held = [];
const never = () => new Promise((resolve) => held.push(resolve));
/** A reply that calls tools: `[name, arguments]` each. */
const calls = (...made) => ({ toolCalls: made.map(([name, args = {}], i) => ({ id: `c${i}`, name, arguments: args })) });
const scripted = (...replies) => new ScriptedModel(replies);
/** What tools gave, out of the fence around it. */
const unfenced = (content) => /^<tool_result tool="[^"]+">\n(.*)\n<\/tool_result>$/s.exec(content)?.[1] ?? content;
/** What the tools gave, by the id of the call. */
const results = (request) =>
  Object.fromEntries(
    request.messages
      .flatMap((message) => (Array.isArray(message.content) ? message.content : []))
      .filter((part) => part.type === 'tool_result')
      .map((part) => [part.tool_call_id, unfenced(part.content)]),
  );
/** A model that calls tools, then says what they gave as JSON. */
const relay = (...made) => new ScriptedModel((request) => (Object.keys(results(request)).length > 0 ? JSON.stringify(results(request)) : calls(...made)));
const relayed = (answer) => JSON.parse(answer.text);
const write = (run = (args) => args, more = {}) =>
  tool({ name: 'send', schema: { type: 'object', properties: { to: { type: 'string' } }, required: ['to'] }, effect: 'write', run, ...more });

async function all(events) {
  const found = [];
  for await (const one of events) found.push(one);
  return found;
}

/** Collects garbage until `done`, a number of times at most. */
async function collected(done, times = 100) {
  for (let i = 0; i < times && !done(); i++) {
    globalThis.gc();
    await pause(20);
  }
  return done();
}

test('an answer has its parts', async () => {
  const runtime = new Runtime({ model: scripted('5 mg daily.') });
  const answer = await runtime.ask('Which dose?');
  assert.deepEqual([answer.text, answer.status, answer.mode, answer.stoppedBy], ['5 mg daily.', 'done', 'automatic', null]);
  assert.deepEqual([answer.output, answer.citations, answer.agent, answer.match, answer.plan, answer.pending, answer.checks], [null, [], null, null, null, [], []]);
  assert.equal(typeof answer.usage.cacheWritten1h, 'number');
  assert.equal(answer.steps.at(-1).kind, 'model');
  const messages = await new Runtime({ model: scripted() }).prompt('Which dose?', { conversation: [{ role: 'user', content: 'Hello' }] });
  assert.deepEqual(messages.filter((m) => m.role === 'user').map((m) => m.content)[0], 'Hello');
});

test('tools run at once, sync and async, and are told about the call', async () => {
  let arrived = 0;
  let open;
  const both = new Promise((resolve) => (open = resolve));
  const told = [];
  const meet = async (args, context) => {
    told.push(context);
    if (++arrived === 2) open();
    await both;
    return { got: args };
  };
  const schema = { type: 'object', properties: { n: { type: 'integer' } } };
  const tools = [tool({ name: 'one', schema, run: meet }), tool({ name: 'two', schema, run: meet }), tool({ name: 'three', run: () => 'plain text' })];
  const runtime = new Runtime({ model: relay(['one', { n: 1 }], ['two', { n: 2n ** 60n }], ['three']), tools, tenant: 'acme' });
  const answer = await runtime.ask('q');
  assert.deepEqual([relayed(answer).c0, relayed(answer).c2], ['{"got":{"n":1}}', 'plain text']);
  assert.equal(relayed(answer).c1, `{"got":{"n":${2n ** 60n}}}`);
  assert.deepEqual(told.map((one) => [one.runId, one.tenant]), Array(2).fill([answer.runId, 'acme']));
  assert.deepEqual(new Set(told.map((one) => one.idempotencyKey)).size, 2);
  assert.deepEqual(told.map((one) => one.callId).sort(), ['c0', 'c1']);
  assert.ok(told.every((one) => one.signal instanceof AbortSignal && !one.signal.aborted));
  assert.ok(tools[0] instanceof RuntimeTool);
  assert.deepEqual([tools[0].name, tools[0].card.effect, tools[0].card.timeout, tools[0].card.maxResultTokens], ['one', 'read', 30, 2000]);
  // A model's own call takes the same tools.
  const reply = await scripted(calls(['one', { n: 3 }])).complete('q', { tools });
  assert.deepEqual(reply.toolCalls[0].arguments, { n: 3 });
});

test('what a tool does wrong is named to the model', async () => {
  let stopped;
  const hung = tool({ name: 'hung', timeout: 0.3, run: (_, { signal }) => (signal.addEventListener('abort', () => (stopped = signal.reason)), never()) });
  const tools = [
    hung,
    tool({ name: 'broken', run: () => { throw new TypeError('boom'); } }),
    tool({ name: 'rejects', run: async () => { throw new InvalidInput('tool_arguments', 'no such code'); } }),
    tool({ name: 'strict', schema: { type: 'object', required: ['code'] }, run: () => 'x' }),
    tool({ name: 'odd', run: () => ({ at: new Map() }) }),
    tool({ name: 'nothing', run: () => undefined }),
  ];
  const runtime = new Runtime({ model: relay(['hung'], ['broken'], ['rejects'], ['strict'], ['odd'], ['nothing'], ['missing']), tools });
  const before = performance.now();
  const answer = await runtime.ask('q');
  assert.ok(performance.now() - before < 3000);
  const said = relayed(answer);
  assert.match(said.c0, /^tool_timeout: /);
  assert.match(said.c1, /^tool_failed: .*TypeError: boom/);
  assert.match(said.c2, /^tool_arguments: no such code/);
  assert.match(said.c3, /^tool_arguments: /);
  assert.match(said.c4, /^tool_failed: .*at is a Map/);
  assert.equal(said.c5, 'done');
  assert.match(said.c6, /^tool_unknown: .*hung, broken/);
  assert.deepEqual(answer.steps.filter((step) => step.name === 'hung').map((step) => step.error), ['tool_timeout']);
  await pause(50);
  assert.equal(stopped?.code, 'cancelled');
});

test('a Standard Schema checks and transforms arguments', async () => {
  const taken = [];
  const run = (args) => void taken.push(args);
  const zod = z.object({ code: z.string().transform((code) => code.toUpperCase()), year: z.number().default(2025) });
  const day = z.object({ day: z.string().refine((day) => day !== 'never', 'no such day') });
  const own = valibot.object({ day: valibot.optional(valibot.string(), 'today') });
  const tools = [tool({ name: 'zod', schema: zod, run }), tool({ name: 'refined', schema: day, run }), tool({ name: 'valibot', schema: toStandardJsonSchema(own), run })];
  assert.deepEqual(tools[0].schema.required, ['code']);
  const answer = await new Runtime({ model: relay(['zod', { code: 'c1' }], ['refined', { day: 'never' }], ['valibot', {}]), tools }).ask('q');
  assert.deepEqual(taken.sort((a, b) => ('day' in a) - ('day' in b)), [{ code: 'C1', year: 2025 }, { day: 'today' }]);
  assert.match(relayed(answer).c1, /^tool_arguments: .*'\/day': no such day/);
  assert.throws(() => tool({ name: 'x', schema: own, run }), fails(InvalidInput, 'invalid_argument', /no JSON Schema/));
});

test('an output has its form', async () => {
  const form = z.object({ mg: z.number() }).transform(({ mg }) => ({ grams: mg / 1000 }));
  const runtime = new Runtime({ model: new ScriptedModel(() => '{"mg": 5}') });
  assert.deepEqual((await runtime.ask('q', { output: { type: 'object' } })).output, { mg: 5 });
  assert.deepEqual((await runtime.ask('q', { output: form })).output, { grams: 0.005 });
  assert.deepEqual((await runtime.stream.ask('q', { output: form }).result()).output, { grams: 0.005 });
  const picky = z.object({ mg: z.number().refine(() => false, 'no') });
  await assert.rejects(runtime.ask('q', { output: picky }), fails(Unavailable, 'output_invalid', /\/mg/));
  const last = (await all(runtime.stream.ask('q', { output: picky }))).at(-1);
  assert.deepEqual([last.type, last.error.code, last.result.output], ['error', 'output_invalid', null]);
  const wrong = new Runtime({ model: new ScriptedModel(() => 'no JSON') });
  await assert.rejects(wrong.ask('q', { output: { type: 'object' } }), fails(Unavailable, 'output_invalid'));
});

test('a write waits, and goes on as it is decided', async () => {
  const sent = [];
  const send = write((args) => (sent.push(args), 'sent'));
  const runtime = new Runtime({ model: new ScriptedModel((request) => results(request).c0 ?? calls(['send', { to: 'ann' }])), tools: [send] });
  const asked = await runtime.ask('q');
  assert.deepEqual([asked.status, sent], ['waiting', []]);
  assert.deepEqual(asked.pending, [{ id: 'c0', name: 'send', arguments: { to: 'ann' }, effect: 'write' }]);
  assert.deepEqual((await runtime.runs({ status: 'waiting' })).map((one) => one.runId), [asked.runId]);
  await assert.rejects(runtime.resume(asked.runId, { c0: { arguments: { to: 7 } } }), fails(InvalidInput, 'tool_arguments'));
  await assert.rejects(runtime.resume(asked.runId, { other: 'approve' }), fails(NotFound, 'unknown_id'));
  await assert.rejects(runtime.resume(asked.runId, { c0: 'perhaps' }), fails(InvalidInput, 'invalid_argument', /decision/));
  const done = await runtime.resume(asked.runId, { c0: { arguments: { to: 'bob' } } });
  assert.deepEqual([done.status, done.text, sent], ['done', 'sent', [{ to: 'bob' }]]);
  const other = await runtime.ask('q');
  const denied = await runtime.stream.resume(other.runId, { c0: 'deny' }).result();
  assert.equal(denied.status, 'done');
  assert.match(denied.text, /denied|approval/i);
  // An autonomous run without somebody to ask is denied it.
  const alone = await new Runtime({ model: new ScriptedModel((request) => results(request).c0 ?? calls(['send', { to: 'ann' }])), tools: [send] }).ask('q', { autonomous: true });
  assert.notEqual(alone.status, 'waiting');
  assert.equal(sent.length, 1);
});

test('a function approves, sync or async', async () => {
  const sent = [];
  const send = write((args) => (sent.push(args.to), 'sent'));
  const model = () => new ScriptedModel((request) => results(request).c0 ?? calls(['send', { to: 'ann' }]));
  const seen = [];
  const ask = (approve, more) => new Runtime({ model: model(), tools: [send], approve }).ask('q', more);
  assert.equal((await ask((pending) => (seen.push(pending), true))).text, 'sent');
  assert.deepEqual(seen, [{ id: 'c0', name: 'send', arguments: { to: 'ann' }, effect: 'write' }]);
  assert.equal((await ask(async () => (await pause(20), { arguments: { to: 'eve' } }))).text, 'sent');
  assert.notEqual((await ask(() => 'deny')).text, 'sent');
  assert.equal((await ask(() => undefined)).status, 'waiting');
  assert.equal((await ask(() => 'deny', { approve: async () => 'approve' })).text, 'sent');
  // Nobody has decided then; an event says why.
  for (const [approve, why] of [[() => { throw new Error('no'); }, /no/], [() => 'perhaps', /perhaps/]]) {
    assert.equal((await ask(approve)).status, 'waiting');
    const events = await all(new Runtime({ model: model(), tools: [send], approve }).stream.ask('q'));
    assert.equal(events.at(-1).type, 'waiting');
    assert.match(events.find((event) => event.type === 'warning').message, why);
  }
  assert.deepEqual(sent, ['ann', 'eve', 'ann']);
  const stream = new Runtime({ model: model(), tools: [send], approve: async () => true }).stream.ask('q');
  assert.ok((await all(stream)).some((event) => event.type === 'approval' && event.decision === 'approve'));
});

test('budgets stop a run, and say by what', async () => {
  let round = 0;
  const look = tool({ name: 'look', schema: { type: 'object' }, run: () => 'nothing' });
  const slow = tool({ name: 'look', schema: { type: 'object' }, run: async () => (await pause(100), 'nothing') });
  const busy = (tools = [look], options) => {
    const model = new ScriptedModel((request) => {
      if (request.tool_choice === 'none') return 'as far as I got';
      return { toolCalls: [{ id: `c${round}`, name: 'look', arguments: { n: round++ } }], usage: { input: 1000, output: 1000 } };
    }, options);
    return new Runtime({ model, tools });
  };
  const stopped = async (budget, runtime = busy()) => {
    const answer = await runtime.ask('q', { budget });
    assert.deepEqual([answer.status, answer.text], ['partial', 'as far as I got']);
    assert.ok(!budget?.maxCost || answer.cost <= budget.maxCost);
    return answer.stoppedBy;
  };
  assert.equal(await stopped({ maxSteps: 3 }), 'max_steps');
  assert.equal(await stopped({ maxToolCalls: 2 }), 'max_tool_calls');
  assert.equal(await stopped({ maxTokens: 20_000, maxSteps: null }), 'max_tokens');
  assert.equal(await stopped({ maxSeconds: 1, maxSteps: null }, busy([slow])), 'max_seconds');
  assert.equal(await stopped({ maxCost: 0.02, maxSteps: null }, busy([look], { price: { input: 1, output: 1 } })), 'max_cost');
  assert.equal(await stopped(undefined), 'max_steps');
  const plain = new Runtime({ model: scripted('a', 'b') });
  await assert.rejects(plain.ask('q', { budget: { maxCost: 1 } }), fails(InvalidInput, 'budget_unpriced'));
  assert.equal((await plain.ask('q', { budget: { maxCost: 1, unpriced: 'allow' } })).text, 'a');
  assert.equal((await plain.ask('q', { budget: { maxSteps: null } })).text, 'b');
  for (const budget of [{ maxCost: -1 }, { maxSteps: 0.5 }, { maxSecond: 1 }, { unpriced: 'no' }, 7]) {
    await assert.rejects(plain.ask('q', { budget }), fails(InvalidInput, 'invalid_argument'));
    assert.throws(() => new Runtime({ model: scripted(), budget }), fails(InvalidInput, 'invalid_argument'));
  }
  await assert.rejects(plain.ask('q', { budget: { maxCost: NaN } }), fails(InvalidInput, 'not_finite'));
});

test('a signal ends a run within half a second', async () => {
  const isMine = (error) => fails(Cancelled, 'cancelled')(error) && error.cause.message === 'mine';
  const within = async (model, more = {}) => {
    const runtime = new Runtime({ model, ...more });
    const control = new AbortController();
    const asked = runtime.ask('q', { signal: control.signal });
    await pause(100);
    const since = performance.now();
    control.abort(new Error('mine'));
    await assert.rejects(asked, isMine);
    for (;;) {
      const [run] = await runtime.runs();
      if (run.status === 'cancelled') break;
      assert.ok(performance.now() - since < 500, run.status);
      await pause(10);
    }
    assert.equal(getEventListeners(control.signal, 'abort').length, 0);
    return runtime;
  };
  await within(new ScriptedModel(never));
  let stopped = false;
  const hung = tool({ name: 'hung', run: (_, { signal }) => (signal.addEventListener('abort', () => (stopped = true)), never()) });
  await within(relay(['hung']), { tools: [hung] });
  await pause(50);
  assert.ok(stopped);
  // Nothing but the call holds the process here, and nothing at all while the function is asked.
  const soon = [(abort) => abort(), (abort) => queueMicrotask(abort), (abort) => setImmediate(abort), (abort) => process.nextTick(abort)];
  for (let n = 0; n < 100; n += 1) {
    const asks = new AbortController();
    const approve = () => (soon[n % soon.length](() => asks.abort(new Error('mine'))), never());
    const waits = new Runtime({ model: relay(['send', { to: 'ann' }]), tools: [write()], approve });
    await assert.rejects(waits.ask('q', { signal: asks.signal }), isMine);
  }
  // From inside of a callback.
  const control = new AbortController();
  const ends = tool({ name: 'ends', run: () => (control.abort(new Error('mine')), never()) });
  await assert.rejects(new Runtime({ model: relay(['ends']), tools: [ends] }).ask('q', { signal: control.signal }), isMine);
  await assert.rejects(new Runtime({ model: scripted() }).ask('q', { signal: AbortSignal.abort(new Error('mine')) }), isMine);
  // By its id, while somebody waits: the answer says so.
  const runtime = new Runtime({ model: new ScriptedModel(never) });
  const asked = runtime.ask('q');
  await pause(100);
  const [{ runId }] = await runtime.runs({ status: 'running' });
  await runtime.cancel(runId);
  const answer = await asked;
  assert.deepEqual([answer.status, answer.stoppedBy], ['cancelled', 'cancelled']);
  await assert.rejects(runtime.cancel('nobody'), fails(NotFound, 'unknown_id'));
});

test('a stream shows what happens, in order', async () => {
  const look = tool({ name: 'look', schema: { type: 'object' }, run: () => ({ big: 2n ** 60n }) });
  const runtime = new Runtime({ model: new ScriptedModel((request) => (results(request).c0 ? 'five mg daily' : calls(['look', { n: 2n ** 60n }]))), tools: [look] });
  const events = await all(runtime.stream.ask('q'));
  const types = events.map((event) => event.type);
  assert.equal(types[0], 'run_start');
  assert.deepEqual(types.filter((type) => ['tool_call', 'tool_result', 'end'].includes(type)), ['tool_call', 'tool_result', 'end']);
  assert.ok(types.indexOf('tool_result') < types.indexOf('text'));
  assert.deepEqual(events.map((event) => event.seq), events.map((_, i) => i + 1));
  assert.equal(events.filter((event) => event.type === 'text').map((event) => event.delta).join(''), 'five mg daily');
  assert.deepEqual(events.find((event) => event.type === 'tool_call').arguments, { n: 2n ** 60n });
  assert.equal(events.at(-1).result.text, 'five mg daily');
  const { runId } = events[0];
  assert.ok(events.every((event) => event.runId === runId && typeof event.time === 'number'));
  const kept = await (await runtime.run(runId)).events();
  const shown = events.filter((event) => !['text', 'step_start', 'tool_input'].includes(event.type)).map((event) => event.type);
  assert.deepEqual(kept.map((event) => event.type), shown);
  // Errors that come before the run are its only event.
  const failed = await all(runtime.stream.ask('q', { agent: 'nobody' }));
  assert.deepEqual(failed.map((event) => [event.type, event.error.code, event.result]), [['error', 'invalid_argument', null]]);
  await assert.rejects(runtime.stream.ask(' ').result(), fails(InvalidInput, 'empty_input'));
  assert.throws(() => runtime.stream.ask('q', { agents: 'x' }), fails(InvalidInput, 'invalid_argument', /agents/));
});

test('a stream that is left, cancelled or aborted ends its run', async () => {
  const hung = () => new Runtime({ model: new ScriptedModel(never) });
  const ended = async (runtime) => {
    const since = performance.now();
    while ((await runtime.runs())[0].status !== 'cancelled') {
      assert.ok(performance.now() - since < 500);
      await pause(10);
    }
  };
  const left = hung();
  for await (const event of left.stream.ask('q')) {
    assert.equal(event.type, 'run_start');
    break;
  }
  await ended(left);
  const cancelled = hung();
  const stream = cancelled.stream.ask('q');
  await stream.next();
  stream.cancel();
  const answer = await stream.result();
  assert.deepEqual([answer.status, (await stream.next()).done], ['cancelled', true]);
  await ended(cancelled);
  const control = new AbortController();
  const aborted = hung();
  const events = aborted.stream.ask('q', { signal: control.signal });
  setTimeout(() => control.abort(), 50);
  const last = (await all(events)).at(-1);
  assert.deepEqual([last.type, last.result.status], ['cancelled', 'cancelled']);
  assert.equal(getEventListeners(control.signal, 'abort').length, 0);
  // A run that waits gives what it has.
  const waits = new Runtime({ model: relay(['send', { to: 'ann' }]), tools: [write()] });
  const found = await waits.stream.ask('q').result();
  assert.deepEqual([found.status, found.pending[0].id], ['waiting', 'c0']);
  // Nothing begins before somebody asks for an event.
  const idle = hung();
  idle.stream.ask('q');
  assert.deepEqual(await idle.runs(), []);
});

test('sentences of the knowledge base answer, cited', () =>
  withKb(async (kb) => {
    const text = '🙂🙂 Notes of the ward. 🫀 The maximum dose of metformin is 2000 mg per day. Insulin is stored in a refrigerator.';
    await kb.add([{ id: 'notes', title: 'Notes', text }]);
    for (const options of [{ kb }, { kb, model: new Model('extractive', { kb }) }, { model: await Model.open('extractive', { kb }) }]) {
      const runtime = new Runtime(options);
      const answer = await runtime.ask('What is the maximum dose of metformin per day?');
      assert.equal(answer.status, 'done');
      assert.ok(answer.citations.length > 0 && answer.grounded > 0);
      for (const { docId, start, end, text, marker } of answer.citations) {
        assert.equal((await kb.get(docId)).text.slice(start, end), text);
        assert.ok(answer.text.includes(marker));
      }
      assert.ok(answer.citations.some((one) => one.docId === 'notes' && one.text.includes('2000 mg')));
      for (const { evidence } of answer.checks) {
        if (evidence) assert.equal((await kb.get(evidence.docId)).text.slice(evidence.start, evidence.end), evidence.text);
      }
      const off = await runtime.ask('Who won the football championship in Brazil?');
      assert.deepEqual([off.status, off.stoppedBy], ['abstained', 'not_in_sources']);
      await assert.rejects(runtime.ask('q', { output: { type: 'object' } }), fails(Unsupported, 'unsupported'));
    }
    const filtered = await new Runtime({ kb }).ask('What is the maximum dose of metformin per day?', { where: { year: 2024 } });
    assert.ok(filtered.citations.every((one) => one.docId === 'metformin'));
    // How sure it must be can be chosen, and holds in runs too.
    for (const [minConfidence, ...statuses] of [[1, 'abstained', 'abstained'], [0, 'done', 'done'], [null, 'done', 'abstained']]) {
      const runtime = new Runtime({ model: new Model('extractive', { kb, minConfidence }) });
      const asked = ['What is the maximum dose of metformin per day?', 'Who won the football championship in Brazil?'];
      for (const [i, question] of asked.entries()) assert.equal((await runtime.ask(question)).status, statuses[i], `${minConfidence} ${question}`);
    }
    for (const minConfidence of [-0.1, 1.1, NaN, 'high']) {
      assert.throws(() => new Model('extractive', { kb, minConfidence }), (error) => error instanceof InvalidInput && /minConfidence|min_confidence/.test(error.message));
    }
    assert.throws(() => new Model('openai:m', { minConfidence: 0.5 }), fails(InvalidInput, 'invalid_argument', /minConfidence/));
    assert.throws(() => new Model('extractive'), fails(InvalidInput, 'invalid_argument', /kb/));
    assert.throws(() => new Model('openai:m', { kb }), fails(InvalidInput, 'invalid_argument', /kb/));
    assert.throws(() => new Model('extractive', { kb, apiKey: 'x' }), fails(InvalidInput, 'invalid_argument'));
    await assert.rejects(Model.open('extractive', { kb: {} }), fails(InvalidInput, 'invalid_argument', /KnowledgeBase/));
    // What a model says is looked up; the places are those of the document.
    const said = 'The maximum dose of metformin is 2000 mg per day [1]. The maximum dose of metformin is 3000 mg per day [1].';
    const checked = await new Runtime({ kb, model: scripted(said) }).ask('What is the maximum dose of metformin per day?');
    assert.deepEqual(checked.checks.map((check) => check.verdict), ['supported', 'contradicted']);
    assert.equal(checked.grounded, 0.5);
    for (const { docId, start, end, text } of [...checked.citations, checked.checks[0].evidence]) {
      assert.equal((await kb.get(docId)).text.slice(start, end), text);
    }
    // A model looks things up by the tool.
    const search = kbTool(kb);
    assert.equal(search.name, 'search');
    const found = await new Runtime({ model: relay(['search', { question: 'maximum dose of metformin' }]), tools: [search] }).ask('q');
    assert.match(found.text, /2000 mg/);
    // Hits, as a tool of one's own gives them.
    const own = tool({ name: 'own', run: () => kb.search('metformin') });
    assert.match((await new Runtime({ model: relay(['own']), tools: [own] }).ask('q')).text, /docId/);
  }));

test('a store in a folder is read by the next runtime', () =>
  inFolder(async (folder) => {
    const sent = [];
    const options = () => ({ model: new ScriptedModel((request) => results(request).c0 ?? calls(['send', { to: 'ann' }])), tools: [write((args) => (sent.push(args), 'sent'))], store: join(folder, 'state') });
    const first = await Runtime.open(options());
    const { runId } = await first.ask('Send it');
    const second = new Runtime(options());
    const run = await second.run(runId);
    assert.deepEqual([run.status, run.info.title, run.info.kind, run.info.parent, run.runId], ['waiting', 'Send it', 'ask', null, runId]);
    assert.deepEqual((await run.answer()).pending.map((one) => one.id), ['c0']);
    assert.equal((await run.events()).at(-1).type, 'waiting');
    assert.equal((await second.resume(runId, { c0: 'approve' })).text, 'sent');
    assert.deepEqual([sent.length, (await first.run(runId)).status, (await first.runs()).length], [1, 'done', 1]);
    const over = await first.ask('Send it');
    await first.resume(over.runId, { c0: 'deny' });
    await first.delete(over.runId);
    await assert.rejects(second.run(over.runId), fails(NotFound, 'unknown_id'));
    // Of other tenants nothing is there.
    const store = await StateStore.open(join(folder, 'state'), { tenant: 'acme' });
    const other = new Runtime({ model: scripted('x'), store });
    await assert.rejects(other.run(runId), fails(NotFound, 'unknown_id'));
    assert.deepEqual(await other.runs(), []);
    await assert.rejects(first.runs({ status: 7 }), fails(InvalidInput, 'invalid_argument'));
    await assert.rejects(first.runs({ status: 'over' }), fails(InvalidInput, 'invalid_argument', /interrupted/));
    await assert.rejects(Runtime.open({ model: scripted(), store: '/proc/no/such' }), (error) => error instanceof QuorateError && error.code !== 'internal');
    // What has to be opened first fails later, always.
    await assert.rejects(new Runtime({ model: scripted(), store: '/proc/no/such' }).ask('q'), (error) => error instanceof QuorateError && error.code !== 'internal');
    await assert.rejects(StateStore.open('/proc/no/such'), (error) => error instanceof QuorateError);
  }));

test('a key asks once, and a run has one holder', async () => {
  let asked = 0;
  const runtime = new Runtime({ model: new ScriptedModel(async () => (await pause(200), `answer ${++asked}`)) });
  const under = runtime.ask('q', { idempotencyKey: 'k' });
  await pause(50);
  await assert.rejects(runtime.ask('q', { idempotencyKey: 'k' }), fails(Conflict, 'run_conflict'));
  const [{ runId }] = await runtime.runs();
  await assert.rejects(runtime.resume(runId), fails(Conflict, 'run_conflict'));
  const [first, again] = [await under, await runtime.ask('q', { idempotencyKey: 'k' })];
  assert.deepEqual([first.text, again.text, first.runId === again.runId, asked], ['answer 1', 'answer 1', true, 1]);
  assert.equal((await (await runtime.run(runId)).answer()).text, 'answer 1');
});

test('experts are matched, and ask one another', async () => {
  const registry = await AgentRegistry.open({ catalog: null });
  const agent = (id, summary, more = {}) => ({ id, name: id, summary, instructions: 'You are {{ name }}. Answer in rhymes.', ...more });
  const made = await registry.addAll([
    agent('kidney', 'Treats diseases of the kidney and advises on renal dosing of drugs.'),
    agent('tax', 'Advises companies on income tax and VAT.'),
  ]);
  assert.equal(made[0].instructions, 'You are {{ name }}. Answer in rhymes.');
  const seen = [];
  const runtime = new Runtime({ registry, model: new ScriptedModel((request) => (seen.push(request), 'half the dose')) });
  const answer = await runtime.ask('How is a drug dosed in kidney disease?');
  assert.deepEqual([answer.agent, answer.match.id, answer.mode], ['kidney', 'kidney', 'automatic']);
  assert.ok(answer.confidence > 0 && answer.confidence <= 1);
  assert.match(JSON.stringify(seen[0].messages), /You are kidney\. Answer in rhymes/);
  assert.equal((await runtime.ask('q', { agent: 'tax' })).mode, 'manual');
  await assert.rejects(runtime.ask('q', { agent: 'nobody' }), fails(NotFound, 'unknown_id'));
  assert.match(JSON.stringify(await runtime.prompt('q', { agent: 'tax' })), /You are tax/);

  const inner = new ScriptedModel((request) => {
    const text = JSON.stringify(request.messages);
    if (text.includes('You are kidney')) return results(request).c0 ?? calls(['ask_kidney', { question: 'deeper?' }]);
    return results(request).c0 ?? calls(['ask_kidney', { question: 'how?' }]);
  });
  const tools = [];
  const deep = new Runtime({ registry, model: inner, tools });
  const ask = await agentTool(deep, 'kidney');
  assert.equal(ask.name, 'ask_kidney');
  const top = await deep.ask('q', { agent: 'tax', tools: [ask] });
  assert.equal(top.status, 'done');
  const [child] = (await deep.runs()).filter((run) => run.parent === top.runId);
  assert.ok(child);
  // What an expert that is asked may not do by itself waits where it was asked.
  const writer = new ScriptedModel((request) => {
    const text = JSON.stringify(request.messages);
    if (text.includes('You are kidney')) return results(request).c0 ?? calls(['send', { to: 'ann' }]);
    return results(request).c0 ?? calls(['ask_kidney', { question: 'how?' }]);
  });
  const careful = new Runtime({ registry, model: writer, tools: [write()] });
  const both = { agent: 'tax', tools: [await agentTool(careful, 'kidney'), write()] };
  const told = await careful.ask('q', both);
  assert.deepEqual([told.status, told.pending.map(({ id, name, agent }) => [id, name, agent])], ['waiting', [['c0/c0', 'send', 'kidney']]]);
  assert.equal((await careful.resume(told.runId, { 'c0/c0': 'approve' }, { tools: both.tools })).status, 'done');
  // Five deep, and no deeper; the experts have the tools of their runtimes.
  let chain = new Runtime({ registry, model: scripted('the last') });
  for (let depth = 0; depth < 7; depth++) chain = new Runtime({ registry, model: relay(['ask_kidney', { question: 'q' }]), tools: [await agentTool(chain, 'kidney')] });
  assert.match((await chain.ask('q', { agent: 'kidney' })).text, /experts ask one another 5 deep/);
  await assert.rejects(agentTool(deep, 'nobody'), fails(NotFound, 'unknown_id'));
  await assert.rejects(agentTool(new Runtime({ model: scripted() }), 'kidney'), fails(InvalidInput, 'invalid_argument'));
  const lost = new Runtime({ registry: new AgentRegistry({ catalog: '/no/such/file.yaml' }), model: scripted('x') });
  await assert.rejects(lost.ask('q'), fails(NotFound, 'not_found'));
  await assert.rejects(lost.stream.ask('q').result(), fails(NotFound, 'not_found'));
});

test('an autonomous run plans, and its plan can be decided about', async () => {
  const model = () => new ScriptedModel((request) => (JSON.stringify(request.messages).includes('Make a plan') ? '{"steps": ["look it up"]}' : 'found'));
  const seen = [];
  const decide = (decision) => (pending) => (seen.push(pending), decision);
  const answer = await new Runtime({ model: model(), approve: decide(true) }).ask('q', { autonomous: true });
  assert.deepEqual([answer.mode, answer.status], ['autonomous_automatic', 'done']);
  assert.deepEqual(answer.plan.steps.map((step) => step.task), ['look it up']);
  const waits = await new Runtime({ model: model(), approve: decide(null) }).ask('q', { autonomous: true });
  assert.deepEqual([waits.status, waits.pending.map((one) => one.id)], ['waiting', ['plan']]);
  const other = await new Runtime({ model: model(), approve: decide({ arguments: { steps: ['ask ann'] } }) }).ask('q', { autonomous: true });
  assert.deepEqual(other.plan.steps.map((step) => step.task), ['ask ann']);
  const denied = await new Runtime({ model: model(), approve: decide('deny') }).ask('q', { autonomous: true });
  assert.deepEqual([denied.status, denied.stoppedBy], ['refused', 'plan_denied']);
  assert.deepEqual(seen.map((one) => [one.id, one.arguments]), Array(4).fill(['plan', { steps: ['look it up'] }]));
});

test('what is not known is refused by name', async () => {
  const runtime = new Runtime({ model: scripted('x') });
  const refused = (name) => fails(InvalidInput, 'invalid_argument', new RegExp(name));
  await assert.rejects(runtime.ask('q', { agnet: 'x' }), refused('agnet'));
  await assert.rejects(runtime.ask('q', { idempotency_key: 'x' }), refused('idempotency_key'));
  await assert.rejects(runtime.resume('r', {}, { seed: 1 }), refused('seed'));
  await assert.rejects(runtime.runs({ state: 'x' }), refused('state'));
  await assert.rejects(runtime.conversation({ size: 1 }), refused('size'));
  await assert.rejects(runtime.memory.recall('u', 'q', { n: 1 }), refused('n'));
  assert.throws(() => new Runtime({ models: [] }), refused('models'));
  assert.throws(() => new StateStore(null, { path: 'x' }), refused('path'));
  assert.throws(() => tool({ name: 'x', run: () => 1, timeOut: 3 }), refused('timeOut'));
  assert.throws(() => tool({ name: 'a b', run: () => 1 }), refused('a b'));
  assert.throws(() => tool({ name: 'x' }), refused('run'));
  assert.throws(() => tool({ name: 'x', run: () => 1, effect: 'writes' }), refused('effect'));
  assert.throws(() => tool({ name: 'x', run: () => 1, timeout: 0 }), refused('timeout'));
  await assert.rejects(runtime.ask('q', { tools: [{ name: 'x' }] }), refused('tools\\[0\\]'));
  await assert.rejects(runtime.ask('q', { tools: [write(), write()] }), refused('send'));
  await assert.rejects(runtime.ask('q', { approve: 'yes' }), refused('approve'));
  await assert.rejects(runtime.ask('q', { where: 'a = 1' }), refused('where'));
  await assert.rejects(runtime.ask('q', { signal: {} }), refused('signal'));
  await assert.rejects(runtime.ask('q', { seed: 0.5 }), refused('seed'));
  await assert.rejects(runtime.ask(7), refused('question'));
  await assert.rejects(runtime.ask(' '), fails(InvalidInput, 'empty_input'));
  await assert.rejects(runtime.ask('x'.repeat(2 ** 20 + 1)), fails(InvalidInput, 'too_large'));
  for (const name of ['registry', 'kb', 'model']) assert.throws(() => new Runtime({ model: scripted(), [name]: {} }), refused(name));
  assert.throws(() => new Runtime(), refused('model'));
  assert.throws(() => new RuntimeTool(), refused('tool'));
});

test('two hundred runs go on at once, and tools may ask again', async () => {
  const look = tool({ name: 'look', schema: { type: 'object' }, run: async () => (await pause(50), 'seen') });
  const runtime = new Runtime({ model: new ScriptedModel(async (request) => (await pause(50), results(request).c0 ?? calls(['look', { n: 1 }])), { resilience: { maxConcurrent: 200 } }), tools: [look] });
  const since = performance.now();
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => runtime.ask(`question ${i}`)));
  assert.ok(answers.every((answer) => answer.text === 'seen'));
  assert.equal(new Set(answers.map((answer) => answer.runId)).size, 200);
  assert.ok(performance.now() - since < 20_000, `${performance.now() - since} ms`);
  // More than there are places, each with a run within.
  const inner = new Runtime({ model: new ScriptedModel(() => 'inner', { resilience: { maxConcurrent: 400 } }) });
  const again = tool({ name: 'look', schema: { type: 'object' }, run: async () => (await inner.ask('q')).text });
  const outer = new Runtime({ model: new ScriptedModel((request) => results(request).c0 ?? calls(['look', { n: 1 }]), { resilience: { maxConcurrent: 400 } }), tools: [again] });
  const nested = await Promise.all(Array.from({ length: 300 }, () => outer.ask('q')));
  assert.ok(nested.every((answer) => answer.text === 'inner'));
});

test('a conversation goes on, and is forgotten', async () => {
  const seen = [];
  const runtime = new Runtime({ model: new ScriptedModel((request) => (seen.push(request), `answer ${seen.length}`)) });
  const talk = await runtime.conversation({ user: 'ann', maxTokens: 1000 });
  assert.deepEqual([talk.user, talk.maxTokens, talk.keep], ['ann', 1000, 'window']);
  await runtime.memory.remember('ann', 'Ann is allergic to penicillin.', { source: 'intake form' });
  await runtime.ask('Which dose?', { conversation: talk });
  await runtime.ask('Is she allergic to penicillin?', { conversation: talk });
  const said = JSON.stringify(seen[1].messages);
  assert.match(said, /Which dose\?.*answer 1/);
  assert.match(said, /allergic to penicillin\./);
  assert.deepEqual((await talk.messages()).map((message) => message.content), ['Which dose?', 'answer 1', 'Is she allergic to penicillin?', 'answer 2']);
  await talk.add([{ role: 'user', content: 'By the way' }, { role: 'assistant', content: 'Yes?' }]);
  const known = await runtime.conversation({ id: talk.id });
  const { id, user, turns } = await known.export();
  assert.deepEqual([id, user, turns.length, turns[2].runId], [talk.id, 'ann', 3, '']);
  assert.equal(await talk.forget([turns[0].runId]), 1);
  assert.equal(await talk.forget(turns[2].id), 1);
  assert.deepEqual((await talk.turns()).map((turn) => turn.id), [turns[1].id]);
  assert.deepEqual([await talk.forget(), (await talk.turns()).length], [1, 0]);
  await assert.rejects(talk.forget({ a: 1 }), fails(InvalidInput, 'invalid_argument'));
  await assert.rejects(talk.add([]), fails(InvalidInput, 'empty_input'));
  await assert.rejects(runtime.conversation({ keep: 'all' }), fails(InvalidInput, 'invalid_argument', /keep/));
  await assert.rejects(runtime.conversation({ maxTokens: 0 }), fails(InvalidInput, 'invalid_argument'));
  await assert.rejects(runtime.ask('q', { conversation: 7 }), fails(InvalidInput, 'invalid_argument'));
});

test('facts about users are kept, recalled and forgotten', async () => {
  const { memory } = new Runtime({ model: scripted() });
  const fact = await memory.remember('ann', 'Ann is allergic to penicillin.', { source: 'intake form' });
  await memory.remember('ann', 'Ann lives in Berlin.');
  assert.deepEqual([fact.text, fact.source, typeof fact.time], ['Ann is allergic to penicillin.', 'intake form', 'number']);
  assert.deepEqual((await memory.recall('ann', 'any allergic reaction to penicillin?', { k: 1 })).map((one) => one.id), [fact.id]);
  assert.deepEqual([(await memory.facts('ann')).length, (await memory.facts('bob')).length], [2, 0]);
  await assert.rejects(memory.forget('ann', 'other'), fails(NotFound, 'unknown_id'));
  assert.deepEqual([await memory.forget('ann', fact.id), await memory.forget('ann')], [1, 1]);
  await assert.rejects(memory.remember('ann', ' '), fails(InvalidInput, 'empty_input'));
  await assert.rejects(memory.remember(7, 'x'), fails(InvalidInput, 'invalid_argument', /user/));
});

test('a runtime that its own functions refer to is let go', async () => {
  const gone = [];
  const registry = new FinalizationRegistry((name) => gone.push(name));
  const make = async () => {
    const holder = {};
    const look = tool({ name: 'look', schema: { type: 'object' }, run: () => (holder.runtime ? 'seen' : 'alone') });
    holder.runtime = new Runtime({ model: relay(['look', {}]), tools: [look], approve: () => Boolean(holder.runtime) });
    assert.match((await holder.runtime.ask('q')).text, /seen/);
    registry.register(holder, 'holder');
    registry.register(holder.runtime, 'runtime');
  };
  await make();
  assert.ok(await collected(() => gone.length === 2), gone.join());
  // While a run is under way, what it needs stays.
  const passing = async () => {
    const look = tool({ name: 'look', schema: { type: 'object' }, run: async () => (await pause(100), 'seen') });
    return new Runtime({ model: relay(['look', {}]), tools: [look], approve: () => true }).ask('q');
  };
  const asked = passing();
  for (let i = 0; i < 20; i++) {
    globalThis.gc();
    await pause(10);
  }
  assert.match((await asked).text, /seen/);
});

test('functions that never answer do not hold the process', async () => {
  const run = (code) => {
    const script = `import { Runtime, ScriptedModel, tool } from 'quorate'; globalThis.held = []; const never = () => new Promise((resolve) => held.push(resolve));
      const send = (more) => tool({ name: 'send', run: never, ...more });
      const model = () => new ScriptedModel([{ toolCalls: [{ id: 'c', name: 'send', arguments: {} }] }, 'end']); ${code}`;
    const since = performance.now();
    return promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: new URL('..', import.meta.url), timeout: 20_000 }).then(
      ({ stdout }) => [0, stdout.trim(), performance.now() - since],
      (error) => [error.code ?? error.signal, error.stdout.trim(), performance.now() - since],
    );
  };
  const [code, said] = await run(`const a = new Runtime({ model: model(), tools: [send({ timeout: 0.5 })] }).ask('q'); console.log((await a).text);`);
  assert.deepEqual([code, said], [0, 'end']);
  // Node's own code for a module that waits for what never comes.
  const [waits] = await run(`await new Runtime({ model: model(), tools: [send({ effect: 'write' })], approve: never }).ask('q');`);
  assert.equal(waits, 13);
  const [later, yes] = await run(`const approve = () => new Promise((resolve) => setTimeout(resolve, 300, 'deny'));
    console.log((await new Runtime({ model: model(), tools: [send({ effect: 'write' })], approve }).ask('q')).text);`);
  assert.deepEqual([later, yes], [0, 'end']);
});
