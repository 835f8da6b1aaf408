// Does Node give the answers of the shared fixture, which Rust gave? tests/parity/README.md describes both files.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import * as quorate from 'quorate';

import { inFolder } from './support/kb.mjs';

const HERE = new URL('../../tests/parity/', import.meta.url);
const LOCAL = new URL('../../agents/models/tests/fixtures/local/', import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, HERE), 'utf8'));

const HANDLES = [quorate.KnowledgeBase, quorate.Embedder, quorate.AgentRegistry, quorate.Model];
const MADE = ['Model', 'ScriptedModel'];

/** The arguments that go by position; all others go into the options. */
const POSITIONS = {
  open: ['place'],
  Embedder: ['source'],
  Model: ['name'],
  ScriptedModel: ['replies'],
  complete: ['messages'],
  stream: ['messages'],
  count_tokens: ['messages'],
  add: ['documents', 'agent'],
  upsert: ['documents'],
  count: ['where'],
  list: ['where'],
  get: ['id'],
  remove: ['id'],
  export_card: ['id'],
  search: ['query'],
  match: ['query'],
  search_batch: ['queries'],
  search_many: ['queries'],
  search_vector: ['vector'],
  context: ['question'],
  select_panel: ['question'],
  update_metadata: ['id', 'metadata'],
  at: ['version'],
  tenant: ['name'],
  embed: ['texts'],
  embed_query: ['text'],
  record_outcome: ['agent_id', 'query', 'reward'],
  evaluate: ['run', 'qrels'],
  compare: ['run_a', 'run_b', 'qrels'],
  cohen_kappa: ['a', 'b'],
  linear_pool: ['p'],
  log_pool: ['p'],
  extremized_pool: ['p'],
  density_pool: ['p'],
  swarm_pool: ['p'],
  brier_score: ['p', 'outcomes'],
  log_score: ['p', 'outcomes'],
  order_effect: ['ab', 'ba'],
  surprisingly_popular: ['votes', 'predictions'],
  bayesian_truth_serum: ['votes', 'predictions'],
  cooke_weights: ['seeds', 'answers'],
  delphi_round: ['ratings'],
  honeybee: ['values'],
  semantic_clusters: ['vectors'],
  score_panel: ['ballots'],
  bradley_terry: ['comparisons'],
  rank_centrality: ['comparisons'],
};
for (const name of ['borda', 'copeland', 'schulze', 'ranked_pairs', 'minimax', 'kemeny', 'instant_runoff', 'plackett_luce']) {
  POSITIONS[name] = ['rankings'];
}
const RATINGS = ['items', 'raters', 'values'];

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** An object with its members' names as Node has them. */
const renamed = (given) => Object.fromEntries(Object.entries(given).map(([name, value]) => [camel(name), value]));

async function all(stream) {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
}

const CODE = { type: 'object', properties: { code: { type: 'string' } }, required: ['code'] };
const TOOLS = [
  quorate.tool({
    name: 'lookup',
    description: 'What a code means.',
    schema: CODE,
    run: ({ code }) => ({ code, means: 'a catheter' }),
  }),
  quorate.tool({ name: 'send', description: 'Sends a letter.', schema: CODE, effect: 'write', run: () => 'sent' }),
];

/** Asks, goes on with decisions where there are any, and tells the answer and the events of the journal. */
async function runs({ replies, documents, question, options, decisions }) {
  let kb;
  if (documents) {
    kb = await quorate.open(null);
    await kb.add(documents);
  }
  const price = { input: 1, output: 2 };
  const said = replies?.map((reply) => (typeof reply === 'string' ? reply : renamed(reply)));
  const model = said && new quorate.ScriptedModel(said, { id: 'scripted:parity', price });
  const runtime = new quorate.Runtime({ kb, model, tools: TOOLS });
  const given = renamed(options);
  if (given.maxTokens) given.max_tokens = given.maxTokens;
  if (given.budget) given.budget = renamed(given.budget);
  let answer = await runtime.ask(question, given);
  if (decisions) answer = await runtime.resume(answer.runId, decisions);
  const events = await (await runtime.run(answer.runId)).events();
  return { answer, events: events.map(({ type }) => type) };
}

const says = (name, replies) => new quorate.ScriptedModel(replies, { id: `scripted:${name}`, price: { input: 1, output: 2 } });

/** Asks a panel, and tells what it came to, and how many events of each type its journal has. */
async function panels({ question, members, judge, documents, options }) {
  let kb;
  if (documents) {
    kb = await quorate.open(null);
    await kb.add(documents);
  }
  const runtime = new quorate.Runtime({ kb, model: documents ? undefined : says('nobody', []) });
  const given = renamed(options);
  if (given.budget) given.budget = renamed(given.budget);
  given.members = members?.map(({ says: replies, ...one }) => (replies ? { ...one, model: says(one.id, replies) } : one));
  if (judge) given.judge = says('judge', judge);
  const panel = await runtime.panel(question, given);
  const events = {};
  for (const { type } of await (await runtime.run(panel.runId)).events()) events[type] = (events[type] ?? 0) + 1;
  return { panel, events };
}

