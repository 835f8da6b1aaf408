// Do queues, events, stories and drafts give in Node what they give in Rust? `bindings/tests/lines.rs` writes the answers.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { QuorateError, StateStore, workflows } from 'quorate';

const { Engine, JobStory } = workflows;
const read = (name) => JSON.parse(readFileSync(new URL(`../../tests/parity/${name}`, import.meta.url), 'utf8'));
const [FIXTURE, ANSWERS] = [read('lines.json'), read('line_answers.json')];

const TIMES = new Set(['putAt', 'diedAt', 'lease', 'leaseUntil', 'time', 'added']);
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name) => name.replace(/_+(\w?)/g, (_, letter) => letter.toUpperCase());
const isPlain = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const renamed = (value, to) => (isPlain(value) ? Object.fromEntries(Object.entries(value).map(([name, one]) => [to(name), one])) : value);

/** Options by their names in Node; what stands under `perKey` and `key` has names of its own. */
function options(given) {
  const made = renamed(given, camel);
  return 'retry' in made ? { ...made, retry: renamed(made.retry, camel) } : made;
}

/** A result by the names of Rust, without what differs from one run to the next. */
function plainly(value) {
  if (Array.isArray(value)) return value.map(plainly);
  if (!isPlain(value)) return value;
  return renamed(Object.fromEntries(Object.entries(value).filter(([name]) => !TIMES.has(name))), snake);
}

const storyOf = (members) => plainly({ ...members });
const keptAs = ({ story, measurements }) => ({ status: story.status, measurements: plainly(measurements) });

/** What a scenario does, one by one. */
function host() {
  const store = new StateStore();
  const engine = new Engine(store, { concurrency: 0 });
  const [queues, groups, taken, heard] = [new Map(), new Map(), new Map(), new Map()];
  let story;
  const does = {
    queue: async (name, given) => {
      const queue = store.queue(name, options(given));
      await queue.options();
      queues.set(name, queue);
      return null;
    },
    options: async (name) => {
      const found = await queues.get(name).options();
      return { ...plainly(found), retry: plainly(found.retry) };
    },
    put: async (name, data, given) => plainly(await queues.get(name).put(data, options(given))),
    take: async (name, n) => {
      const found = await queues.get(name).take(n);
      for (const one of found) taken.set(one.id, one);
      return plainly(found);
    },
    ack: async (name, id) => (await queues.get(name).ack(taken.get(id))) ?? null,
    nack: (name, id, given) => queues.get(name).nack(taken.get(id), given),
    dead: async (name) => plainly(await queues.get(name).dead.list()),
    replay: (name, ids) => queues.get(name).dead.replay(ids),
    discard: (name, ids) => queues.get(name).dead.discard(ids),
    stats: (name) => queues.get(name).stats(),
    delete: (name) => queues.get(name).delete(),
    publish: (subject, data, key) => store.events.publish(subject, data, { key }),
    subscribe: async (pattern, given) => {
      groups.set(given.group, await store.events.subscribe(pattern, null, options(given)));
      return null;
    },
    hear: async (group, n) => {
      const found = await groups.get(group).take(n);
      for (const one of found) heard.set(`${group} ${one.seq}`, one);
      return plainly(found);
    },
    heard: async (group, seq) => (await groups.get(group).ack(heard.get(`${group} ${seq}`))) ?? null,
    unheard: (group, seq, given) => groups.get(group).nack(heard.get(`${group} ${seq}`), given),
    dead_events: async (group) => plainly(await groups.get(group).dead.list()),
    replay_events: (since, group) => store.events.replay(since, { group }),
    last: () => store.events.last(),
    subscriptions: () => store.events.subscriptions(),
    parse: (sentence) => storyOf(JobStory.parse(sentence)),
    story: (members) => storyOf(new JobStory(renamed(members, camel))),
    keep: async (members) => {
      const kept = await store.stories.add(renamed(members, camel));
      story = kept.id;
      return storyOf(kept.story);
    },
    outcome: async (metric, value) => keptAs(await store.stories.outcome(story, metric, value)),
    abandon: async (abandoned) => keptAs(await store.stories.abandon(story, abandoned)),
    kept: async (status) => (await store.stories.list({ status })).map(keptAs),
    generate: async (sentence, type, customization) => {
      const draft = await engine.generate(JobStory.parse(sentence), { type, customization });
      const { id, workflow, template, templateVersion, input, unfilled } = draft;
      const { filled, named, customized, candidates } = draft.explain();
      return { id, workflow, template, template_version: templateVersion, input, unfilled, filled, named, customized, best: candidates[0].template };
    },
  };
  return { does, engine };
}

for (const { name, does } of FIXTURE.scenarios) {
  test(`what is done gives the answers of Rust: ${name}`, async () => {
    const own = host();
    const expected = ANSWERS[name];
    assert.equal(expected.length, does.length);
    try {
      for (const [i, [verb, ...given]] of does.entries()) {
        let made;
        try {
          made = await own.does[verb](...given);
        } catch (error) {
          if (!(error instanceof QuorateError)) throw error;
          made = { error: error.code };
        }
        assert.deepEqual({ does: does[i], made: JSON.parse(JSON.stringify(made)) }, { does: does[i], made: expected[i] });
      }
    } finally {
      await own.engine.close();
    }
  });
}

test('every answer is looked at', () => {
  assert.deepEqual(Object.keys(ANSWERS).sort(), FIXTURE.scenarios.map(({ name }) => name).sort());
});
