// Do workflows run from Node: tools, reviews, signals, timers, and everything that can be said to a run?

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { InvalidInput, Runtime, ScriptedModel, StateStore, QuorateError, kbTool, open, tool, workflows } from 'quorate';

const { Engine, ManualClock, Tool, templates } = workflows;

const flow = (body, id = 't', version = '1.0.0') => `apiVersion: quorate/v1\nkind: Workflow\nid: ${id}\nversion: ${version}\n${body}`;
const calls = (name, args = '{}', id = 't') => flow(`steps: {a: {integration: {tool: ${name}, args: ${args}}}}\noutput: '\${steps.a.output}'\n`, id);

/** An engine that is closed at the end. */
async function using(tools, work, options = {}) {
  const engine = new Engine(null, { tools, ...options });
  try {
    return await work(engine);
  } finally {
    await engine.close({ timeout: 5 });
  }
}

async function ends(run, status = 'completed') {
  const found = await run.wait({ timeout: 60 });
  assert.equal(found, status, JSON.stringify([await run.ending(), await run.steps()]));
  return run;
}

async function reaches(run, status) {
  assert.equal(await run.wait({ timeout: 60, until: status }), status, JSON.stringify([await run.ending(), await run.steps()]));
}

const step = async (run, id) => (await run.steps()).find((one) => one.id === id);
const refused = (code) => (error) => error instanceof QuorateError && error.code === code || assert.fail(`${error.code}: ${error.message}, not ${code}`);
const echo = new Tool('echo', (args) => args);

async function folder(work) {
  const at = await mkdtemp(join(tmpdir(), 'quorate-workflows-'));
  try {
    return await work(at);
  } finally {
    await rm(at, { recursive: true, force: true });
  }
}

for (const { id } of templates()) {
  test(`${id} runs offline from end to end`, () =>
    using([], async (engine) => {
      const run = await engine.start(id, undefined, { offline: true });
      const until = Date.now() + 120_000;
      while (!['completed', 'failed', 'cancelled'].includes(await run.wait({ timeout: 2, until: 'waiting' })) && Date.now() < until) {
        for (const review of await engine.reviews({ run })) {
          await (await review.claim('reviewer')).decide(review.options[0], { by: 'reviewer' });
        }
      }
      await ends(run);
      assert.notEqual(await run.result(), null);
      assert.equal((await run.definition()).id, id);
      for (const one of await run.steps()) assert.match(one.status, /completed|skipped|cancelled|pending/);
    }));
}

test('templates say what they are', () =>
  using([], async (engine) => {
    const found = templates();
    assert.equal(found.length, 16);
    assert.deepEqual(['healthcare', 'customer_service'].map((domain) => found.filter((one) => one.domain === domain).length), [7, 9]);
    for (const one of found) assert.ok(one.title && one.description && one.mermaid.includes('flowchart') && one.yaml.includes(`id: ${one.id}`));
    const known = (await engine.list()).map((one) => one.id);
    for (const one of found) assert.ok(known.includes(one.id));
    assert.ok('submit' in (await engine.rendered('regulatory.fda_510k_submission')).steps);
    assert.ok(workflows.workflowSchema().$schema.endsWith('2020-12/schema'));
    const standIns = { decision: { signal: 'fda.ai_request', data: { deficiencies: ['threat model'] } } };
    const run = await ends(await engine.start('regulatory.fda_510k_submission', null, { offline: true, standIns }));
    assert.equal((await step(run, 'ai_response')).status, 'completed');
    await assert.rejects(engine.start('example', null, { offline: true, standIns: { nobody: 1 } }), refused('unknown_id'));
  }));

