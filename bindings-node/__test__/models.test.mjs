// Do language models answer, stream, stop and fail in Node as they do in Rust?

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

import * as valibot from 'valibot';
import { toStandardJsonSchema } from '@valibot/to-json-schema';
import { z } from 'zod';

import { Cancelled, Conflict, InvalidInput, Model, NotFound, QuorateError, ScriptedModel, Unavailable, messageSchema, onLog, record, replay } from 'quorate';

import { fails, inFolder } from './support/kb.mjs';
import { event, refusal, reply, stream, withServer } from './support/loopback.mjs';

const KEY = 'sk-a-very-secret-key-77';
const SOON = { 'retry-after-ms': '1' };
const open = (server, options) => new Model('openai:m', { baseUrl: server.url, apiKey: KEY, ...options });

/** A form that each output fits, and of which `validate` says more. */
const form = (validate) => ({ '~standard': { version: 1, vendor: 'mine', validate, jsonSchema: { input: () => ({}) } } });
/** No signal, though `instanceof` says so. */
const noSignal = () => Object.create(AbortSignal.prototype);

/** Collects garbage until `done`, a number of times at most. */
async function collected(done, times = 100) {
  for (let i = 0; i < times && !done(); i++) {
    globalThis.gc();
    await pause(20);
  }
  return done();
}

async function all(events) {
  const found = [];
  for await (const one of events) found.push(one);
  return found;
}

test('an answer has its parts', () =>
  withServer(reply(), async (server) => {
    const model = open(server, { price: { input: 2, output: 8, cacheWritten1h: 3 } });
    const found = await model.complete('Which dose?', { maxTokens: 7, temperature: 0, stop: 'x', seed: 3 });
    assert.deepEqual([found.text, found.finish, found.attempts, found.model], ['5 mg', 'stop', 1, 'm-1']);
    assert.deepEqual(found.usage, { input: 11, output: 3, cached: 0, reasoning: 0, cacheWritten: 0, cacheWritten1h: 0 });
    assert.ok(Math.abs(found.cost - (11 * 2 + 3 * 8) / 1e6) < 1e-12);
    assert.deepEqual([found.toolCalls, found.brokenCalls, found.output, found.refusal], [[], [], null, null]);
    assert.deepEqual(model.price, { input: 2, output: 8, cacheWritten1h: 3 });
    const [asked] = server.asked;
    assert.deepEqual(asked.messages, [{ role: 'user', content: 'Which dose?' }]);
    assert.deepEqual([asked.temperature, asked.seed, asked.stop], [0, 3, ['x']]);
    assert.equal(server.headers[0].authorization, `Bearer ${KEY}`);
    const unpriced = open(server);
    assert.deepEqual([unpriced.price, (await unpriced.complete('q')).cost, unpriced.id], [null, null, 'openai:m']);
    assert.equal(messageSchema().$schema?.includes('2020-12'), true);
  }));

test('what fails has its code, and is asked again where that helps', async () => {
  const cases = [
    [refusal(401), Unavailable, 'remote_failed', 1],
    [refusal(404), NotFound, 'model_not_found', 1],
    [refusal(400, 'maximum context length is 5'), InvalidInput, 'context_overflow', 1],
    [refusal(429, 'no', 'error', SOON), Unavailable, 'rate_limited', 2],
    [refusal(429, 'You exceeded your current quota', 'insufficient_quota'), Unavailable, 'rate_limited', 1],
    [refusal(500, 'no', 'error', SOON), Unavailable, 'remote_failed', 2],
  ];
  for (const [answer, kind, code, requests] of cases) {
    await withServer(answer, async (server) => {
      await assert.rejects(open(server, { resilience: { attempts: 2 } }).complete('q'), fails(kind, code));
      assert.equal(server.asked.length, requests);
    });
  }
  await withServer([refusal(503, 'no', 'error', SOON), refusal(429, 'no', 'error', SOON), reply()], async (server) => {
    assert.equal((await open(server).complete('q')).attempts, 3);
    assert.equal(server.asked.length, 3);
  });
  await withServer({ hang: true }, async (server) => {
    const resilience = { attempts: 1, attemptTimeout: 0.1, firstByteTimeout: 0.1 };
    await assert.rejects(open(server, { resilience }).complete('q'), fails(Unavailable, 'timeout'));
    assert.equal((await all(open(server, { resilience }).stream('q'))).at(-1).error.code, 'timeout');
  });
});

