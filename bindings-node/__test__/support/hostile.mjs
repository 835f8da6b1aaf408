// Tries calls of the package with hostile values, one parameter or one option at a time:
// `node hostile.mjs FOLDER CASES SEED`. CASES: how many values are tried for each, 0 for all.
//
// Each call must succeed, or fail with an error of quorate with a code that is not `internal` and a message of bounded length, within
// seconds of work and without taking gigabytes. It says what it is about to do, so that who started it knows what ended it; the last line is
// a JSON object with what went wrong.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import * as quorate from 'quorate';

/** The most work that a call may make, in milliseconds of the processors. The bounds of the calls are far below. */
const MOST_WORK = 10_000;
/** How long it may take on a machine with other work, in milliseconds: what takes longer waits for something that never comes. */
const MOST_TIME = 60_000;
/** The most memory that a call may add, in MiB. */
const MOST_MEMORY = 1500;
/** The longest message. */
const MOST_MESSAGE = 4000;

/** A server of tools. */
const MCP_SERVER = fileURLToPath(new URL('../../../agents/mcp/tests/servers/stdio.py', import.meta.url));

const { consensus, telemetry, workflows } = quorate;
const ENTRIES = { quorate, 'quorate/consensus': consensus, 'quorate/telemetry': telemetry, 'quorate/workflows': workflows };

/** What functions and objects of the host throw: it comes through as it is, or is the cause of code `callback`. */
class Mine extends Error {}

/** A workflow in which somebody is asked. */
const flow = (id) => `
apiVersion: quorate/v1
kind: Workflow
id: ${id}
version: 1.0.0
steps:
  ask: {human_review: {role: lead, title: Go on?, options: ['yes', 'no']}}
`;
const mine = () => {
  throw new Mine('mine');
};
const nested = (depth) => {
  let value = [];
  for (let i = 0; i < depth; i++) value = [value];
  return value;
};
const itself = (value, add) => {
  add(value);
  return value;
};
const quiet = (promise) => {
  promise.catch(() => {});
  return promise;
};

