// Do runs show up in OpenTelemetry as they happened, in whichever way they were asked for, and with nothing of what was said?

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { AlwaysOffSampler, BasicTracerProvider, InMemorySpanExporter, ParentBasedSampler, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import {
  AgentRegistry,
  Cancelled,
  InvalidInput,
  Runtime,
  ScriptedModel,
  Unsupported,
  agentTool,
  evaluateAgents,
  onLog,
  telemetry,
  tool,
} from 'quorate';
import { instrument } from 'quorate/telemetry';

import { fails, inFolder } from './support/kb.mjs';

const CALL = { toolCalls: [{ id: 'c1', name: 'lookup', arguments: { code: 'SECRET' } }] };
const lookup = (run = () => 'SECRET', more = {}) =>
  tool({ name: 'lookup', schema: { type: 'object', properties: { code: { type: 'string' } } }, run, ...more });
const runtime = (replies, tools = [lookup()]) => new Runtime({ model: new ScriptedModel(replies), tools });
const votes = () => '{"choice": "yes", "confidence": 0.9}';

let exporter, provider, host;

before(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
after(() => context.disable());

beforeEach(() => {
  exporter = new InMemorySpanExporter();
  provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  host = provider.getTracer('host');
  telemetry.instrument({ tracerProvider: provider });
});

afterEach(() => {
  telemetry.uninstrument();
  telemetry.listen(null);
  onLog(null);
});

/** Runs work within a span of the host. */
const within = (work) =>
  host.startActiveSpan('host', async (span) => {
    try {
      return await work();
    } finally {
      span.end();
    }
  });

const spans = () => exporter.getFinishedSpans();
const called = (name) => spans().filter((span) => span.name.startsWith(name));

/** Names by parent's name. */
function tree() {
  const names = new Map(spans().map((span) => [span.spanContext().spanId, span.name]));
  const parent = ({ parentSpanContext: of }) => (of === undefined ? '' : (names.get(of.spanId) ?? '?'));
  return spans().map((span) => `${parent(span)} > ${span.name}`).sort();
}

/** Waits for what threads of quorate hand over. */
async function settled(done, what = 'spans') {
  for (let i = 0; i < 250 && !done(); i++) await pause(20);
  assert.ok(done(), `${what}: ${tree()}`);
}

const ns = ([seconds, nanoseconds]) => BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
const WITHIN = ['> host', 'host > invoke_agent', 'invoke_agent > chat list', 'invoke_agent > chat list', 'invoke_agent > execute_tool lookup'];

const WAYS = {
  ask: (experts, question) => experts.ask(question),
  stream: (experts, question) => experts.stream.ask(question).result(),
  events: async (experts, question) => {
    let last;
    for await (const event of experts.stream.ask(question)) last = event;
    return last.result;
  },
};

for (const [way, ask] of Object.entries(WAYS)) {
  test(`a run lies in the span of who asked (${way})`, async () => {
    const answer = await within(() => ask(runtime([CALL, 'A SECRET.']), 'What is SECRET?'));
    assert.equal(answer.text, 'A SECRET.');
    await settled(() => spans().length === 5);
    assert.deepEqual(tree().map((line) => line.trim()), WITHIN);
    assert.equal(new Set(spans().map((span) => span.spanContext().traceId)).size, 1);
    const [run] = called('invoke_agent');
    assert.equal(run.attributes['quorate.run.id'], answer.runId);
    assert.equal(run.attributes['quorate.run.status'], 'done');
    assert.equal(run.attributes['gen_ai.usage.output_tokens'], answer.usage.output);
    assert.equal(run.instrumentationScope.schemaUrl, 'https://opentelemetry.io/schemas/1.37.0');
    for (const span of spans()) {
      if (span.name === 'host') continue;
      assert.ok(!('traceparent' in span.attributes) && !JSON.stringify(span.attributes).includes('SECRET'));
      assert.equal(span.kind, span.name.startsWith('chat') ? SpanKind.CLIENT : SpanKind.INTERNAL);
      assert.ok(ns(run.startTime) <= ns(span.startTime) && ns(span.startTime) <= ns(span.endTime) && ns(span.endTime) <= ns(run.endTime));
    }
    assert.deepEqual(called('chat')[0].attributes['gen_ai.response.finish_reasons'], ['tool_calls']);
  });
}

test('requests, tools and runs that fail say by what', async () => {
  const broken = lookup(() => {
    throw new Error('SECRET');
  });
  const answer = await runtime([CALL, 'It failed.'], [broken]).ask('What?');
  assert.equal(answer.status, 'done');
  await assert.rejects(runtime([]).ask('What?'));
  const failed = spans().filter((span) => span.status.code === SpanStatusCode.ERROR);
  const codes = Object.fromEntries(failed.map((span) => [span.name, span.attributes['error.type']]));
  assert.deepEqual(codes, { 'execute_tool lookup': 'callback', 'chat list': 'invalid_argument', invoke_agent: 'invalid_argument' });
  assert.ok(failed.every((span) => !JSON.stringify([span.attributes, span.status]).includes('SECRET')));
});

test('no span is lost of a run that is cancelled', async () => {
  const abort = new AbortController();
  let under;
  const hangs = lookup((_, { signal }) => {
    under = trace.getActiveSpan();
    abort.abort();
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  const asked = within(() => runtime([CALL, 'No.'], [hangs]).ask('What?', { signal: abort.signal }));
  await assert.rejects(asked, fails(Cancelled, 'cancelled'));
  await settled(() => spans().length === 4);
  assert.deepEqual(tree().map((line) => line.trim()), ['> host', 'host > invoke_agent', 'invoke_agent > chat list', 'invoke_agent > execute_tool lookup']);
  const [run] = called('invoke_agent');
  assert.equal(run.attributes['quorate.run.status'], 'cancelled');
  assert.equal(run.status.code, SpanStatusCode.UNSET);
  assert.equal(called('execute_tool')[0].attributes['error.type'], 'cancelled');
  assert.equal(under.spanContext().spanId, called('execute_tool')[0].spanContext().spanId);

  // And of one whose stream is left.
  exporter.reset();
  await within(async () => {
    for await (const event of runtime(() => 'one two three', []).stream.ask('What?')) if (event.type === 'text') break;
  });
  await settled(() => called('invoke_agent').length === 1);
  assert.ok(tree().includes('host > invoke_agent') && tree().some((line) => line.startsWith('invoke_agent > chat')));
});

test('what functions of tools and models do lies in the span of their call', async () => {
  const inner = runtime(() => '5 mg', []);
  const asks = lookup(async () => {
    await pause(2);
    host.startSpan('fetch').end();
    return (await inner.ask('Which dose?')).text;
  });
  await within(() => runtime([CALL, '5 mg.'], [asks]).ask('Which dose?'));
  assert.deepEqual(tree().map((line) => line.trim()), [
    '> host',
    'execute_tool lookup > fetch',
    'execute_tool lookup > invoke_agent',
    'host > invoke_agent',
    'invoke_agent > chat function',
    'invoke_agent > chat list',
    'invoke_agent > chat list',
    'invoke_agent > execute_tool lookup',
  ]);
  exporter.reset();
  const member = async () => (await inner.ask('Which dose?'), votes());
  for (const ask of ['panel', 'stream']) {
    const panels = new Runtime({ model: new ScriptedModel(member) });
    const given = ['Is it?', { members: ['ann'], options: ['yes', 'no'] }];
    await (ask === 'panel' ? panels.panel(...given) : panels.stream.panel(...given).result());
    await settled(() => called('invoke_agent').length === 2);
    assert.ok(tree().includes('chat function > invoke_agent'));
    exporter.reset();
  }
  const streamed = new Runtime({ model: new ScriptedModel(async () => (await inner.ask('Which dose?')).text) });
  await streamed.stream.ask('Which dose?').result();
  await settled(() => called('invoke_agent').length === 2);
  assert.ok(tree().includes('chat function > invoke_agent'));
});

test('an expert that is asked by another lies in the call', async () => {
  const registry = new AgentRegistry(null, { catalog: null });
  await registry.add({ id: 'doses', name: 'Doses', summary: 'Doses of medicines.' });
  const inner = new Runtime({ model: new ScriptedModel(['5 mg']), registry });
  const ask = await agentTool(inner, 'doses');
  const call = { toolCalls: [{ id: 'c1', name: ask.name, arguments: { question: 'Which dose?' } }] };
  await runtime([call, '5 mg.'], [ask]).ask('Which dose?');
  assert.ok(tree().includes(`execute_tool ${ask.name} > invoke_agent Doses`), tree());
  assert.equal(called('invoke_agent Doses')[0].attributes['gen_ai.agent.id'], 'doses');
});

for (const way of ['panel', 'stream']) {
  test(`a panel is a span with the requests to its members (${way})`, async () => {
    const experts = new Runtime({ model: new ScriptedModel(votes) });
    const given = ['SECRET?', { members: ['ann', 'bob'], options: ['yes', 'no'] }];
    const panel = await within(() => (way === 'panel' ? experts.panel(...given) : experts.stream.panel(...given).result()));
    assert.equal(panel.status, 'done');
    await settled(() => spans().length === 4);
    assert.deepEqual(tree().map((line) => line.trim()), ['> host', 'host > invoke_agent', 'invoke_agent > chat function', 'invoke_agent > chat function']);
    assert.deepEqual(called('chat').map((span) => span.attributes['quorate.panel.member']).sort(), ['ann', 'bob']);
    assert.ok(called('chat').every((span) => span.attributes['gen_ai.usage.output_tokens'] > 0));
    assert.ok(spans().every((span) => !JSON.stringify(span.attributes).includes('SECRET')));
  });
}

test('what goes on or is asked again lies in the span of who asks', async () => {
  const writes = lookup(() => 'done', { effect: 'write' });
  const task = { id: 'dose', question: 'Which dose?', expect: { exact: '5 mg' } };
  const plain = runtime(() => '5 mg', []);
  const known = await plain.ask('Which dose?');
  const ways = {
    resume: [1, (experts, id) => experts.resume(id, { c1: 'approve' })],
    stream: [1, (experts, id) => experts.stream.resume(id, { c1: 'approve' }).result()],
    replay: [1, () => plain.replay(known.runId)],
    evaluate: [4, () => evaluateAgents(plain, [task], { repeat: 4, threads: 2 })],
  };
  for (const [way, [runs, goOn]] of Object.entries(ways)) {
    const experts = runtime([CALL, 'Done.'], [writes]);
    const waits = await experts.ask('What?');
    assert.equal(waits.status, 'waiting');
    await settled(() => called('invoke_agent').length > 0);
    exporter.reset();
    await within(() => goOn(experts, waits.runId));
    await settled(() => called('invoke_agent').length === runs, way);
    const id = called('host')[0].spanContext().spanId;
    assert.deepEqual(called('invoke_agent').map((span) => span.parentSpanContext?.spanId), Array(runs).fill(id), way);
  }
});

test('a panel that goes on lies in the span of who goes on with it', () =>
  inFolder(async (folder) => {
    const { dist, store } = { dist: new URL('../dist/index.mjs', import.meta.url).href, store: join(folder, 'runs') };
    // A process that is killed while its second member is asked.
    const program = `
      import { Runtime, ScriptedModel } from ${JSON.stringify(dist)};
      let asked = 0;
      const answer = () => (++asked === 1 ? '{"choice": "yes", "confidence": 0.9}' : process.kill(process.pid, 'SIGKILL'));
      const experts = new Runtime({ model: new ScriptedModel(answer), store: ${JSON.stringify(store)} });
      await experts.panel('Is it?', { type: 'sequential', members: ['ann', 'bob'], options: ['yes', 'no'] });
    `;
    await writeFile(join(folder, 'panel.mjs'), program);
    await promisify(execFile)(process.execPath, [join(folder, 'panel.mjs')]).catch(() => {});
    const experts = new Runtime({ model: new ScriptedModel(votes), store });
    const [run] = await experts.runs();
    for (const goOn of [() => experts.resumePanel(run.runId), () => experts.stream.resumePanel(run.runId).result()]) {
      exporter.reset();
      await within(goOn);
      await settled(() => called('invoke_agent').length === 1);
      assert.ok(tree().includes('host > invoke_agent'), tree());
      if ((await experts.run(run.runId)).status === 'done') break;
    }
  }));

test('no span lies in that of another caller', async () => {
  const hosts = new Map();
  const slow = async () => (await pause(5), votes());
  const ask = async (i) => {
    const experts = new Runtime({ model: new ScriptedModel(slow) });
    const once = async () => (i % 2 ? await experts.panel('Is it?', { members: ['ann', 'bob'], options: ['yes', 'no'] }) : await experts.ask('Is it?')).runId;
    for (let n = 0; n < 5; n++) {
      if (i % 3 === 0) hosts.set(await once(), undefined);
      else {
        await host.startActiveSpan('host', async (span) => {
          hosts.set(await once(), span.spanContext().spanId);
          span.end();
        });
      }
    }
  };
  await Promise.all(Array.from({ length: 12 }, (_, i) => ask(i)));
  await settled(() => called('invoke_agent').length === 60);
  const found = new Map(called('invoke_agent').map((span) => [span.attributes['quorate.run.id'], span.parentSpanContext?.spanId]));
  assert.deepEqual([...found].sort(), [...hosts].sort());
});

test('a span that is not recorded has none within it', async () => {
  const off = new BasicTracerProvider({ sampler: new AlwaysOffSampler() }).getTracer('off');
  const sampled = new BasicTracerProvider({ sampler: new ParentBasedSampler({ root: new AlwaysOffSampler() }), spanProcessors: [new SimpleSpanProcessor(exporter)] });
  telemetry.instrument({ tracerProvider: sampled });
  await off.startActiveSpan('off', async (span) => {
    await runtime(['5 mg']).ask('Which dose?');
    span.end();
  });
  assert.deepEqual(spans(), []);
  await within(() => runtime(['5 mg']).ask('Which dose?'));
  assert.deepEqual(tree().map((line) => line.trim()), ['> host', 'host > invoke_agent', 'invoke_agent > chat list']);
});

test('metrics count what was used', async () => {
  const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const meterProvider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: 3_600_000 })] });
  instrument({ tracerProvider: provider, meterProvider });
  const answer = await runtime([CALL, 'A catheter.']).ask('What?');
  await meterProvider.forceFlush();
  const [scope] = metrics.getMetrics().at(-1).scopeMetrics;
  const found = Object.fromEntries(scope.metrics.map((metric) => [metric.descriptor.name, metric]));
  assert.deepEqual(Object.keys(found).sort(), ['gen_ai.client.operation.duration', 'gen_ai.client.token.usage', 'quorate.run.duration', 'quorate.tool.duration']);
  const chat = found['gen_ai.client.operation.duration'];
  assert.deepEqual([chat.descriptor.unit, chat.dataPoints[0].value.count, chat.dataPoints[0].attributes['gen_ai.request.model']], ['s', 2, 'list']);
  assert.deepEqual(chat.dataPoints[0].value.buckets.boundaries.slice(0, 3), [0.01, 0.02, 0.04]);
  const tokens = Object.fromEntries(found['gen_ai.client.token.usage'].dataPoints.map((point) => [point.attributes['gen_ai.token.type'], point.value.sum]));
  assert.deepEqual(tokens, { input: answer.usage.input, output: answer.usage.output });
  assert.equal(found['quorate.run.duration'].dataPoints[0].attributes['quorate.run.status'], 'done');
  await meterProvider.shutdown();
});