async function perform({ on, call, args: given, keep }, handles, folder) {
  if (call === 'runs') return runs(given);
  if (call === 'panels') return panels(given);
  const target = { quorate, consensus: quorate.consensus }[on] ?? handles[on];
  assert.ok(target, `nothing is kept as '${on}'`);
  const args = { ...given };
  if ('place' in args) args.place = join(folder, args.place);
  if (typeof args.embedder === 'object' && args.embedder !== null) {
    const { source, ...options } = args.embedder.embedder;
    args.embedder = new quorate.Embedder(source, options);
  }
  if (typeof args.vector === 'object' && 'vector_of' in args.vector) {
    args.vector = await handles[`${on} embedder`].embedQuery(args.vector.vector_of);
  }
  if (args.replies) args.replies = args.replies.map((reply) => (typeof reply === 'string' ? reply : renamed(reply)));
  if (typeof args.name === 'object') args.name = `local:${fileURLToPath(new URL(args.name.local, LOCAL))}`;
  const names = POSITIONS[call] ?? (args.items ? RATINGS : []);
  const positional = names.filter((name) => name in args).map((name) => args[name]);
  for (const name of names) delete args[name];
  const options = renamed(args);
  if (Object.keys(options).length > 0) positional.push(options);
  let found;
  if (call === 'Embedder') found = await quorate.Embedder.open(...positional);
  else if (call === 'AgentRegistry') found = await quorate.AgentRegistry.open(...positional);
  else if (MADE.includes(call)) found = new target[call](...positional);
  else if (call === 'stream') found = await all(target.stream(...positional));
  else found = await target[camel(call)](...positional);
  if (keep) {
    handles[keep] = found;
    handles[`${keep} embedder`] = new quorate.Embedder('builtin');
  }
  // The fixture names versions by their numbers.
  if (call === 'versions') return found.map(({ version }) => version);
  return HANDLES.some((kind) => found instanceof kind) ? null : found;
}

/** A member of what a call gave, under the name that the fixture gives it. */
function member(value, name) {
  if (name === 'explain' && typeof value.explain === 'function') return value.explain();
  if (name === 'id' && value instanceof quorate.Match) return value.agent.id;
  const own = value[camel(name)];
  return own === undefined && camel(name) !== name ? value[name] : own;
}

/** Walks along the answer; `found` may have more members. */
function compare(expected, found, path) {
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(found) || ArrayBuffer.isView(found), `${path}: ${found} is no array`);
    assert.equal(found.length, expected.length, `${path}: lengths`);
    expected.forEach((value, i) => compare(value, found[i], `${path}[${i}]`));
  } else if (typeof expected === 'object' && expected !== null) {
    assert.equal(typeof found, 'object', `${path}: ${found} is no object`);
    assert.ok(found !== null, `${path} is null`);
    for (const [name, value] of Object.entries(expected)) compare(value, member(found, name), `${path}.${name}`);
  } else if (typeof expected === 'number') {
    assert.equal(typeof found, 'number', `${path}: ${found} is no number`);
    assert.ok(Math.abs(found - expected) <= 1e-6 * Math.max(1, Math.abs(expected)), `${path}: ${found} in place of ${expected}`);
  } else {
    assert.equal(found ?? null, expected, path);
  }
}

/** An answer with its offsets as JavaScript counts. */
async function inUnits(answer, kb) {
  if (Array.isArray(answer)) return Promise.all(answer.map((one) => inUnits(one, kb)));
  if (typeof answer !== 'object' || answer === null) return answer;
  if ('citations' in answer) return { ...answer, citations: await inUnits(answer.citations, kb) };
  if (!('doc_id' in answer && 'start' in answer)) return answer;
  const bytes = Buffer.from((await kb.get(answer.doc_id)).text);
  const units = (at) => bytes.subarray(0, at).toString().length;
  return { ...answer, start: units(answer.start), end: units(answer.end) };
}

test('the operations give their answers', { skip: !existsSync(new URL('answers.json', HERE)) }, () =>
  inFolder(async (folder) => {
    const [{ format, operations }, answers] = [read('operations.json'), read('answers.json')];
    assert.deepEqual([format, answers.format], [1, 1]);
    const handles = {};
    const wrong = [];
    for (const operation of operations) {
      let expected = answers.answers[operation.name];
      try {
        let found;
        try {
          found = await perform(operation, handles, folder);
        } catch (error) {
          if (!(error instanceof quorate.QuorateError)) throw error;
          found = { error: error.code };
        }
        const on = handles[operation.on];
        if (on instanceof quorate.KnowledgeBase) expected = await inUnits(expected, on);
        compare(expected, found, operation.name);
      } catch (error) {
        wrong.push(error.message.split('\n')[0]);
      }
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual(Object.keys(answers.answers).sort(), operations.map((operation) => operation.name).sort());
    for (const handle of Object.values(handles)) await handle.close?.();
  }));

test('the comparison can fail', () => {
  const unlike = [[1, 1.00001], ['a', 'b'], [[1], [1, 2]], [{ a: 1 }, { a: 2 }], [{ a: 1 }, { b: 1 }], [null, 0], [true, 1], [1, true]];
  for (const [expected, found] of unlike) assert.throws(() => compare(expected, found, ''), assert.AssertionError);
  compare({ a_b: [1, null, 'x', true] }, { aB: [1.0000001, null, 'x', true], c: 1 }, '');
});