test('another model takes over', () =>
  withServer(refusal(500, 'no', 'error', SOON), (bad) =>
    withServer(reply('from the other'), async (good) => {
      const resilience = { attempts: 1, breaker: [1, 60], fallback: [open(good)] };
      const model = open(bad, { resilience });
      assert.deepEqual([(await model.complete('q')).attempts, (await model.complete('q')).attempts], [2, 1]);
      assert.equal(bad.asked.length, 1);
    }),
  ));

test('what is wrong is said before anything is sent', () =>
  withServer(reply(), async (server) => {
    const model = open(server);
    const wrong = fails(InvalidInput, 'invalid_argument');
    for (const call of [
      () => model.complete(5),
      () => model.complete([{ role: 'king', content: 'q' }]),
      () => model.complete('q', { maxTokens: 'x' }),
      () => model.complete('q', { max_tokens: 5 }),
      () => model.complete('q', { tools: 'f' }),
      () => model.complete('q', { tools: [{ description: 'x' }] }),
      () => model.complete('q', { output: 5 }),
      () => model.complete('q', { output: { '~standard': { version: 1, vendor: 'mine', validate: () => ({ value: 1 }) } } }),
      () => model.complete('q', { signal: 5 }),
      () => model.complete('q', { signal: noSignal() }),
      () => model.countTokens('q', { signal: noSignal() }),
      async () => model.stream('q', { signal: noSignal() }),
      () => model.countTokens('q', { maxTokens: 5 }),
      () => model.complete([{ role: 'assistant', content: 'x', toolCalls: '' }, { role: 'user', content: 'y' }]),
      () => model.complete([{ role: 'assistant', content: 'x', toolCalls: 0 }, { role: 'user', content: 'y' }]),
      () => model.complete([{ role: 'tool', content: 'x', toolCallId: 0 }]),
      () => record('never.jsonl', { redakt: ['x'] }),
      async () => model.stream('q', { temperature: -1 }),
      async () => new Model('nobody:m'),
      () => Model.open('nobody:m'),
      () => Model.open('openai:m', { retries: 5 }),
      () => Model.open('openai:m', { resilience: { fallback: ['m'] } }),
      () => Model.open(5),
      async () => new Model('openai:m', { apiKey: 5 }),
      async () => new Model('openai:m', { retries: 5 }),
      async () => new Model('openai:m', { resilience: { attempts: 0 } }),
      async () => new Model('openai:m', { resilience: { fallback: ['m'] } }),
      async () => new ScriptedModel('one text'),
      async () => new ScriptedModel([5]),
    ]) {
      await assert.rejects(call, wrong, call.toString());
    }
    const hole = new Array(2 ** 32 - 1);
    for (const call of [
      () => model.complete(hole),
      () => model.countTokens(hole),
      () => model.complete('q', { tools: hole }),
      async () => new ScriptedModel(hole),
      async () => new Model('openai:m', { resilience: { fallback: hole } }),
    ]) {
      await assert.rejects(call, fails(InvalidInput, 'too_large'), call.toString());
    }
    await assert.rejects(model.complete([]), fails(InvalidInput, 'empty_input'));
    await assert.rejects(model.complete('q', { temperature: NaN }), fails(InvalidInput, 'not_finite'));
    assert.deepEqual(server.asked, []);
  }));

test('a stream says what the whole answer says', () =>
  withServer((n, body) => (body.stream ? stream('5', ' m', 'g') : reply()), async (server) => {
    const model = open(server);
    const events = await all(model.stream('q'));
    assert.deepEqual(events.filter((e) => e.type === 'text').map((e) => e.delta), ['5', ' m', 'g']);
    assert.deepEqual(events.at(-1), { type: 'end', result: await model.complete('q') });
    assert.equal((await model.stream('q').result()).text, '5 mg');
    const many = await Promise.all(Array.from({ length: 64 }, () => model.stream('q').result()));
    assert.ok(many.every(({ text }) => text === '5 mg'));
  }));

test('a cut stream never ends silently', async () => {
  const whole = stream('one ', 'two ', 'three');
  for (let cut = 0; cut < whole.body.length; cut += 29) {
    await withServer({ ...whole, cut }, async (server) => {
      const events = await all(open(server, { resilience: { attempts: 1 } }).stream('q'));
      const last = events.at(-1);
      const text = events.filter((e) => e.type === 'text').map((e) => e.delta).join('');
      assert.equal(last.result.text, text);
      if (last.type === 'error') {
        assert.ok(last.error instanceof Unavailable && last.error.code === 'stream_incomplete' && last.result.finish === null);
      } else assert.equal(last.type, 'end');
    });
  }
});