// Made anew for each call: an iterator can be read once.
const HOSTILE = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  '-1': () => -1,
  '-0': () => -0,
  0: () => 0,
  0.5: () => 0.5,
  '2^31': () => 2 ** 31,
  '2^32': () => 2 ** 32,
  '2^53': () => 2 ** 53,
  '2^64': () => 2 ** 64,
  '1e308': () => 1e308,
  '-1e308': () => -1e308,
  '5e-324': () => 5e-324,
  NaN: () => NaN,
  Infinity: () => Infinity,
  '7n': () => 7n,
  '2n^63n': () => 2n ** 63n,
  '10n^5000n': () => 10n ** 5000n,
  'empty text': () => '',
  NUL: () => 'a\0b',
  surrogate: () => '\ud800',
  'a long text': () => 'metformin '.repeat(20_000),
  'a long word': () => 'x'.repeat(200_000),
  accents: () => `e${'\u0301'.repeat(5000)}`,
  'a path upwards': () => '../../../../etc/passwd',
  'an endless file': () => '/dev/zero',
  __proto__: () => '__proto__',
  Buffer: () => Buffer.from('bytes'),
  '[]': () => [],
  '{}': () => ({}),
  Set: () => new Set(['a']),
  Map: () => new Map([[{}, 1]]),
  '[null]': () => [null],
  '[undefined]': () => [undefined],
  '[[]]': () => [[]],
  '[{}]': () => [{}],
  ragged: () => [[1, 2], [1]],
  '[NaN]': () => [NaN, NaN, NaN],
  '[1e308]': () => Array(3).fill([1e308, -1e308, 1e308]),
  mixed: () => ['a', 1, null, 2.5, undefined, 3n],
  'many numbers': () => Array.from({ length: 50_000 }, (_, i) => i),
  'many texts': () => Array.from({ length: 20_000 }, (_, i) => `t${i}`),
  'many names': () => Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`n${i}`, i])),
  'an empty name': () => ({ '': null }),
  'a name of lists': () => ({ a: [1, 2] }),
  'a prototype as a member': () => JSON.parse('{"__proto__": {"k": 5}, "constructor": 1}'),
  'no prototype': () => Object.create(null),
  'a hole of four thousand millions': () => new Array(2 ** 32 - 1),
  'a length of 2^53': () => ({ length: 2 ** 53 - 1 }),
  deep: () => nested(5000),
  'cyclic array': () => itself([], (value) => value.push(value)),
  'cyclic object': () => itself({}, (value) => (value.a = value)),
  symbol: () => Symbol('s'),
  'a member by symbol': () => ({ [Symbol.iterator]: 1 }),
  'a function that throws': () => mine,
  'a function that rejects': () => async () => mine(),
  'a function of nonsense': () => () => 'nonsense',
  class: () => class {},
  'an iterator': () => [1, 2, 3].values(),
  'an iterator that throws': () => ({ [Symbol.iterator]: mine }),
  'an endless iterator': () => ({
    *[Symbol.iterator]() {
      for (;;) yield 1;
    },
  }),
  'a promise': () => Promise.resolve('x'),
  'a rejected promise': () => quiet(Promise.reject(new Mine('mine'))),
  'a promise of its own kind': () => ({ then: mine }),
  'a proxy that throws': () => new Proxy({}, { get: mine, has: mine, ownKeys: mine, getPrototypeOf: mine, getOwnPropertyDescriptor: mine }),
  'an array behind a proxy': () => new Proxy([1, 2], { get: mine }),
  'a revoked proxy': () => itself(Proxy.revocable({}, {}), (value) => value.revoke()).proxy,
  'a getter that throws': () => Object.defineProperty({}, 'id', { get: mine, enumerable: true }),
  'an array that shrinks': () => {
    const shrinking = [0, 1, 2, 3];
    Object.defineProperty(shrinking, 0, { get: () => void (shrinking.length = 1), enumerable: true });
    return shrinking;
  },
  'no text': () => ({ toString: mine, [Symbol.toPrimitive]: mine }),
  'a String': () => new String('x'),
  Date: () => new Date(0),
  'an invalid Date': () => new Date(NaN),
  'a Date beyond all': () => new Date(8.64e15),
  RegExp: () => /x/,
  Error: () => new Mine('mine'),
  ArrayBuffer: () => new ArrayBuffer(8),
  SharedArrayBuffer: () => new Float32Array(new SharedArrayBuffer(8)),
  detached: () => itself(new Float32Array([1, 2]), (value) => structuredClone(value, { transfer: [value.buffer] })),
  resized: () => itself(new Float32Array(new ArrayBuffer(16, { maxByteLength: 32 }), 8), (value) => value.buffer.resize(4)),
  DataView: () => new DataView(new ArrayBuffer(8)),
  BigInt64Array: () => new BigInt64Array(3),
  BigUint64Array: () => new BigUint64Array(3),
  'Float64Array of NaN': () => new Float64Array(3).fill(NaN),
  'an empty Float32Array': () => new Float32Array(0),
  'Float64Array of 30,000': () => Float64Array.from({ length: 30_000 }, (_, i) => i),
  'rows of 10,000': () => Array.from({ length: 10_000 }, (_, i) => Float32Array.of(i % 7, i % 11, i % 13)),
  'a file URL': () => pathToFileURL('/nowhere'),
  'a URL that is no text': () => new URL('file:///%E0%A4%A'),
  'a URL': () => new URL('http://127.0.0.1:9/'),
  'a raised signal': () => AbortSignal.abort(new Mine('mine')),
  'no signal': () => Object.create(AbortSignal.prototype),
  'no embedder': () => Object.create(quorate.Embedder.prototype),
  WeakRef: () => new WeakRef({}),
};

const DOCUMENTS = Array.from({ length: 5 }, (_, i) => ({ id: `d${i}`, text: `Document ${i} on metformin and glucose.`, metadata: { i } }));
const AGENT = { id: 'kidney', name: 'Nephrologist', summary: 'Treats diseases of the kidney.' };
const STORY = { situation: 'an order is late', motivation: 'see where it is', expectedOutcome: 'tell the customer' };
const TASKS = [{ id: 'dose', question: 'glucose', agent: 'kidney', expect: { exact: '5 mg' } }];
const TABLE = { items: ['i', 'i', 'j', 'j'], raters: ['a', 'b', 'a', 'b'], values: ['x', 'x', 'y', 'x'] };
const NUMBERS = [[7, 8, 6, 5], [7.5, 8, 6.5, 5], [6, 8.5, 6, 4]];
const RATINGS = [['a', 'b', 'a', 'b'], ['a', 'b', 'b', 'b'], ['a', 'a', 'a', 'b']];