test('a listener hears each span once it has ended, before the answer is there', async () => {
  telemetry.uninstrument();
  const [heard, told] = [[], []];
  telemetry.listen((span) => heard.push(span));
  const answer = await runtime([CALL, 'A SECRET.']).ask('What?');
  assert.deepEqual(heard.map((span) => span.name), ['chat', 'execute_tool', 'chat', 'invoke_agent']);
  const run = heard.at(-1);
  assert.deepEqual(heard.map((span) => span.parent), [run.id, run.id, run.id, null]);
  assert.equal(run.attributes['gen_ai.usage.output_tokens'], answer.usage.output);
  assert.ok(run.seconds >= 0 && run.seconds < 60 && Math.abs(run.begun - Date.now() / 1000) < 60);
  assert.ok(!JSON.stringify(heard).includes('SECRET'));
  assert.deepEqual(spans(), []);

  onLog((event) => told.push(event));
  telemetry.listen(() => {
    throw new Error('no room');
  });
  assert.equal((await runtime(['5 mg']).ask('Which dose?')).text, '5 mg');
  assert.deepEqual(told.map((event) => [event.level, event.target, event.message, event.fields.error]), Array(2).fill(['error', 'quorate.telemetry', 'a listener of spans has failed', 'Error: no room']));
  telemetry.listen(null);
  heard.length = 0;
  await runtime(['5 mg']).ask('Which dose?');
  assert.deepEqual(heard, []);
});