test('a broken attempt is begun anew; what is taken back is counted in UTF-16 units', async () => {
  const [first, second] = [stream('\u{1f642} one'), stream('\u{1f642} two')];
  const cut = Buffer.from(event({ content: '\u{1f642} one' })).length;
  await withServer([{ ...first, cut }, second], async (server) => {
    let text = '';
    for await (const one of open(server).stream('q')) {
      if (one.type === 'text') text += one.delta;
      if (one.type === 'retry') text = text.slice(0, one.keep);
      if (one.type === 'end') assert.deepEqual([one.result.text, one.result.attempts], ['\u{1f642} two', 2]);
    }
    assert.equal(text, '\u{1f642} two');
  });
});

test('a stream that is aborted, cancelled or left closes its connection', async () => {
  const beginning = { body: event({ content: 'one' }), kind: 'text/event-stream', hang: true };
  for (const way of ['abort', 'cancel', 'break', 'return']) {
    await withServer(beginning, async (server) => {
      const stop = new AbortController();
      const events = open(server).stream('q', { signal: stop.signal });
      const found = [];
      for await (const one of events) {
        found.push(one);
        if (one.type !== 'text') continue;
        if (way === 'abort') stop.abort();
        if (way === 'cancel') events.cancel();
        if (way === 'return') await events.return();
        if (way === 'break') break;
      }
      await server.gone;
      if (way === 'abort' || way === 'cancel') assert.deepEqual([found.at(-1).type, found.at(-1).result.text], ['cancelled', 'one']);
      else assert.equal(found.length, 1);
    });
  }
  await withServer(beginning, async (server) => {
    const stop = new AbortController();
    const waiting = open(server).complete('q', { signal: stop.signal });
    setTimeout(() => stop.abort(), 50);
    await assert.rejects(waiting, fails(Cancelled, 'cancelled'));
    await server.gone;
  });
  await withServer(beginning, async (server) => {
    const [last] = await all(open(server).stream('q', { signal: AbortSignal.abort() }));
    assert.deepEqual([last.type, server.asked.length], ['cancelled', 0]);
  });
});

test('a stream that is forgotten closes its connection, though a signal lives on', { skip: !globalThis.gc }, () =>
  withServer({ body: event({ content: 'one' }), kind: 'text/event-stream', hang: true }, async (server) => {
    const { signal } = new AbortController();
    let gone = false;
    server.gone.then(() => (gone = true));
    await (async () => open(server).stream('q', { signal }).next())();
    assert.ok(await collected(() => gone));
    assert.ok(await collected(() => getEventListeners(signal, 'abort').length === 0));
  }));

test('an answer takes the form of a schema', async () => {
  const said = { amount: 5, unit: 'mg' };
  const forms = {
    json: { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] },
    zod: z.object({ amount: z.number(), unit: z.enum(['mg', 'g']) }),
    valibot: toStandardJsonSchema(valibot.object({ amount: valibot.number(), unit: valibot.picklist(['mg', 'g']) })),
  };
  for (const output of Object.values(forms)) {
    await withServer([reply('{"amount": "much", "unit": "mg"}'), reply(JSON.stringify(said))], async (server) => {
      const found = await open(server).complete('q', { output });
      assert.deepEqual([found.output, found.attempts], [said, 2]);
      assert.ok(server.asked[1].messages.at(-1).content.includes('/amount'));
    });
    const events = await all(new ScriptedModel([JSON.stringify(said)]).stream('q', { output }));
    assert.deepEqual(events.at(-1).result.output, said);
    const wrong = new ScriptedModel(() => '{"amount": "much", "unit": "mg"}').complete('q', { output, repairs: 0 });
    await assert.rejects(wrong, fails(Unavailable, 'output_invalid', /\/amount/));
  }
  const changed = z.object({ day: z.string().transform((day) => new Date(day)).refine((day) => day.getUTCFullYear() > 2000, 'too early') });
  const found = await new ScriptedModel(['{"day": "2024-02-01"}']).complete('q', { output: changed });
  assert.ok(found.output.day instanceof Date);
  const early = ['{"day": "1999-02-01"}'];
  const scripted = new ScriptedModel(() => early[0]);
  const mended = new ScriptedModel([early[0], '{"day": "2024-02-01"}']);
  assert.equal((await mended.complete('q', { output: changed })).attempts, 2);
  await assert.rejects(scripted.complete('q', { output: changed }), fails(Unavailable, 'output_invalid', /'\/day': too early/));
  const last = (await all(scripted.stream('q', { output: changed }))).at(-1);
  assert.deepEqual([last.type, last.error.code, last.result.text], ['error', 'output_invalid', early[0]]);
});

