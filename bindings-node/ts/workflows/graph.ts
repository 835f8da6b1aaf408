// How is a graph put together?

import type * as Native from '../../native.js';
import { type Hosting, bounded, hosting, now, options as checked, parse, shown } from '../call.js';
import { InvalidInput, invalid } from '../errors.js';
import { halfOf } from '../handles.js';
import { native } from '../native.js';
import { type JsonSchema, type StandardSchema, schemaOf } from '../schema.js';
import { StateStore, stores } from '../store.js';
import { answered } from '../tools.js';
import { App, type Context, MADE } from './app.js';
import { END, type NodeResult, type RetryOptions, type Targets, namedIn, targets } from './forms.js';

/** A reducer that the library has. */
export type ReducerName = 'last' | 'append' | 'merge' | 'sum' | 'max' | 'union' | 'barrier';

/** A function of the old value (null where there is none) and the new one. */
export type ReducerFunction = (old: unknown, value: unknown) => unknown;

/** What refuses a value of a channel: it throws, or gives false or the reason. */
export type Validator = (value: unknown) => unknown;

/** A node's function; it may be asynchronous. */
export type NodeFunction<S = Record<string, unknown>> = (state: S, context: Context) => NodeResult | PromiseLike<NodeResult>;

/** What of the state a node's result depends on, and how long it is given again. */
export interface CacheOptions {
  /** Seconds. Default: as long as the graph. */
  ttl?: number | null;
  /** What of the state it depends on. Default: all of it. */
  key?: ((state: Record<string, unknown>) => unknown) | null;
}

/** What is said of a node. */
export interface NodeOptions {
  /** The channels that it writes: others then fail, and conflicts are found before anything runs. */
  writes?: readonly string[] | null;
  /** Where it may go beside its edges; names in the code of a function that makes a Goto or a Send count too. */
  goto?: readonly string[] | null;
  /** How it is tried again. Default: not at all. */
  retry?: RetryOptions | null;
  /** Seconds that a try may take. */
  timeout?: number | null;
  /** Whether what it gave is given again in this process for the same state: true, seconds, or options. */
  cache?: boolean | number | CacheOptions | null;
  /** Whether it waits until nothing else is due. */
  defer?: boolean | null;
}

/** What is said of a graph within a graph. */
export type SubgraphOptions = Pick<NodeOptions, 'writes' | 'goto' | 'defer'>;

/** What a graph is made of. */
export interface GraphOptions {
  /** What its channels are: the JSON Schema of an object, or a schema of zod, valibot and their kin that gives one. */
  state: JsonSchema | StandardSchema;
  /** How writes to a channel are put together. Default `last`. */
  reducers?: Readonly<Record<string, ReducerName | ReducerFunction>> | null;
  /** Functions that refuse a value of a channel, beside the schema. */
  validators?: Readonly<Record<string, Validator>> | null;
}

/** One thing that is wrong with a graph. */
export interface GraphProblem {
  /** The name of a node or channel, or an edge as `a -> b`. */
  at: string;
  /** What kind of problem it is. */
  code: string;
  /** What to do about it. */
  message: string;
}

/** @internal The functions of a graph that runs. The native half does not hold them: they may hold what holds the graph. */
export class Functions {
  readonly nodes: { run: NodeFunction; name: string }[] = [];
  readonly #others: ((...args: never[]) => unknown)[] = [];
  readonly #host: Hosting = hosting();