test('a tracer that fails takes no answer', async () => {
  const [heard, told] = [[], []];
  onLog((event) => told.push(event));
  telemetry.listen((span) => heard.push(span.name));
  const startSpan = () => {
    throw new Error('there is no room for spans');
  };
  telemetry.instrument({ tracerProvider: { getTracer: () => ({ startSpan }) } });
  assert.equal((await runtime([CALL, '5 mg']).ask('Which dose?')).text, '5 mg');
  assert.deepEqual(heard, ['chat', 'execute_tool', 'chat', 'invoke_agent']);
  assert.match(told[0].text, /the tracer or the meter has failed.*no room for spans/);
});

test('a tracer that asks itself does not wait for itself', async () => {
  const asked = [];
  const onEnd = () => {
    if (asked.length < 3) asked.push(runtime(['5 mg']).ask('Which dose?'));
  };
  const nothing = { forceFlush: async () => {}, shutdown: async () => {}, onStart: () => {}, onEnd };
  telemetry.instrument({ tracerProvider: new BasicTracerProvider({ spanProcessors: [nothing] }) });
  await runtime(['5 mg']).ask('Which dose?');
  await settled(() => asked.length === 3);
  assert.deepEqual((await Promise.all(asked)).map((answer) => answer.text), ['5 mg', '5 mg', '5 mg']);
});