test('a form that refuses is believed, and one that fails is told', async () => {
  const cases = [
    [() => ({ issues: [] }), Unavailable, 'output_invalid', /without a reason/],
    [() => ({ issues: [{ message: 'm', path: [null, { key: 'a' }, 0] }] }), Unavailable, 'output_invalid', /at '\/null\/a\/0': m/],
    [() => undefined, InvalidInput, 'callback'],
    [() => ({}), InvalidInput, 'callback'],
    [() => ({ issues: true }), InvalidInput, 'callback'],
    [() => Promise.reject(Object.create(null)), InvalidInput, 'callback'],
  ];
  for (const [validate, kind, code, said] of cases) {
    const model = new ScriptedModel(() => '{}');
    const asked = { output: form(validate), repairs: 0 };
    await assert.rejects(model.complete('q', asked), fails(kind, code, said), String(validate));
    assert.equal((await all(model.stream('q', asked))).at(-1).error.code, code, String(validate));
  }
});

/** Runs a program that ends by itself, unless something that nobody wants any more keeps it. */
const runs = (program) => promisify(execFile)(process.execPath, ['--expose-gc', '--input-type=module', '-e', program], { cwd: import.meta.dirname ?? '.', timeout: 20_000 });

test('whoever cancels does not wait for the check of an output', async () => {
  const asked = [];
  const output = form(() => new Promise((resolve) => asked.push(resolve)));
  for (const stop of ['cancel', 'abort', 'return']) {
    const controller = new AbortController();
    const stream = new ScriptedModel(['{}']).stream('q', { output, signal: controller.signal });
    const events = all(stream);
    while (asked.length === 0) await pause(5);
    if (stop === 'abort') controller.abort();
    else await stream[stop]();
    assert.equal((await events).at(-1)?.type, stop === 'return' ? 'text' : 'cancelled');
    asked.length = 0;
  }
  // Nor does the process.
  await runs(`
    import { ScriptedModel } from 'quorate';
    globalThis.asked = [];
    const validate = () => new Promise((resolve) => asked.push(resolve));
    const output = { '~standard': { version: 1, vendor: 'mine', validate, jsonSchema: { input: () => ({}) } } };
    const controller = new AbortController();
    const call = new ScriptedModel(['{}']).complete('q', { output, signal: controller.signal });
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort();
    const error = await call.catch((error) => error);
    if (error.code !== 'cancelled') throw error;
  `);
});

test('what a model writes keeps its numbers and its names', async () => {
  const written = '{"id":9007199254740993,"low":-9223372036854775808,"high":18446744073709551615,"x":{"$big":"5"},"$$big":1,"list":[{"$big":"6"}]}';
  const read = { id: 2n ** 53n + 1n, low: -(2n ** 63n), high: 2n ** 64n - 1n, x: { $big: '5' }, $$big: 1, list: [{ $big: '6' }] };
  const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: written } };
  const tools = [{ name: 'f' }];
  await withServer(reply(null, { message: { tool_calls: [call] }, finish: 'tool_calls' }), async (server) => {
    const model = open(server);
    const found = await model.complete('q', { tools });
    assert.deepEqual(found.toolCalls, [{ id: 'c1', name: 'f', arguments: read }]);
    assert.deepEqual(found.message.content[0].arguments, read);
    assert.equal(JSON.parse(JSON.stringify(found)).toolCalls[0].arguments.id, '9007199254740993');
    const members = (text) => text.slice(1, -1).split(',').sort();
    for (const said of [found, found.message, { role: 'assistant', toolCalls: found.toolCalls }]) {
      await model.complete(['q', said].map((one) => (one === 'q' ? { role: 'user', content: one } : one)), { tools });
      const [sent] = server.asked.at(-1).messages[1].tool_calls;
      assert.deepEqual(members(sent.function.arguments), members(written));
    }
  });
  const seen = [];
  const model = new ScriptedModel((request) => {
    seen.push(request.messages.at(-1).content[0]?.arguments ?? request.seed);
    return { toolCalls: [{ name: 'f', arguments: read }] };
  });
  const events = await all(model.stream('q', { tools, seed: 2n ** 60n }));
  assert.deepEqual(events.find(({ type }) => type === 'tool_call').arguments, read);
  assert.deepEqual(events.at(-1).result.toolCalls[0].arguments, read);
  await model.complete([{ role: 'user', content: 'q' }, events.at(-1).result], { tools });
  assert.deepEqual(seen, [2n ** 60n, read]);
  const checked = [];
  const plain = new ScriptedModel(() => written);
  const output = form((value) => ({ value: checked.push(value) && value }));
  assert.deepEqual((await plain.complete('q', { output })).output, read);
  assert.deepEqual(checked[0], read);
  assert.deepEqual((await plain.complete('q', { output: {} })).output, read);
  await assert.rejects(model.complete('q', { extra: { n: 2n ** 64n } }), fails(InvalidInput, 'invalid_argument', /64 bits/));
});