let fresh = 0;
/** The engine that calls are made on: some give it back. */
let shared;

/** What calls are made on. What a call has closed or emptied is made anew. */
class Host {
  #kb;
  #registry;

  constructor(folder) {
    this.folder = folder;
    this.embedder = new quorate.Embedder('builtin');
  }

  async ready() {
    await this.embedder.ready();
    writeFileSync(join(this.folder, 'file.txt'), 'Metformin lowers glucose.');
    await quorate.writeTrecRun({ q: { d: 1 } }, join(this.folder, 'run.txt'));
    const beir = join(this.folder, 'beir');
    mkdirSync(join(beir, 'qrels'), { recursive: true });
    writeFileSync(join(beir, 'corpus.jsonl'), '{"_id": "d", "title": "", "text": "t"}\n');
    writeFileSync(join(beir, 'queries.jsonl'), '{"_id": "q", "text": "t"}\n');
    writeFileSync(join(beir, 'qrels', 'test.tsv'), 'query-id\tcorpus-id\tscore\nq\td\t1\n');
    await (await quorate.record(join(this.folder, 'case.jsonl'))).close();
    const registry = await this.registry();
    await registry.save(join(this.folder, 'agents.yaml'));
    this.card = JSON.stringify(await registry.exportCard('kidney')).replaceAll('kidney', 'other');
    this.base = await quorate.open(null);
    this.tools = await quorate.mcpTools(this.server());
    this.runtime = new quorate.Runtime({ registry, model: new quorate.ScriptedModel(() => '5 mg') });
    this.over = [];
    for (let i = 0; i < 100; i++) this.over.push((await this.runtime.ask('glucose', { agent: 'kidney' })).runId);
    this.runId = (await this.runtime.ask('glucose', { agent: 'kidney' })).runId;
    this.panel = await this.runtime.panel('glucose', { members: ['kidney'] });
    this.report = await quorate.evaluateAgents(this.runtime, TASKS, { repeat: 1 });
    writeFileSync(join(this.folder, 'tasks.json'), JSON.stringify(TASKS));
    writeFileSync(join(this.folder, 'flow.yaml'), flow('own.file'));
    shared = this.engine = await workflows.Engine.open(null);
    await this.engine.add(flow('own.review'));
    this.flowRun = await this.engine.start('own.review', {});
    await this.flowRun.wait({ until: 'waiting', timeout: 10 });
    this.flowOver = await this.engine.start('example', null, { offline: true });
    await this.flowOver.wait({ timeout: 10 });
    [this.review] = await this.engine.reviews({ run: this.flowRun.id });
    this.store = new quorate.StateStore();
    this.queue = this.store.queue('q');
    this.group = await this.store.events.subscribe('a.*', null, { group: 'g' });
    this.story = (await this.store.stories.add({ ...STORY })).id;
    await this.more();
  }

  /** Messages and events that are held, and some that are dead. */
  async more() {
    for (let n = 0; n < 400; n++) await this.queue.put(n);
    this.taken = await this.queue.take(400);
    for (const message of this.taken.splice(0, 100)) await this.queue.reject(message, 'no');
    this.dead = (await this.queue.dead.list()).map(({ id }) => id);
    for (let n = 0; n < 300; n++) await this.store.events.publish('a.b');
    this.heard = await this.group.take(300);
  }

  /** What starts a server of tools. */
  server() {
    return { command: ['python3', MCP_SERVER, 'normal', join(this.folder, 'mcp')] };
  }