test('a member and a call that nobody waits for hold no span but their own', async () => {
  let go;
  const gone = new Promise((resolve) => (go = resolve));
  const experts = new Runtime({ model: new ScriptedModel(votes) });
  const hangs = new ScriptedModel(async () => (await gone, votes()));
  const panel = await experts.panel('Is it?', { members: ['ann', { id: 'bob', model: hangs }], options: ['yes', 'no'], memberSeconds: 0.3, quorum: 0.5 });
  assert.deepEqual(panel.dropped.map((one) => one.reason), ['late']);
  await settled(() => called('invoke_agent').length === 1);
  exporter.reset();
  const slow = lookup(async () => (await gone, 'late'), { timeout: 0.3 });
  assert.equal((await runtime([CALL, 'Nobody knows.'], [slow]).ask('What?')).status, 'done');
  await settled(() => called('invoke_agent').length === 1);
  go();
  await settled(() => called('execute_tool').length === 1);
  assert.ok(tree().includes('invoke_agent > execute_tool lookup'), tree());
});

test('no span is lost among many, nor of a call that takes long', async () => {
  const ids = { run: [], chat: [] };
  telemetry.uninstrument();
  telemetry.listen((span) => (span.name === 'chat' ? ids.chat.push(span.parent) : ids.run.push(span.id)));
  const experts = runtime(() => '5 mg', []);
  await Promise.all(Array.from({ length: 300 }, () => experts.ask('Which dose?')));
  assert.deepEqual([ids.run.length, ids.chat.length], [300, 300]);
  assert.deepEqual(new Set(ids.chat), new Set(ids.run));
  await evaluateAgents(runtime(() => '5 mg', []), [{ id: 'dose', question: 'Which dose?', expect: { exact: '5 mg' } }], { repeat: 2000, threads: 2 });
  assert.deepEqual([ids.run.length, ids.chat.length], [2300, 2300]);
});