test('problems are objects with their places, and files have overlays', () =>
  folder((at) =>
    using([echo], async (engine) => {
      await writeFile(join(at, 'broken.yaml'), flow('steps:\n  a: {needs: [b], wait: {for: 10 minutes}}\n  b: {needs: [a], integration: {tool: nobody.knows}}\n', 'broken'));
      const problems = await (await engine.load(at)).validate();
      assert.deepEqual(problems.map(({ line, code }) => [line, code]), [[6, 'cycle'], [6, 'bad_duration']]);
      assert.equal(problems[1].at, 'steps.a.wait.for');
      assert.ok(problems[1].path.endsWith('broken.yaml') && problems[1].message.includes('10 minutes'));
      await rm(join(at, 'broken.yaml'));
      await writeFile(join(at, 'a.yaml'), calls('echo', '{n: 1}', 'a'));
      await writeFile(join(at, 'prod.yaml'), 'apiVersion: quorate/v1\nkind: Overlay\ntarget: [a]\npatch: {steps: {a: {integration: {args: {n: 7}}}}}\n');
      await engine.load(at, { overlays: ['prod'] });
      assert.deepEqual(await (await ends(await engine.start('a'))).result(), { n: 7 });
      await engine.add({ apiVersion: 'quorate/v1', kind: 'Workflow', id: 'a', version: '2.0.0', steps: { a: { integration: { tool: 'echo' } } } });
      assert.deepEqual(await engine.versions('a'), ['1.0.0', '2.0.0']);
      assert.ok((await engine.mermaid('a')).includes('flowchart'));
    }),
  ));

test('bad input is refused by code', () =>
  using([echo], async (engine) => {
    await assert.rejects(engine.load(join(tmpdir(), 'quorate-no-such-folder')), refused('not_found'));
    await assert.rejects(engine.load(3), refused('invalid_argument'));
    await assert.rejects(engine.add('steps: ['), refused('invalid_document'));
    await assert.rejects(engine.add(flow('steps: {a: {b: {}}}\nfoo: 1\n')), refused('invalid_document'));
    await engine.add(flow("input: {type: object, properties: {n: {type: integer}}, required: [n]}\nsteps: {a: {integration: {tool: echo, args: {n: '${input.n}'}}}}\n"));
    for (const [args, code] of [
      [['nobody'], 'unknown_id'],
      [['t', { n: 1 }, { version: '9.9.9' }], 'unknown_id'],
      [['t', { n: 'three' }], 'invalid_document'],
      [['t'], 'invalid_document'],
      [[3], 'invalid_argument'],
      [['t', { n: 1 }, { priority: 'high' }], 'invalid_argument'],
      [['t', { n: 1 }, { deadline: 'soon' }], 'invalid_argument'],
      [['t', { n: 1 }, { priorty: 1 }], 'invalid_argument'],
      [['t', { n: Symbol('x') }], 'invalid_argument'],
    ]) {
      await assert.rejects(engine.start(...args), refused(code));
    }
    const run = await ends(await engine.start('t', { n: 1 }, { id: 'mine' }));
    await assert.rejects(engine.start('t', { n: 1 }, { id: 'mine' }), refused('duplicate_id'));
    await assert.rejects(engine.run('nobody'), refused('unknown_id'));
    await assert.rejects(engine.runs({ status: 'done' }), refused('invalid_argument'));
    await assert.rejects(engine.review('nobody'), refused('unknown_id'));
    await assert.rejects(run.wait({ timeout: -1 }), refused('invalid_argument'));
    await assert.rejects(run.wait({ until: 'done' }), refused('invalid_argument'));
    await assert.rejects(run.wait({ util: 'waiting' }), refused('invalid_argument'));
    await assert.rejects(run.signal('x'), refused('run_conflict'));
    await assert.rejects(run.cancel('late'), refused('run_conflict'));
    await assert.rejects(run.fork('nobody'), refused('unknown_id'));
    assert.throws(() => run.stream({ start: 0 }), refused('invalid_argument'));
    await assert.rejects(engine.work({ concurrency: 0 }), refused('invalid_argument'));
    await assert.rejects(engine.stepType('wait', () => 1), refused('invalid_argument'));
    await assert.rejects(engine.stepType('mine', 3), refused('invalid_argument'));
    await assert.rejects(engine.stepType('mine', () => 1, { schema: { type: 'nonsense' } }), refused('invalid_argument'));
    for (const options of [{ tools: [3] }, { tools: 'echo' }, { tools: [() => 1] }, { clock: 3 }, { clock: () => 'now' }, { runtime: {} }, { concurrency: -1 }, { queues: 'q' }, { toolz: [] }]) {
      assert.throws(() => new Engine(null, options), InvalidInput, JSON.stringify(options));
    }
    assert.throws(() => new Engine(new StateStore(null, { tenant: 'a' }), { tenant: 'b' }), refused('tenant_violation'));
    await assert.rejects(Engine.open(null, { tools: [echo, echo] }), refused('invalid_argument'));
    assert.throws(() => new Tool('a', 3), InvalidInput);
    const kb = await open(null);
    assert.throws(() => new Engine(null, { tools: [kbTool(kb)] }), InvalidInput);
    await engine.close();
    await assert.rejects(engine.work(), refused('closed'));
  }));

