// Do workflows start at set times from Node, move to other versions, and run as a graph?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { QuorateError, workflows } from 'quorate';

const { Engine, ManualClock, Schedule, graphs } = workflows;
const FRIDAY = 1_772_755_200; // 2026-03-06 00:00 UTC
const flow = (version, more = '', signal = 'go') =>
  `apiVersion: quorate/v1\nkind: Workflow\nid: t\nversion: ${version}\ninput: {type: object, required: [n]}\nsteps:\n  a: {wait: {signal: ${signal}}}\n${more}`;
const refused = (code, part = '') => (error) => {
  assert.ok(error instanceof QuorateError, String(error));
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.includes(part), error.message);
  return true;
};

async function using(work) {
  const clock = new ManualClock(FRIDAY);
  const engine = new Engine(null, { clock });
  try {
    await engine.add(flow('1.0.0'));
    return await work(engine, clock);
  } finally {
    await engine.close({ timeout: 10 });
  }
}

async function until(look) {
  for (let i = 0; i < 3_000; i += 1) {
    const found = await look();
    if (found) return found;
    await sleep(10);
  }
  assert.fail('it never came');
}

test('a schedule starts a run for each due time', async () => {
  await using(async (engine, clock) => {
    const made = await engine.schedule('six', '0 6 * * *', 't', { n: 1 }, { timezone: 'America/New_York', missed: 'all' });
    assert.ok(made instanceof Schedule);
    assert.deepEqual({ ...made }, {
      name: 'six', cron: '0 6 * * *', timezone: 'America/New_York', workflow: 't', input: { n: 1 }, missed: 'all', version: null, paused: false,
      next: FRIDAY + 11 * 3600, last: null, started: 0, leftOut: null, error: null,
    });
    assert.deepEqual(await made.nextTimes(3), [11, 35, 58].map((hour) => FRIDAY + hour * 3600));
    clock.advance(59 * 3600);
    const seen = await until(async () => { const one = await made.look(); return one.started === 3 && one; });
    const run = await seen.run(seen.last);
    assert.deepEqual((await run.journal())[0].data.input, { n: 1 });
    assert.equal(await seen.run(1), null);
    assert.deepEqual((await engine.schedules()).map((one) => one.name), ['six']);
    const paused = await seen.pause();
    assert.deepEqual([paused.paused, paused.next], [true, null]);
    assert.equal((await paused.resume()).next, FRIDAY + 82 * 3600);
    await paused.remove();
    assert.deepEqual(await engine.schedules(), []);
    await assert.rejects(paused.look(), refused('unknown_id'));
    await assert.rejects(engine.scheduled('six'), refused('unknown_id'));
  });
});

test('what is wrong with a schedule is refused by code', async () => {
  await using(async (engine) => {
    for (const [name, cron, workflow, input, options, code, part] of [
      ['x', '61 * * * *', 't', { n: 1 }, {}, 'invalid_argument', 'cron: '],
      ['x', '0 6 * * 1', 't', { n: 1 }, { timezone: 'Mars/Base' }, 'invalid_argument', 'timezone: '],
      ['x', '0 6 * * 1', 't', { n: 1 }, { missed: 'never' }, 'invalid_argument', 'missed: '],
      ['x', '0 6 * * 1', 't', { n: 1 }, { zone: 'UTC' }, 'invalid_argument', 'zone'],
      ['a b', '0 6 * * 1', 't', { n: 1 }, {}, 'invalid_argument', 'name: '],
      ['x', '0 6 * * 1', 'none', { n: 1 }, {}, 'unknown_id', ''],
      ['x', '0 6 * * 1', 't', {}, {}, 'invalid_document', "the input of 't'"],
      ['x', 3, 't', { n: 1 }, {}, 'invalid_argument', ''],
    ]) {
      await assert.rejects(engine.schedule(name, cron, workflow, input, options), refused(code, part));
    }
    assert.deepEqual(await engine.schedules(), []);
  });
});

test('a run goes on by another version', async () => {
  await using(async (engine) => {
    const run = await engine.start('t', { n: 1 });
    assert.equal(await run.wait({ timeout: 30, until: 'waiting' }), 'waiting');
    await engine.add(flow('2.0.0', '  b: {needs: [a], wait: {signal: b}}\n'));
    await engine.add(flow('3.0.0', '', 'other'));
    await assert.rejects(run.migrate('3.0.0'), refused('run_conflict', 'steps.a: it is waiting'));
    await assert.rejects(run.migrate('9.0.0'), refused('unknown_id'));
    await run.migrate('2.0.0');
    await run.signal('go');
    await run.signal('b');
    assert.equal(await run.wait({ timeout: 30 }), 'completed');
    assert.ok((await run.journal()).some((entry) => entry.type === 'migrated'));
  });
});

test('a workflow is carried out by a graph', async () => {
  const engine = new Engine();
  try {
    await engine.add(
      "apiVersion: quorate/v1\nkind: Workflow\nid: r\nversion: 1.0.0\nsteps: {sign: {human_review: {role: lead, title: Sign, options: [yes_, no_], forbid: [starter]}}}\noutput: '${steps.sign.output.by}'\n",
    );
    const app = graphs.workflowExecution(engine).compile(engine.store);
    let out = await app.run({ workflow: 'r', starter: 'sam' }, { thread: 't' });
    assert.equal(out.status, 'waiting', JSON.stringify(out));
    out = await app.resume('t', { answers: { [out.reviews[0].id]: { decision: 'yes_', by: 'sam' } } });
    assert.ok(out.reviews[0].question.refused.includes('sam'));
    out = await app.resume('t', { answers: { [out.reviews[0].id]: { decision: 'yes_', by: 'ann' } } });
    assert.deepEqual([out.status, out.state.status, out.state.result], ['done', 'completed', 'ann']);
    assert.throws(() => graphs.workflowExecution({}), refused('invalid_argument'));
  } finally {
    await engine.close({ timeout: 10 });
  }
});