test('tools are called, and their results go back', async () => {
  const call = { id: 'c1', type: 'function', function: { name: 'lookup', arguments: '{"code": "K35"}' } };
  await withServer(reply(null, { message: { tool_calls: [call] }, finish: 'tool_calls' }), async (server) => {
    const model = open(server);
    const tools = [{ name: 'lookup', description: 'What a code means', schema: z.object({ code: z.string() }) }];
    const found = await model.complete('q', { tools, toolChoice: 'required' });
    assert.deepEqual(found.toolCalls, [{ id: 'c1', name: 'lookup', arguments: { code: 'K35' } }]);
    assert.equal(server.asked[0].tools[0].function.parameters.properties.code.type, 'string');
    const own = { role: 'assistant', toolCalls: found.toolCalls };
    for (const said of [found, found.message, own]) {
      await model.complete([{ role: 'user', content: 'q' }, said, { role: 'tool', toolCallId: 'c1', content: 'x' }], { tools });
      assert.deepEqual(server.asked.at(-1).messages.at(-1), { role: 'tool', tool_call_id: 'c1', content: 'x' });
    }
    const events = await all(new ScriptedModel([{ toolCalls: [{ name: 'f', arguments: { a: 1 } }] }]).stream('q', { tools: [{ name: 'f' }] }));
    assert.deepEqual(events.map((e) => e.type), ['tool_input', 'tool_call', 'end']);
    assert.deepEqual(events[1].arguments, { a: 1 });
  });
});

test('a script says what it is told to', async () => {
  const said = new ScriptedModel(['a', { text: 'b', usage: { input: 1, output: 2 } }, new Unavailable('rate_limited', 'slowly')]);
  assert.deepEqual([(await said.complete('q')).text, (await said.complete('q')).usage.output], ['a', 2]);
  await assert.rejects(said.complete('q'), fails(Unavailable, 'rate_limited', /slowly/));
  await assert.rejects(said.complete('q'), fails(InvalidInput, 'invalid_argument'));
  const echo = new ScriptedModel(async ({ messages }) => messages.at(-1).content.toUpperCase(), { id: 'scripted:echo' });
  assert.deepEqual([(await echo.complete('q')).text, echo.id, echo instanceof Model], ['Q', 'scripted:echo', true]);
  assert.equal((await new ScriptedModel([await echo.complete('once')]).complete('x')).text, 'ONCE');
  let calls = 0;
  const flaky = new ScriptedModel(() => {
    if (++calls === 1) throw new Unavailable('timeout', 'too slow');
    return 'at last';
  });
  assert.equal((await flaky.complete('q')).attempts, 2);
  const failing = new ScriptedModel(() => Promise.reject(new Error('mine')));
  await assert.rejects(failing.complete('q'), fails(InvalidInput, 'callback', /mine/));
  assert.equal((await all(failing.stream('q'))).at(-1).error.code, 'callback');
  const nested = new ScriptedModel(async () => (await echo.complete('inner')).text);
  const found = await Promise.all(Array.from({ length: 300 }, () => nested.complete('q')));
  assert.ok(found.every(({ text }) => text === 'INNER'));
});