test('tools of every kind', async () => {
  const seen = [];
  const lookup = tool({ name: 'lookup', schema: { type: 'object', properties: { code: { type: 'string' } } }, run: ({ code }) => ({ code }) });
  async function later(args, context) {
    await sleep(5);
    seen.push(context);
    return { ...args, big: 2n ** 60n, at: new Date(0) };
  }
  await using([lookup, later], async (engine) => {
    await engine.add(calls('lookup', '{code: DPS}', 'x'));
    assert.deepEqual(await (await ends(await engine.start('x'))).result(), { code: 'DPS' });
    await engine.add(calls('later.on', "{a: [1, 2.5, null, true, 'ü']}", 'y'));
    assert.deepEqual(await (await ends(await engine.start('y'))).result(), { a: [1, 2.5, null, true, 'ü'], big: 2n ** 60n, at: '1970-01-01T00:00:00.000Z' });
  });
  const [{ step: id, visit, attempt, name, idempotencyKey, runId, signal }] = seen;
  assert.deepEqual([id, visit, attempt, name], ['a', 1, 1, 'later.on']);
  assert.ok(idempotencyKey && runId && signal instanceof AbortSignal);
});

test('what a tool throws keeps its kind and message', async () => {
  const timeout = Object.assign(new Error('too slow'), { name: 'TimeoutError' });
  for (const [thrown, code, said] of [
    [new QuorateError('rate_limited', 'slow down'), 'rate_limited', 'slow down'],
    [new TypeError('no such code'), 'tool_failed', "'fails' failed: TypeError: no such code"],
    [timeout, 'tool_timeout', 'too slow'],
    [new QuorateError('stale_write', 'of another run'), 'tool_failed', 'of another run'],
    ['a text', 'tool_failed', 'a text'],
    [null, 'tool_failed', 'null'],
  ]) {
    await using([new Tool('fails', () => { throw thrown; })], async (engine) => {
      await engine.add(calls('fails'));
      const run = await ends(await engine.start('t'), 'failed');
      const { code: found, message } = await step(run, 'a');
      assert.equal(found, code);
      assert.ok(message.includes(said), message);
      assert.equal((await run.ending()).code, code);
      await assert.rejects(run.result(), refused(code));
    });
  }
});

test('failures are tried again with one key', async () => {
  const keys = new Set();
  const flaky = new Tool('flaky', (_, { attempt, idempotencyKey }) => {
    keys.add(idempotencyKey);
    if (attempt < 3) throw new Error('down');
    return attempt;
  });
  await using([flaky], async (engine) => {
    await engine.add(flow("steps: {a: {integration: {tool: flaky}, retry: {max_attempts: 5, backoff: 1ms, jitter: none}}}\noutput: '${steps.a.output}'\n"));
    assert.equal(await (await ends(await engine.start('t'))).result(), 3);
  });
  assert.equal(keys.size, 1);
});

test('a hung tool holds nothing, and is told', async () => {
  let aborted;
  const hangs = new Tool('hangs', (_, { signal }) => new Promise(() => signal.addEventListener('abort', () => (aborted = signal.reason.code))));
  await using([hangs, echo], async (engine) => {
    await engine.add(flow('steps: {a: {integration: {tool: hangs}, timeout: 300ms, retry: {max_attempts: 1}}}\n'));
    await engine.add(calls('echo', '{}', 'quick'));
    const slow = await engine.start('t');
    await ends(await engine.start('quick'));
    await ends(slow, 'failed');
    assert.match((await step(slow, 'a')).code, /timeout/);
    for (let n = 0; n < 200 && !aborted; n++) await sleep(10);
    assert.equal(aborted, 'cancelled');
  });
});