  /** A function for the native half to call with its arguments as JSON. */
  add(run: (...args: never[]) => unknown, what: string): (reply: Native.Reply, given: string) => void {
    const index = this.#others.push(run) - 1;
    const of = new WeakRef(this);
    return (reply, given) => {
      const functions = of.deref();
      const found = functions === undefined ? undefined : functions.#others[index];
      if (!functions || !found) return reply.fail('the graph is gone, and the function with it');
      void answered(functions.#host(() => found(...(parse<unknown[]>(given) as never[]))), reply, what);
    };
  }
}

type Body = { run: NodeFunction } | { graph: Graph };

interface Definition {
  name: string;
  body: Body;
  given: NodeOptions;
  key: CacheOptions['key'];
  on: RetryOptions['on'];
}

const word = (given: unknown, what: string): string => {
  if (typeof given !== 'string') throw invalid(`${what} is ${shown(given)}; a name is expected`);
  return given;
};

const words = (given: unknown, what: string): string[] => {
  if (!Array.isArray(given)) throw invalid(`${what} is ${shown(given)}; an array of names is expected`);
  bounded(given, what);
  return given.map((one, i) => word(one, `${what}[${i}]`));
};

function runnable<T extends (...args: never[]) => unknown>(given: unknown, what: string): T {
  if (typeof given !== 'function') throw invalid(`${what} is ${shown(given)}; a function is expected`);
  return given as T;
}

function table<T>(given: Readonly<Record<string, T>> | null | undefined, what: string): [string, T][] {
  if (given === undefined || given === null) return [];
  if (typeof given !== 'object' || Array.isArray(given)) throw invalid(`${what} are ${shown(given)}; an object by channel is expected`);
  return Object.entries(given);
}

const OPTIONS = ['writes', 'goto', 'retry', 'timeout', 'cache', 'defer'];

/**
 * A graph that is being put together. What is wrong with it as a whole is said by {@link Graph.compile}, every problem at once.
 *
 * ```js
 * const g = new workflows.Graph({ state: schema, reducers: { notes: 'append' } });
 * g.node('read', async (state, ctx) => ({ notes: `read ${state.question}` })).node('answer', () => ({ notes: 'answered' }));
 * g.edge(workflows.START, 'read').edge('read', 'answer');
 * const done = await g.compile(store).run({ question: 'dosing' }, { thread: 'case-7' });
 * ```
 */
export class Graph {
  readonly #schema: unknown;
  readonly #reducers: [string, ReducerName | ReducerFunction][];
  readonly #validators: [string, Validator][];
  readonly #nodes: Definition[] = [];
  readonly #edges: [string, string][] = [];
  readonly #branches: [string, (state: never) => unknown, string[]][] = [];
  readonly #joins: [string[], string][] = [];

