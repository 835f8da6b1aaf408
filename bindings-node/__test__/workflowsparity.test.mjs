// Do workflows give in Node what they give in Rust? `bindings/tests/workflows.rs` writes the answers.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { QuorateError, Unavailable, workflows } from 'quorate';

import { inFolder } from './support/kb.mjs';

const { Engine, ManualClock, Tool } = workflows;
const read = (name) => JSON.parse(readFileSync(new URL(`../../tests/parity/${name}`, import.meta.url), 'utf8'));
const [FIXTURE, ANSWERS] = [read('workflows.json'), read('workflow_answers.json')];

function engineOf(clock) {
  const flaky = (args, { attempt }) => {
    if (attempt < 3) throw new Unavailable('rate_limited', 'slow down');
    return args;
  };
  return new Engine(null, { tools: [new Tool('echo', (args) => args), new Tool('flaky', flaky)], clock });
}

/** Starts a run, does what is to be done, and tells what came of it. */
async function ran({ workflow, start, input, options: { stand_ins: standIns, ...options }, then }) {
  const clock = new ManualClock(1000);
  const engine = engineOf(clock);
  try {
    if (workflow) await engine.add(workflow);
    const run = await engine.start(start, input, { ...options, standIns });
    const does = {
      until: (status) => run.wait({ timeout: 60, until: status }),
      decide: async (option, by, data) => (await engine.reviews({ run }))[0].decide(option, { by, data }),
      signal: (name, data) => run.signal(name, data),
      cancel: (reason) => run.cancel(reason),
      skip: (step) => run.skip(step),
      advance: (seconds) => clock.advance(seconds),
    };
    for (const [verb, ...given] of then) await does[verb](...given);
    const status = await run.wait({ timeout: 60 });
    const events = {};
    for (const { type } of await run.journal()) if (type !== 'heard') events[type] = (events[type] ?? 0) + 1;
    const steps = (await run.steps()).map(({ message, waitsFor, began, ended, output, ...told }) =>
      // What experts came to has the ids of their runs.
      ['agent_task', 'panel_discussion', 'parallel'].includes(told.kind) ? told : { ...told, output },
    );
    return { status, ending: await run.ending(), steps, events };
  } finally {
    await engine.close();
  }
}

for (const spec of FIXTURE.runs) {
  test(`a run gives the answer of Rust: ${spec.name}`, async () => {
    const found = await ran(spec).catch((error) => {
      if (!(error instanceof QuorateError)) throw error;
      return { error: error.code };
    });
    assert.deepEqual(found, ANSWERS[spec.name]);
  });
}

for (const spec of FIXTURE.problems) {
  test(`files have the problems of Rust: ${spec.name}`, () =>
    inFolder(async (folder) => {
      for (const [name, text] of Object.entries(spec.files)) await writeFile(join(folder, name), text);
      const engine = engineOf();
      const found = await (await engine.load(folder, { overlays: spec.overlays })).validate();
      await engine.close();
      assert.deepEqual(found.map(({ line, at, code, message }) => ({ line, at, code, message })), ANSWERS[spec.name]);
    }));
}

test('every answer is looked at', () => {
  assert.deepEqual(Object.keys(ANSWERS).sort(), [...FIXTURE.runs, ...FIXTURE.problems].map(({ name }) => name).sort());
});