test('what a tool has done after its run was cancelled is undone', async () => {
  const said = [];
  const charge = new Tool('charge', async () => {
    said.push('begun');
    await sleep(300);
    said.push('charged');
  });
  await using([charge, new Tool('refund', () => void said.push('refunded'))], async (engine) => {
    await engine.add(flow('steps: {a: {integration: {tool: charge}, compensate: {tool: refund}}}\n'));
    const run = await engine.start('t');
    while (!said.length) await sleep(5);
    await run.cancel('enough');
    await ends(run, 'cancelled');
    assert.deepEqual(said, ['begun', 'charged', 'refunded']);
  });
});

test('kinds of steps of the host', async () => {
  const seen = [];
  await using([], async (engine) => {
    await engine.stepType('add_up', (args, { name }) => { seen.push([args, name]); return args.of.reduce((a, b) => a + b, 0); }, { schema: { type: 'object', required: ['of'] } });
    await engine.stepType('repeat', async (args) => args);
    await engine.add(flow("steps:\n  a: {add_up: {of: [1, '${input.n}']}}\n  b: {needs: [a], repeat: '${steps.a.output}'}\noutput: '${steps.b.output}'\n"));
    assert.deepEqual(await engine.validate(), []);
    assert.equal(await (await ends(await engine.start('t', { n: 4 }))).result(), 5);
  });
  assert.deepEqual(seen, [[{ of: [1, 4] }, 'add_up']]);
});

test('functions see the AsyncLocalStorage of who made the engine', async () => {
  const who = new AsyncLocalStorage();
  const asks = new Tool('asks', () => who.getStore() ?? 'nobody');
  await who.run('maker', () =>
    using([asks], (engine) =>
      who.run('somebody else', async () => {
        await engine.add(calls('asks'));
        assert.equal(await (await ends(await engine.start('t'))).result(), 'maker');
      }),
    ),
  );
});

const REVIEW = "steps:\n  check: {human_review: {role: lead, title: 'Is ${input.code} right?', options: [approve, again], forbid: [starter]}}\noutput: {by: '${steps.check.output.by}', data: '${steps.check.output.data}'}\n";

test('reviews have roles, claims and those who may not', () =>
  using([], async (engine) => {
    await engine.add(flow(REVIEW));
    const run = await engine.start('t', { code: 'DPS' }, { starter: 'sam' });
    await reaches(run, 'waiting');
    assert.deepEqual(await engine.reviews({ role: 'nobody' }), []);
    const [review] = await engine.reviews({ role: 'lead', run });
    assert.deepEqual([review.title, review.options, review.runId, review.forbid, review.claimedBy, review.votes], ['Is DPS right?', ['approve', 'again'], run.id, ['sam'], null, []]);
    await assert.rejects(review.claim('sam'), refused('invalid_argument'));
    await assert.rejects(review.decide('maybe', { by: 'ann' }), refused('invalid_argument'));
    await assert.rejects(review.decide('approve'), refused('invalid_argument'));
    assert.equal(await review.claim('ann'), review);
    assert.equal((await engine.review(review.id)).claimedBy, 'ann');
    await assert.rejects(review.claim('bob'), refused('run_conflict'));
    await review.delegate('bob');
    await review.decide('approve', { by: 'bob', comment: 'fine', data: { page_no: 3 } });
    assert.deepEqual(await (await ends(run)).result(), { by: 'bob', data: { page_no: 3 } });
    await assert.rejects(review.decide('approve', { by: 'bob' }), refused('run_conflict'));
    await assert.rejects(engine.review(review.id), refused('unknown_id'));
  }));