  async kb() {
    try {
      if (this.#kb && (await this.#kb.count()) === 5 && (await this.#kb.tenants()).join() === 'acme') return this.#kb;
    } catch (error) {
      if (!(error instanceof quorate.QuorateError)) throw error;
    }
    this.#kb = await quorate.open(null);
    await this.#kb.add(DOCUMENTS);
    await this.#kb.tenant('acme').add(DOCUMENTS.slice(0, 1));
    return this.#kb;
  }

  async registry() {
    try {
      if (this.#registry && (await this.#registry.list()).map((agent) => agent.id).join() === 'kidney') return this.#registry;
    } catch (error) {
      if (!(error instanceof quorate.QuorateError)) throw error;
    }
    this.#registry = await quorate.AgentRegistry.open({ catalog: null, embedder: this.embedder });
    await this.#registry.add(AGENT);
    return this.#registry;
  }

  /** A graph of one node. */
  graph() {
    const graph = new workflows.Graph({ state: { type: 'object', properties: { n: { type: 'integer' } } } });
    return graph.node('a', () => ({ n: 1 })).edge(workflows.START, 'a');
  }

  /** A place where nothing is. */
  place() {
    return join(this.folder, `fresh${fresh++}`);
  }

  /** What the methods of a class are called on. */
  async of(name, method) {
    const made = {
      KnowledgeBase: () => this.kb(),
      AgentRegistry: () => this.registry(),
      Embedder: () => this.embedder,
      CallbackEmbedder: () => new quorate.CallbackEmbedder((texts) => texts.map(() => [1, 0]), { dim: 2, id: 'x' }),
      EmbeddingCache: () => new quorate.EmbeddingCache(this.place()),
      Model: () => new quorate.ScriptedModel(() => '5 mg'),
      ScriptedModel: () => new quorate.ScriptedModel(() => '5 mg'),
      Runtime: () => this.runtime,
      Run: () => this.runtime.run(this.runId),
      AgentReport: () => this.report,
      PanelAnswer: () => this.panel,
      Memory: () => this.runtime.memory,
      McpTools: () => this.tools,
      Checkpoints: async () => {
        const store = new quorate.StateStore();
        await this.graph().compile(store).run({}, { thread: 't' });
        return store.checkpoints;
      },
      Graph: () => this.graph(),
      App: async () => {
        const app = this.graph().compile(new quorate.StateStore());
        await app.run({}, { thread: 't' });
        return app;
      },
      ManualClock: () => new workflows.ManualClock(0),
      StateStore: () => this.store,
      Queue: () => this.queue,
      Dead: () => this.queue.dead,
      // Who waits for workers that go on waits for long.
      Workers: async () => {
        const workers = await this.store.queue('idle').work(() => {});
        await workers.drain();
        return workers;
      },
      Events: () => this.store.events,
      Subscription: () => this.group,
      DeadEvents: () => this.group.dead,
      Stories: () => this.store.stories,
      Saga: () => this.store.saga(`s${fresh++}`),
      Engine: () => this.engine,
      // Who waits for a run that goes on waits for long.
      WorkflowRun: () => (['wait', 'stream'].includes(method) ? this.flowOver : this.engine.start('own.review', {})),
      Review: async () => {
        const run = await this.engine.start('own.review', {});
        await run.wait({ until: 'waiting', timeout: 10 });
        return (await this.engine.reviews({ run: run.id }))[0];
      },
      Conversation: () => this.runtime.conversation(),
      OnlineDawidSkene: () => {
        const online = new consensus.OnlineDawidSkene(['x', 'y']);
        online.add('j', 'b', 'y');
        return online;
      },
    };
    return made[name]?.();
  }
}

// Values that calls need, by the name of the parameter, then by call where the name means something else. A function makes one.
const BY_NAME = {
  query: 'glucose', question: 'glucose', queries: () => ['glucose'], texts: () => ['glucose'], text: 'glucose', id: 'd1',
  documents: () => [{ id: `n${fresh++}`, text: 'new' }], patterns: (host) => join(host.folder, 'file.txt'), metadata: () => ({ year: 2024 }),
  name: 'acme', to: (host) => host.place(), version: 1, vector: (host) => new Float32Array(host.embedder.dim).fill(1), field: 'i',
  which: () => ({ ids: ['d1'] }), folder: (host) => host.place(), where: () => ({}), agent: () => ({ ...AGENT }),
  agents: () => [{ ...AGENT, id: `a${fresh++}` }], agentId: 'kidney', reward: 0.5, card: (host) => host.card,
  path: (host) => join(host.folder, 'agents.yaml'), source: 'builtin', passages: () => ['glucose'], embed: () => (texts) => texts.map(() => [1, 0]),
  run: () => ({ q: { d: 1 } }), qrels: () => ({ q: { d: 1 } }), runA: () => ({ q: { d: 1 } }), runB: () => ({ q: { d: 0.5 } }), given: null,
  data: () => structuredClone(RATINGS), items: () => [...TABLE.items], raters: () => [...TABLE.raters], values: () => [...TABLE.values],
  a: () => ['x', 'y', 'x'], b: () => ['x', 'y', 'y'], p: () => [0.9, 0.7, 0.4], seeds: () => [[[1, 2, 3], [1, 2, 3], [1, 2, 3]], [[1, 2, 3], [1, 2, 3], [1, 2, 3]]],
  answers: () => [2, 2.5, 1.5], outcomes: () => [true, false, true], ab: () => [10, 5, 5, 10], ba: () => [9, 6, 5, 10],
  votes: () => [0, 0, 1], predictions: () => [[0.6, 0.4], [0.6, 0.4], [0.6, 0.4]], rankings: () => [['a', 'b', 'c'], ['b', 'a', 'c'], ['a', 'c', 'b']],
  comparisons: () => [['a', 'b'], ['b', 'a'], ['a', 'c'], ['c', 'b']], ratings: () => [7, 8, 7, 6, 8], vectors: () => [[1, 0], [0, 1]],
  ballots: () => ({ ann: 'yes', bob: 'no', eve: 'yes' }), questions: () => ['Will it rain?'], url: 'http://127.0.0.1:9/v1',
  messages: 'q', replies: () => ['5 mg'], runId: (host) => host.runId, decisions: () => ({}), user: 'ann', fact: 'allergic to penicillin',
  kb: (host) => host.base, runtime: (host) => host.runtime,
  tasks: () => structuredClone(TASKS), other: (host) => host.report, found: (host) => host.report.toJSON(), scorer: 'all', model: () => new quorate.ScriptedModel(() => '5 mg'), rubric: 'It is a dose.',
  thread: 't', hits: () => [], competences: () => [0.7, 0.6, 0.8], classes: () => ['x', 'y'], item: 'i', rater: 'a', value: 'x',
};
const BY_CALL = {
  open: { place: null },
  'AgentRegistry.get': { id: 'kidney' }, 'AgentRegistry.versions': { id: 'kidney' }, 'AgentRegistry.exportCard': { id: 'kidney' },
  'AgentRegistry.remove': { id: 'kidney' }, 'AgentRegistry.add': { agent: () => ({ ...AGENT, id: 'second' }) },
  'AgentRegistry.save': { path: (host) => host.place() },
  'AgentRegistry.calibrate': { questions: () => [['What harms the kidney?', 'kidney'], ['Will it rain?', null]] },
  AgentRegistry: { options: (host) => ({ catalog: null, embedder: host.embedder }) },
  'AgentRegistry.open': { options: (host) => ({ catalog: null, embedder: host.embedder }) },
  CallbackEmbedder: { options: () => ({ dim: 2, id: 'x' }) },
  RemoteEmbedder: { options: () => ({ model: 'm', retries: 0 }) },
  'KnowledgeBase.reembed': { options: (host) => ({ embedder: host.embedder }) },
  Model: { name: 'openai:m', options: () => ({ apiKey: 'key' }) }, 'Model.open': { name: 'openai:m', options: () => ({ apiKey: 'key' }) },
  'ScriptedModel.open': { name: 'openai:m', options: () => ({ apiKey: 'key' }) },
  Runtime: { options: () => ({ model: new quorate.ScriptedModel(() => '5 mg') }) },
  'Runtime.open': { options: () => ({ model: new quorate.ScriptedModel(() => '5 mg') }) },
  'Runtime.ask': { options: () => ({ agent: 'kidney' }) }, 'Runtime.prompt': { options: () => ({ agent: 'kidney' }) },
  'Runtime.delete': { runId: (host) => host.over.pop() }, 'Memory.forget': { id: null }, 'Conversation.forget': { which: null }, agentTool: { id: 'kidney' },
  'Conversation.add': { messages: () => [{ role: 'user', content: 'q' }] },
  'Checkpoints.copy': { to: () => `t${fresh++}` },
  mcpTools: { options: (host) => host.server() },
  tool: { options: () => ({ name: 'look', run: () => 'seen' }) },
  'AgentReport.report': { path: (host) => host.place() }, 'PanelAnswer.report': { path: (host) => host.place() },
  'Runtime.resumePanel': { runId: (host) => host.panel.runId }, loadTasks: { path: (host) => join(host.folder, 'tasks.json') },
  record: { path: (host) => host.place() }, replay: { path: (host) => join(host.folder, 'case.jsonl') },
  Graph: { options: () => ({ state: { type: 'object', properties: { n: { type: 'integer' } } } }) },
  'Graph.node': { name: 'b', run: () => () => ({ n: 1 }) }, 'Graph.subgraph': { name: 's', graph: (host) => host.graph() },
  'Graph.compile': { store: null }, 'Graph.edge': { source: 'a', target: 'b' }, 'Graph.join': { sources: () => ['a'], target: 'b' },
  'Graph.edgesIf': { source: 'a', route: () => () => 'b', targets: () => ['b'] },
  'App.run': { input: () => ({}) }, 'App.stream': { input: () => ({}), options: () => ({ modes: ['updates'], thread: `t${fresh++}` }) },
  'App.streamResume': { options: () => ({ modes: ['updates'] }) }, 'App.fork': { source: 't', options: () => ({ thread: `t${fresh++}` }) },
  'App.update': { values: () => ({ n: 1 }), options: () => ({ asNode: 'a' }) },
  Goto: { to: 'a' }, Send: { node: 'a', state: () => ({}) }, ManualClock: { now: 0 }, 'ManualClock.advance': { seconds: 1 }, Bulkhead: { concurrency: 2 },
  Tool: { name: 'look', run: () => () => 'seen' }, Engine: { store: null }, 'Engine.open': { store: null },
  'Engine.add': { workflow: () => flow(`own.f${fresh++}`) }, 'Engine.load': { path: (host) => join(host.folder, 'flow.yaml') },
  'Engine.mermaid': { id: 'example' }, 'Engine.rendered': { id: 'example' }, 'Engine.versions': { id: 'example' },
  'Engine.run': { id: (host) => host.flowRun.id }, 'Engine.review': { id: (host) => host.review.id },
  'Engine.start': { workflow: 'example', input: null, options: () => ({ offline: true }) },
  'Engine.schedule': { cron: '0 6 * * 1', workflow: 'example', input: null, options: () => ({ offline: true }) },
  'Engine.stepType': { kind: () => `kind${fresh++}`, handler: () => () => 1 },
  'WorkflowRun.cancel': { reason: 'why' }, 'WorkflowRun.migrate': { version: '1.0.0' }, 'WorkflowRun.fork': { step: 'ask' }, 'WorkflowRun.skip': { step: 'ask' },
  'WorkflowRun.signal': { name: 'said', data: () => ({}) },   'Review.decide': { option: 'yes', options: () => ({ by: 'ann' }) },
  'Queue.put': { payload: () => ({ a: 1 }) }, 'Queue.work': { handler: () => () => {} }, 'Queue.reject': { message: (host) => host.taken.pop(), reason: 'no' },
  'Queue.ack': { message: (host) => host.taken.pop() }, 'Queue.nack': { message: (host) => host.taken.pop() }, 'Queue.renew': { message: (host) => host.taken[0] },
  'Dead.replay': { ids: (host) => [host.dead.pop()] }, 'Dead.discard': { ids: (host) => [host.dead.pop()] },
  'Subscription.ack': { event: (host) => host.heard.pop() }, 'Subscription.nack': { event: (host) => host.heard.pop() }, 'Subscription.renew': { event: (host) => host.heard[0] },
  'Subscription.work': { handler: () => () => {} }, 'DeadEvents.replay': { seqs: () => [] }, 'DeadEvents.discard': { seqs: () => [] },
  'Events.publish': { subject: 'a.b' }, 'Events.subscribe': { pattern: 'b.*', handler: null }, 'Events.replay': { since: 1 }, 'Events.prune': { options: () => ({ keep: 1000 }) },
  'StateStore.saga': { name: () => `s${fresh++}`, run: null },
  'Saga.do': { name: 'a', step: () => () => 1 }, 'Saga.fail': { reason: 'no' },
  JobStory: { story: () => ({ ...STORY }) }, 'JobStory.parse': { sentence: 'When x, I want to y, so I can z.' },
  'Engine.generate': { story: () => ({ ...STORY }), options: () => ({ type: 'track_order' }) }, 'Stories.add': { story: () => ({ ...STORY }) },
  'Stories.get': { id: (host) => host.story }, 'Stories.abandon': { id: (host) => host.story }, 'Stories.outcome': { id: (host) => host.story, metric: 'hours', value: 1.5 },
  'Stories.remove': { id: (host) => host.store.stories.add({ ...STORY }).then(({ id }) => id) },
  loadBeir: { folder: (host) => join(host.folder, 'beir') },
  readTrecRun: { path: (host) => join(host.folder, 'run.txt') }, writeTrecRun: { path: (host) => host.place() },
  icc: { data: () => structuredClone(NUMBERS), values: () => [7, 8, 6, 5] }, kendallW: { data: () => structuredClone(NUMBERS), values: () => [1, 2, 2, 1] },
  scottPi: { data: () => structuredClone(RATINGS.slice(0, 2)) }, cohenKappa: { data: () => structuredClone(RATINGS.slice(0, 2)) },
  honeybee: { values: () => [5, 4.5] }, densityPool: { p: () => [[0.9, 0.1], [0.4, 0.6]] }, extremizedPool: { a: 2 }, swarmPool: { p: () => [[0.9, 0.1], [0.4, 0.6]] },
};

/** What has several forms: which parameters go together. Any other call takes its parameters in their order. */
const FORMS = [
  ['a', 'b', 'options'],
  ['data', 'options'],
  ['items', 'raters', 'values', 'options'],
];

const RESULTS = ['LangGraphSaver', 'Schedule', 'AgentEvents', 'Context', 'GraphStream', 'WorkflowStream', 'Hit', 'Match', 'Member', 'Panel', 'PanelScore', 'Truth'];
const SKIPPED = {
  CrossEncoder: 'it needs the weights of a model',
  'CrossEncoder.open': 'as above',
  'CrossEncoder.score': 'as above',
  'CallbackEmbedder.embedTokens': 'it has no vectors of tokens',
  // The methods of a RemoteEmbedder are those of an Embedder; tests of its own give it hostile answers of a server.
  RemoteEmbedder: 'nothing to be reached',
  'Engine.close': 'it ends the engine of the other calls',
  'Engine.drain': 'as above',
  'WorkflowRun.retry': 'it needs a step that has failed',
};

/** [name, what is called, what it is called on, parameters] of every call to be tried. */
function* calls(table) {
  for (const [entry, its] of Object.entries(table)) {
    const module = ENTRIES[entry];
    for (const [name, parameters] of Object.entries(its)) {
      const [short, method] = name.split('.');
      const value = module[short];
      if (Object.keys(parameters).length === 0 || RESULTS.includes(short)) continue;
      if (value.prototype instanceof Error || (name in SKIPPED) || (short === 'RemoteEmbedder' && method)) continue;
      if (method === undefined) {
        const made = /^class\b/.test(Function.prototype.toString.call(value));
        yield [name, async () => (made ? (...args) => new value(...args) : value), parameters];
      } else if (method in value) {
        yield [name, async () => (...args) => value[method](...args), parameters];
      } else {
        yield [name, async (host) => {
          const on = await host.of(short, method);
          return (...args) => on[method](...args);
        }, parameters];
      }
    }
  }
}

/** A generator of the same numbers for the same seed. */
function numbers(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** What is promised, awaited; what is a stream, read; what opens at once, waited for until it is open. */
async function settle(found) {
  if (found === null || typeof found !== 'object') return;
  if (typeof found.then === 'function') return settle(await found);
  if (found instanceof quorate.Embedder) await found.ready();
  else if (found instanceof quorate.EmbeddingCache) await found.stats();
  else if (found instanceof quorate.AgentRegistry) await found.count();
  // One at a time in a process.
  else if (found instanceof quorate.Recording) await found.close();
  else if (found instanceof workflows.Engine && found !== shared) await found.close();
  else if (Symbol.asyncIterator in found && !(found instanceof quorate.AgentEvents)) for await (const _ of found);
}

/** What a proxy that was revoked raises is the host's too. */
const isRevoked = (error) => error instanceof TypeError && /proxy that has been revoked/.test(error.message);

const LATE = Symbol('late');

async function main(folder, cases, seed) {
  const surface = JSON.parse(readFileSync(new URL('../../../tests/surface/found.json', import.meta.url), 'utf8')).node;
  const next = numbers(seed);
  const host = new Host(folder);
  await host.ready();
  const wrong = [];
  let tried = 0;
  const say = (line) => process.stdout.write(`${line}\n`);
  const report = (what) => {
    wrong.push(what);
    say(`WRONG ${what}`);
  };

  /** Runs a call; says what is wrong with how it ends. */
  async function attempt(what, work) {
    const [before, since] = [process.resourceUsage().maxRSS, process.cpuUsage()];
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, MOST_TIME, LATE)));
    try {
      const done = await Promise.race([(async () => settle(await work()))(), late]);
      if (done === LATE) report(`${what}: not done in ${MOST_TIME / 1000} s`);
    } catch (error) {
      if (error instanceof quorate.QuorateError) {
        if (error.code === 'internal' || !(error.code in quorate.ERROR_CODES)) report(`${what}: code ${error.code}: ${error.message.slice(0, 200)}`);
        if (error.message.length > MOST_MESSAGE) report(`${what}: a message of ${error.message.length} characters`);
      } else if (!(error instanceof Mine) && !isRevoked(error)) {
        report(`${what}: ${error?.stack?.split('\n').slice(0, 3).join(' ') ?? String(error)}`);
      }
    } finally {
      clearTimeout(timer);
    }
    const more = (process.resourceUsage().maxRSS - before) / 1024;
    if (more > MOST_MEMORY) report(`${what}: ${more.toFixed(0)} MiB more`);
    const { user, system } = process.cpuUsage(since);
    const spent = (user + system) / 1000;
    if (spent > MOST_WORK) report(`${what}: it took ${(spent / 1000).toFixed(0)} s of the processors`);
  }