test('what is under way when another tracer takes over is told it from then on', async () => {
  // Somebody listens all the time.
  telemetry.listen(() => {});
  const late = lookup(() => {
    telemetry.uninstrument();
    telemetry.instrument({ tracerProvider: provider });
    return 'SECRET';
  });
  await within(() => runtime([CALL, 'A catheter.'], [late]).ask('What?'));
  // Those that were open are made when they end, with the time at which they began.
  assert.deepEqual(called('').map((span) => span.name).sort(), ['chat list', 'chat list', 'execute_tool lookup', 'host', 'invoke_agent']);
  const [run] = called('invoke_agent');
  assert.equal(run.parentSpanContext.spanId, called('host')[0].spanContext().spanId);
  assert.ok(ns(called('chat')[0].startTime) >= ns(run.startTime));
  // What the new tracer hears of lies in what was open.
  const inner = tree().filter((line) => !line.includes('host')).map((line) => line.trim());
  assert.deepEqual(inner, ['? > chat list', 'invoke_agent > chat list', 'invoke_agent > execute_tool lookup']);
});

test('a tracer that follows another has spans within those that are open', async () => {
  const others = new InMemorySpanExporter();
  const other = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(others)] });
  const late = lookup(() => {
    telemetry.instrument({ tracerProvider: other });
    return 'SECRET';
  });
  await within(() => runtime([CALL, 'A catheter.'], [late]).ask('What?'));
  assert.deepEqual(tree().map((line) => line.trim()), ['> host', 'host > invoke_agent', 'invoke_agent > chat list', 'invoke_agent > execute_tool lookup']);
  const [chat, ...more] = others.getFinishedSpans();
  assert.deepEqual([chat.name, more.length], ['chat list', 0]);
  assert.equal(chat.parentSpanContext.spanId, called('invoke_agent')[0].spanContext().spanId);
});