test('signals that come early are kept and count once', () =>
  using([], async (engine) => {
    await engine.add(flow("steps:\n  gate: {wait: {signal: open}}\n  a: {needs: [gate], wait: {signal: [go, stop]}}\noutput: {signal: '${steps.a.signal}', data: '${steps.a.output}'}\n"));
    const run = await engine.start('t');
    await run.signal('go', { n: 1 }, { id: 'once' });
    await run.signal('go', { n: 2 }, { id: 'once' });
    await run.signal('open');
    assert.deepEqual(await (await ends(run)).result(), { signal: 'go', data: { n: 1 } });
  }));

for (const how of ['manual', 'function', 'object', 'date']) {
  test(`timers go by the clock that is given: ${how}`, async () => {
    const manual = new ManualClock(1_000);
    let at = 1_000;
    const clock = { manual, function: () => at, object: { now: () => at }, date: () => new Date(at * 1000) }[how];
    const on = (seconds) => { manual.advance(seconds); at += seconds; };
    await using([], async (engine) => {
      await engine.add(flow('steps: {a: {wait: {for: P100D}}}\noutput: done\n'));
      const run = await engine.start('t');
      await reaches(run, 'waiting');
      on(99 * 86_400);
      assert.equal(await run.wait({ timeout: 0.3 }), 'waiting');
      on(86_401);
      assert.equal(await (await ends(run)).result(), 'done');
      assert.equal((await run.journal())[0].time, 1_000);
    }, { clock });
  });
}

test('pause, resume, cancel with what undoes', async () => {
  const undone = [];
  const one = (needs, n) => `{${needs}integration: {tool: echo, args: {n: ${n}}}, compensate: {tool: undo, args: {n: ${n}}}}`;
  await using([echo, new Tool('undo', ({ n }) => void undone.push(n))], async (engine) => {
    await engine.add(flow(`steps:\n  a: ${one('', 1)}\n  b: ${one('needs: [a], ', 2)}\n  c: {needs: [b], wait: {signal: go}}\n  d: {needs: [c], integration: {tool: echo}}\n`));
    const run = await engine.start('t');
    await reaches(run, 'waiting');
    await run.pause();
    assert.equal(await run.status, 'paused');
    await run.signal('go');
    assert.equal(await run.wait({ timeout: 0.2 }), 'paused');
    await run.resume();
    await ends(run);
    const other = await engine.start('t');
    await reaches(other, 'waiting');
    await other.cancel('no longer wanted');
    await ends(other, 'cancelled');
    assert.deepEqual(undone, [2, 1]);
    assert.deepEqual(await other.ending(), { status: 'cancelled', reason: 'no longer wanted' });
  });
});

test('retry, skip, fork, dedup, lists', async () => {
  let well = false;
  let count = 0;
  const fragile = new Tool('fragile', () => { if (!well) throw new Error('down'); return (count += 1); });
  await using([fragile, echo], async (engine) => {
    await engine.add(flow("steps:\n  a: {integration: {tool: fragile}, on_error: block, retry: {max_attempts: 1}}\n  b: {needs: [a], integration: {tool: echo, args: {a: '${steps.a.output}'}}}\noutput: '${steps.b.output}'\n"));
    const [run, other] = [await engine.start('t', null, { dedup: 'w' }), await engine.start('t')];
    assert.equal((await engine.start('t', null, { dedup: 'w' })).id, run.id);
    await reaches(run, 'blocked');
    await reaches(other, 'blocked');
    await assert.rejects(run.retry('nobody'), refused('unknown_id'));
    await other.skip('a');
    assert.deepEqual(await (await ends(other)).result(), { a: null });
    well = true;
    await run.retry();
    assert.deepEqual(await (await ends(run)).result(), { a: 1 });
    const forked = await ends(await run.fork('b'));
    assert.deepEqual(await forked.result(), { a: 1 });
    assert.equal(count, 1);
    assert.equal((await engine.runs({ status: 'completed' })).length, 3);
    const exported = await run.export();
    assert.equal(exported.workflow, 't');
    assert.equal(exported.definition.steps.a.on_error, 'block');
    assert.ok((await run.mermaid()).includes('flowchart'));
    assert.deepEqual(await engine.faults(), []);
  });
});