  for (const [name, make, parameters] of calls(surface)) {
    const good = (parameter) => {
      const known = BY_CALL[name] ?? {};
      if (!(parameter in known) && !(parameter in BY_NAME)) return undefined;
      const value = parameter in known ? known[parameter] : BY_NAME[parameter];
      return typeof value === 'function' ? value(host) : value;
    };
    const names = Object.keys(parameters);
    const form = (parameter) => {
      const [first] = names;
      if (first === 'name' || first === 'subject' || !('data' in parameters || first === 'a')) return names;
      // `options` goes with the first form that the call has.
      return FORMS.find((one) => one.includes(parameter) && one.every((each) => names.includes(each))) ?? names;
    };
    const ask = async (parameter, value) => {
      const call = await make(host);
      const goods = await Promise.all(form(parameter).map(good));
      const args = form(parameter).map((each, at) => (each === parameter ? value(goods[at]) : goods[at]));
      // What was not given is not there.
      while (args.length > 0 && args.at(-1) === undefined && form(parameter)[args.length - 1] !== parameter) args.pop();
      return call(...args);
    };
    // A call with nothing wrong works; this fails when a new call is not known here.
    for (const one of new Set(names.map((each) => form(each).join()))) {
      try {
        await settle(await ask(one.split(',')[0], (value) => value));
      } catch (error) {
        report(`${name}(${one}) with good values: ${error?.stack}`);
      }
    }
    for (const [parameter, members] of Object.entries(parameters)) {
      for (const member of [undefined, ...members]) {
        let labels = Object.keys(HOSTILE);
        if (cases > 0) labels = Array.from({ length: Math.min(cases, labels.length) }, () => labels.splice(next(labels.length), 1)[0]);
        for (const label of labels) {
          const what = `${name}(${parameter}${member === undefined ? '' : `.${member}`}=${label})`;
          tried += 1;
          say(`CALL ${what}`);
          const plain = (value) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {});
          const table = parameter === 'data' ? TABLE : undefined;
          const value = (given) => (member === undefined ? HOSTILE[label]() : { ...(table ?? plain(given)), [member]: HOSTILE[label]() });
          await attempt(what, () => ask(parameter, value));
        }
      }
    }
  }
  say(JSON.stringify({ tried, wrong }));
}

const [folder, cases, seed] = process.argv.slice(2);
process.chdir(folder);
await main(folder, Number(cases), Number(seed));
// Work that was given up, or listens, must not keep the process.
process.exit(0);