test('a meter that fails takes no span, a tracer that fails no metric, and an API in parts no answer', async () => {
  const told = [];
  onLog((event) => told.push(event.message));
  const metered = (record) => ({ getMeter: () => ({ createHistogram: (name) => ({ record: (value) => record(name, value) }) }) });
  const broken = () => {
    throw new Error('there is no room');
  };
  telemetry.instrument({ tracerProvider: provider, meterProvider: metered(broken) });
  await runtime([CALL, 'A catheter.']).ask('What?');
  assert.deepEqual(tree().map((line) => line.trim()), ['> invoke_agent', 'invoke_agent > chat list', 'invoke_agent > chat list', 'invoke_agent > execute_tool lookup']);
  assert.deepEqual([...new Set(told)], ['the tracer or the meter has failed']);
  const found = [];
  telemetry.instrument({ tracerProvider: { getTracer: () => ({ startSpan: broken }) }, meterProvider: metered((name) => found.push(name)) });
  await runtime([CALL, 'A catheter.']).ask('What?');
  assert.deepEqual(found.filter((name) => name.endsWith('.duration')).length, 4);
  const parts = { trace: { getTracer: () => ({ startSpan: broken }) } };
  telemetry.instrument({ api: parts, meterProvider: metered(() => {}) });
  assert.equal((await runtime([CALL, '5 mg.']).ask('Which dose?')).text, '5 mg.');
  assert.ok(told.includes("the caller's span could not be read"));
});

test('what a listener that is asynchronous fails with ends no process', async () => {
  const told = [];
  onLog((event) => told.push([event.message, event.fields.error]));
  telemetry.listen(async () => {
    throw new Error('no room');
  });
  await runtime(['5 mg']).ask('Which dose?');
  await settled(() => told.length === 2, 'what is told');
  assert.deepEqual(told[0], ['a listener of spans has failed', 'Error: no room']);
});

const dist = JSON.stringify(new URL('../dist/index.js', import.meta.url).pathname);

test('OpenTelemetry is not loaded before it is asked for', async () => {
  const program = `
    const { telemetry, Runtime, ScriptedModel } = require(${dist});
    const loaded = () => Object.keys(require.cache).some((file) => file.includes('@opentelemetry'));
    new Runtime({ model: new ScriptedModel(['a']) }).ask('b?').then(() => {
      telemetry.listen(() => {});
      const before = loaded();
      telemetry.listen(null);
      telemetry.instrument();
      console.log(before, loaded());
    });
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program]);
  assert.equal(stdout.trim(), 'false true');
});

test('who has no OpenTelemetry is told what to install, and gives its API in a bundle', () =>
  inFolder(async (folder) => {
    const { build } = await import('esbuild');
    const addon = process.env.QUORATE_NATIVE ?? (await import('../dist/native.js')).platform();
    const program = `
      import { telemetry, Runtime, ScriptedModel } from ${JSON.stringify(new URL('../dist/index.mjs', import.meta.url).pathname)};
      import * as api from ${JSON.stringify(new URL('../node_modules/@opentelemetry/api/build/esm/index.js', import.meta.url).pathname)};
      try {
        telemetry.instrument();
      } catch (error) {
        console.log(error.code, error.message.includes('npm install @opentelemetry/api'));
      }
      telemetry.instrument({ api });
      console.log((await new Runtime({ model: new ScriptedModel(['a']) }).ask('b?')).text);
    `;
    await writeFile(join(folder, 'program.mjs'), program);
    const outfile = join(folder, 'bundle.mjs');
    await build({ entryPoints: [join(folder, 'program.mjs')], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'silent' });
    const native = process.env.QUORATE_NATIVE ?? new URL(`../quorate.${addon}.node`, import.meta.url).pathname;
    const { stdout } = await promisify(execFile)(process.execPath, [outfile], { cwd: folder, env: { ...process.env, QUORATE_NATIVE: native } });
    assert.equal(stdout, 'unsupported true\na\n');
  }));

test('spans that come after the last Promise reach who sends at once', async () => {
  const program = `
    const { telemetry, Runtime, ScriptedModel, tool } = require(${dist});
    const names = [];
    telemetry.listen((span) => names.push(span.name));
    process.on('exit', () => console.log(names.sort().join()));
    (async () => {
      for await (const event of new Runtime({ model: new ScriptedModel(['a']) }).stream.ask('b?'));
    })();
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program]);
  assert.equal(stdout.trim(), 'chat,invoke_agent');
});