test('a function that gives or throws nonsense is told', async () => {
  for (const answer of [() => Promise.reject(Object.create(null)), () => { throw Symbol('s'); }, () => new Proxy({}, { has: () => { throw new Error('mine'); } })]) {
    await assert.rejects(new ScriptedModel(answer).complete('q'), fails(InvalidInput, 'callback'));
  }
  const calls = [{ id: 'c', name: 'f', arguments: { a: 1 } }];
  for (const said of [{ toolCalls: calls }, { tool_calls: calls }]) {
    assert.deepEqual((await new ScriptedModel([said]).complete('q', { tools: [{ name: 'f' }] })).toolCalls, calls);
  }
});

test('a model goes with its function, and neither goes while it is needed', { skip: !globalThis.gc }, async () => {
  let gone = 0;
  const registry = new FinalizationRegistry(() => gone++);
  const owner = (answer) => {
    const made = { big: new Array(1000).fill(0) };
    made.model = new ScriptedModel(() => answer(made), { resilience: { attempts: 2 } });
    registry.register(made);
    return made.model;
  };
  for (let i = 0; i < 20; i++) owner(({ big }) => `${big.length}`);
  assert.ok(await collected(() => gone === 20));
  // A call, a stream and another model keep it.
  const awhile = () => collected(() => false, 10);
  const flaky = () => {
    let calls = 0;
    return async ({ big }) => {
      await awhile();
      if (++calls === 1) throw new Unavailable('timeout', 'too slow');
      return `${big.length}`;
    };
  };
  const other = new ScriptedModel(() => { throw new Unavailable('timeout', 'no'); }, { resilience: { attempts: 1, fallback: [owner(({ big }) => `${big.length}`)] } });
  const answers = await Promise.all([owner(flaky()).complete('q'), owner(flaky()).stream('q').result(), awhile().then(() => other.complete('q'))]);
  assert.deepEqual(answers.map(({ text }) => text), ['1000', '1000', '1000']);
});

test('what was recorded is answered again without a network', () =>
  inFolder((folder) =>
    withServer((n, body) => (body.stream ? stream('5 ', 'mg') : reply()), async (server) => {
      const model = open(server);
      const path = join(folder, 'case.jsonl');
      const recording = await record(path, { redact: ['authorization'] });
      await assert.rejects(record(join(folder, 'other.jsonl')), fails(Conflict, 'duplicate_id'));
      const whole = await model.complete('q');
      const streamed = await model.stream('q').result();
      await recording.close();
      assert.ok(!(await readFile(path, 'utf8')).includes(KEY));
      const replaying = await replay(path);
      try {
        assert.deepEqual(await model.complete('q'), whole);
        assert.deepEqual(await model.stream('q').result(), streamed);
        await assert.rejects(model.complete('another'), fails(Conflict, 'replay_mismatch', /not recorded/));
      } finally {
        await replaying.close();
      }
      assert.equal(server.asked.length, 2);
      await assert.rejects(replay(join(folder, 'nothing.jsonl')), fails(NotFound, 'not_found'));
    }),
  ));

test('a key shows nowhere', async () => {
  const shown = [];
  onLog((told) => shown.push(JSON.stringify(told)));
  const told = `the key ${KEY} is wrong`;
  await withServer([refusal(401, told), refusal(500, told, 'error', SOON), refusal(401, told)], async (server) => {
    const model = open(server);
    for (let i = 0; i < 2; i++) {
      await model.complete('q').catch((error) => shown.push(String(error), error.stack, JSON.stringify(error)));
    }
    shown.push(JSON.stringify(await all(model.stream('q'))), JSON.stringify(model), (await import('node:util')).inspect(model, { depth: 9, showHidden: true }));
  });
  onLog(null);
  assert.ok(shown.length > 4 && shown.every((text) => !text.includes(KEY)));
});

test('tokens are counted', async () => {
  const model = new Model('openai:m', { apiKey: KEY });
  const few = await model.countTokens('q');
  const many = await model.countTokens('word '.repeat(100), { tools: [{ name: 'f' }] });
  assert.ok(few.tokens < many.tokens && few.exact === false && QuorateError);
  assert.deepEqual(await (await Model.open('openai:m', { apiKey: KEY, baseUrl: new URL('http://127.0.0.1:9/') })).countTokens('q'), few);
  await assert.rejects(model.countTokens('q', { signal: AbortSignal.abort() }), fails(Cancelled, 'cancelled'));
});