  /** Code: `invalid_argument`. */
  constructor(options: GraphOptions) {
    const { state, reducers, validators } = checked(options, ['state', 'reducers', 'validators']);
    if ((typeof state !== 'object' && typeof state !== 'function') || state === null) {
      throw invalid(`state is ${shown(state)}; a JSON Schema, or a schema that gives one, is expected`);
    }
    this.#schema = schemaOf(state, 'state');
    this.#reducers = table(reducers, 'reducers');
    for (const [name, reducer] of this.#reducers) if (typeof reducer !== 'string') runnable(reducer, `reducers.${name}`);
    this.#validators = table(validators, 'validators');
    for (const [name, validator] of this.#validators) runnable(validator, `validators.${name}`);
  }

  /** A node: a function of the state and the context. Code: `invalid_argument`. */
  node<S = Record<string, unknown>>(name: string, run: NodeFunction<S>, options?: NodeOptions | null): this {
    runnable(run, `the node '${word(name, 'the name of a node')}'`);
    this.#nodes.push({ name, body: { run: run as NodeFunction }, ...definition(options, OPTIONS) });
    return this;
  }

  /** A graph as a node. It begins with the channels that both have, and gives back what it has written. Code: `invalid_argument`. */
  subgraph(name: string, graph: Graph, options?: SubgraphOptions | null): this {
    word(name, 'the name of a node');
    if (!(graph instanceof Graph)) throw invalid(`graph is ${shown(graph)}; a Graph is expected`);
    this.#nodes.push({ name, body: { graph }, ...definition(options, ['writes', 'goto', 'defer']) });
    return this;
  }

  /** After `source` (or START) comes `target` (or END). */
  edge(source: string, target: string): this {
    this.#edges.push([word(source, 'source'), word(target, 'target')]);
    return this;
  }

  /**
   * After `source` comes what `route` says by the state that it has left: one of the `targets`, several, none, or Sends to them. It may be
   * asynchronous. Where `targets` is an object, `route` gives a key of it, or several.
   */
  edgesIf<S = Record<string, unknown>>(
    source: string,
    route: (state: S) => unknown,
    targets: readonly string[] | Readonly<Record<string, string>>,
  ): this {
    runnable(route, 'route');
    word(source, 'source');
    if (Array.isArray(targets)) {
      this.#branches.push([source, route as (state: never) => unknown, words(targets, 'targets')]);
      return this;
    }
    if (typeof targets !== 'object' || targets === null) throw invalid(`targets is ${shown(targets)}; an array of names is expected`);
    const known = new Map(Object.entries(targets as Record<string, string>).map(([key, name]) => [key, word(name, `targets.${key}`)]));
    const one = (given: unknown): unknown => {
      if (typeof given === 'object' && given !== null) return given;
      const name = known.get(String(given));
      if (name === undefined) throw invalid(`the route gave ${shown(given)}; one of ${[...known.keys()].join(', ')} is expected`);
      return name;
    };
    const led = async (state: never) => {
      const given = await (route as (state: never) => unknown)(state);
      return Array.isArray(given) ? bounded(given, 'what the route gave').map(one) : one(given);
    };
    this.#branches.push([source, led, [...known.values()]]);
    return this;
  }

  /** `target` comes when all `sources` have ended, in whichever steps. */
  join(sources: readonly string[], target: string): this {
    this.#joins.push([words(sources, 'sources'), word(target, 'target')]);
    return this;
  }

  /** Everything that is wrong with it; nothing when it can be compiled. */
  problems(): GraphProblem[] {
    return parse(now(() => this.#built(new Functions(), []).problems()));
  }

  /**
   * The graph as something that runs, with its threads in `store`; by default in memory. Later changes of the graph do not count.
   * Codes: `invalid_argument`, whose error has all `problems`; `closed`.
   */
  compile(store?: StateStore | null): App {
    const at = store ?? new StateStore();
    const half = halfOf(stores, at, 'store', 'a StateStore');
    const functions = new Functions();
    const builder = this.#built(functions, []);
    try {
      return new App(MADE, now(() => builder.compile(half)), functions, at);
    } catch (error) {
      if (error instanceof InvalidInput) Object.defineProperty(error, 'problems', { value: parse(builder.problems()), enumerable: true });
      throw error;
    }
  }

  /** @internal The native half of a graph that ships; none of others. */
  protected ready(): Native.GraphBuilder | undefined {
    return undefined;
  }

  #built(functions: Functions, around: readonly Graph[]): Native.GraphBuilder {
    const ready = this.ready();
    if (ready) return ready;
    if (around.includes(this)) throw invalid('the graph is a node of itself');
    const builder = now(() => new native.GraphBuilder(this.#schema));
    for (const [channel, reducer] of this.#reducers) {
      const own = typeof reducer === 'function' ? functions.add(reducer, `the reducer of '${channel}'`) : undefined;
      now(() => builder.reducer(channel, own ? undefined : (reducer as string), own));
    }
    for (const [channel, validator] of this.#validators) {
      const check = async (value: never) => said(await validator(value));
      now(() => builder.validator(channel, functions.add(check, `the validator of '${channel}'`)));
    }
    const names = this.#nodes.map(({ name }) => name);
    // Nodes that something follows in any case.
    const led = new Set([...this.#edges, ...this.#branches].map(([source]) => source).concat(...this.#joins.map(([sources]) => sources)));
    for (const { name, body, given, key, on } of this.#nodes) {
      if ('graph' in body) {
        const inner = body.graph.#built(functions, [...around, this]);
        now(() => builder.subgraph(name, given, inner));
        continue;
      }
      const found = namedIn(body.run, names);
      // It ends where it goes nowhere.
      if (found.length > 0 && !led.has(name)) found.push(END);
      const goto = [...new Set([...(given.goto ?? []), ...found])].sort();
      const index = functions.nodes.push({ run: body.run, name }) - 1;
      const asked = key ? functions.add(key, 'the key of a cache') : undefined;
      const again = on ? functions.add(on, "'on'") : undefined;
      now(() => builder.node(name, { ...given, goto }, index, asked, again));
    }
    for (const [source, target] of this.#edges) now(() => builder.edge(source, target));
    for (const [source, route, names] of this.#branches) {
      const led = async (state: never) => targets((await route(state)) as Targets, 'what the route gave');
      now(() => builder.edgesIf(source, functions.add(led, `the route after '${source}'`), names));
    }
    for (const [sources, target] of this.#joins) now(() => builder.join(sources, target));
    return builder;
  }
}

/** What a validator said, as the native half takes it. */
const said = (given: unknown): unknown => (typeof given === 'boolean' || typeof given === 'string' ? given : null);

function definition(options: NodeOptions | null | undefined, names: readonly string[]): Omit<Definition, 'name' | 'body'> {
  const { writes, goto, retry, timeout, cache, defer } = checked(options as NodeOptions | null | undefined, names);
  const { on, ...tries } = checked(retry as RetryOptions | null | undefined, ['maxAttempts', 'initial', 'factor', 'longest', 'on']);
  if (on !== undefined && on !== null) runnable(on, 'on');
  let kept: NodeOptions['cache'] = cache;
  let key: CacheOptions['key'];
  if (typeof cache === 'object' && cache !== null) {
    const { key: own, ...rest } = checked(cache, ['ttl', 'key']);
    if (own !== undefined && own !== null) key = runnable<NonNullable<CacheOptions['key']>>(own, 'key');
    kept = rest;
  }
  const given: NodeOptions = {
    writes: writes === undefined || writes === null ? undefined : words(writes, 'writes'),
    goto: goto === undefined || goto === null ? undefined : words(goto, 'goto'),
    retry: retry === undefined || retry === null ? undefined : { ...tries },
    timeout,
    cache: kept,
    defer,
  };
  now(() => native.checkNode(given));
  return { given, key, on };
}