test('a worker hears where the main thread does not, and the main thread again once it has ended', async () => {
  telemetry.uninstrument();
  const program = `
    const { parentPort } = require('node:worker_threads');
    const { telemetry, Runtime, ScriptedModel } = require(${dist});
    telemetry.listen((span) => parentPort.postMessage(span.name));
    new Runtime({ model: new ScriptedModel(['a']) }).ask('b?').then(() => parentPort.postMessage('answered'));
    parentPort.on('message', () => {});
  `;
  const heard = [];
  const worker = new Worker(program, { eval: true });
  worker.on('message', (name) => heard.push(name));
  await settled(() => heard.includes('answered'));
  assert.deepEqual(heard, ['chat', 'invoke_agent', 'answered']);
  // The main thread goes first, and leaves the worker nothing.
  const own = [];
  telemetry.listen((span) => own.push(span.name));
  await runtime(['5 mg']).ask('Which dose?');
  assert.deepEqual(own, ['chat', 'invoke_agent']);
  telemetry.listen(null);
  await runtime(['5 mg']).ask('Which dose?');
  await settled(() => heard.length === 5);
  await worker.terminate();
  assert.equal((await runtime(['5 mg']).ask('Which dose?')).text, '5 mg');
  telemetry.listen((span) => own.push(span.name));
  await runtime(['5 mg']).ask('Which dose?');
  assert.deepEqual(own.slice(2), ['chat', 'invoke_agent']);
});

test('a worker that is busy keeps no span from the main thread', async () => {
  telemetry.uninstrument();
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { telemetry } = require(${dist});
    telemetry.listen(() => {});
    parentPort.postMessage('hears');
    setImmediate(() => Atomics.wait(workerData, 0, 0, 20_000));
  `;
  const busy = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(program, { eval: true, workerData: busy });
  await new Promise((resolve) => worker.once('message', resolve));
  await pause(50);
  try {
    // The worker is told, and does not take it.
    await runtime(['5 mg']).ask('Which dose?');
    const own = [];
    telemetry.listen((span) => own.push(span.name));
    await runtime(['5 mg']).ask('Which dose?');
    assert.deepEqual(own.slice(-2), ['chat', 'invoke_agent']);
  } finally {
    Atomics.store(busy, 0, 1);
    Atomics.notify(busy, 0);
    await worker.terminate();
  }
});

test('what cannot be instrumented is refused', () => {
  const refused = (message) => fails(InvalidInput, 'invalid_argument', message);
  assert.throws(() => telemetry.instrument({ tracer: provider }), refused(/tracer/));
  assert.throws(() => telemetry.instrument({ tracerProvider: {} }), refused(/tracerProvider.*getTracer/));
  assert.throws(() => telemetry.instrument({ meterProvider: 3 }), refused(/meterProvider.*getMeter/));
  assert.throws(() => telemetry.instrument({ api: {} }), refused(/@opentelemetry\/api/));
  assert.throws(() => telemetry.instrument(7), refused(/object/));
  assert.throws(() => telemetry.listen('no function'), refused(/'no function'/));
  assert.equal(typeof Unsupported, 'function');
});