test('a stream gives everything once; leaving it changes nothing; signals end the waiting', () =>
  using([], async (engine) => {
    await engine.add(flow('steps:\n  a: {wait: {signal: go}}\n'));
    const run = await engine.start('t');
    for await (const entry of run.stream()) {
      assert.equal(entry.type, 'started');
      break;
    }
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    await assert.rejects(run.wait({ signal: abort.signal }), refused('cancelled'));
    const left = new AbortController();
    setTimeout(() => left.abort(), 100);
    for await (const entry of run.stream({ signal: left.signal })) assert.ok(entry.seq);
    const seen = [];
    for await (const entry of run.stream()) {
      seen.push(entry.seq);
      if (entry.type === 'step_waits') await run.signal('go');
    }
    assert.deepEqual(seen, (await run.journal()).map((entry) => entry.seq));
    assert.equal(await run.status, 'completed');
  }));

test('experts answer steps', async () => {
  const runtime = new Runtime({ model: new ScriptedModel(['Class II.']) });
  await using([], async (engine) => {
    await engine.add(flow("steps: {a: {agent_task: {prompt: 'Which class?'}}}\noutput: '${steps.a.output.text}'\n"));
    assert.equal(await (await ends(await engine.start('t'))).result(), 'Class II.');
  }, { runtime });
});

test('the event loop is never held', async () => {
  const gaps = [];
  let last = performance.now();
  const timer = setInterval(() => { gaps.push(performance.now() - last); last = performance.now(); }, 5);
  await using([echo], async (engine) => {
    await engine.add(calls('echo', "{n: '${input.n}'}"));
    const runs = await Promise.all(Array.from({ length: 40 }, (_, n) => engine.start('t', { n })));
    const found = await Promise.all(runs.map(async (run) => (await ends(run)).result()));
    assert.deepEqual(found.map(({ n }) => n), Array.from({ length: 40 }, (_, n) => n));
  });
  clearInterval(timer);
  assert.ok(Math.max(...gaps) < 1_000, String(Math.max(...gaps)));
});

test('tools last through a bad time, and are bounded', async () => {
  const { Breaker, Bulkhead } = workflows;
  let tries = 0;
  const flaky = new Tool('flaky', () => { if ((tries += 1) < 3) throw new Error('down'); return tries; }, { retry: { maxAttempts: 4, backoff: 0 } });
  const down = new Tool('down', () => { throw new Error('down'); }, { breaker: new Breaker({ failures: 2, reset: 3600 }) });
  let [now, most] = [0, 0];
  const busy = new Tool('busy', async () => { most = Math.max(most, (now += 1)); await sleep(30); now -= 1; }, { bulkhead: new Bulkhead(2, { queue: 100 }) });
  const slow = new Tool('slow', () => new Promise(() => {}), { timeout: 0.1 });
  await using([flaky, down, busy, slow], async (engine) => {
    for (const name of ['flaky', 'down', 'busy', 'slow']) await engine.add(calls(name, '{}', name));
    const run = await ends(await engine.start('flaky'));
    assert.deepEqual([await run.result(), (await step(run, 'a')).attempts], [3, 1]);
    const codes = [];
    for (let n = 0; n < 3; n++) codes.push((await step(await ends(await engine.start('down'), 'failed'), 'a')).code);
    assert.deepEqual(codes, ['tool_failed', 'tool_failed', 'circuit_open']);
    await Promise.all(Array.from({ length: 8 }, async () => ends(await engine.start('busy'))));
    assert.equal(most, 2);
    assert.equal((await step(await ends(await engine.start('slow'), 'failed'), 'a')).code, 'tool_timeout');
  });
  for (const options of [{ retry: 'often' }, { retry: 0 }, { breaker: 5 }, { breaker: { failures: 0 } }, { bulkhead: { concurrency: 0 } }, { timeout: 0 }, { tries: 1 }]) {
    assert.throws(() => new Tool('a', () => 1, options), InvalidInput, JSON.stringify(options));
  }
});
