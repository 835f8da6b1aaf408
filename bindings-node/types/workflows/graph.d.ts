import { type JsonSchema, type StandardSchema } from '../schema.js';
import { StateStore } from '../store.js';
import { App, type Context } from './app.js';
import { type NodeResult, type RetryOptions } from './forms.js';
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
export declare class Graph {
    #private;
    /** Code: `invalid_argument`. */
    constructor(options: GraphOptions);
    /** A node: a function of the state and the context. Code: `invalid_argument`. */
    node<S = Record<string, unknown>>(name: string, run: NodeFunction<S>, options?: NodeOptions | null): this;
    /** A graph as a node. It begins with the channels that both have, and gives back what it has written. Code: `invalid_argument`. */
    subgraph(name: string, graph: Graph, options?: SubgraphOptions | null): this;
    /** After `source` (or START) comes `target` (or END). */
    edge(source: string, target: string): this;
    /**
     * After `source` comes what `route` says by the state that it has left: one of the `targets`, several, none, or Sends to them. It may be
     * asynchronous. Where `targets` is an object, `route` gives a key of it, or several.
     */
    edgesIf<S = Record<string, unknown>>(source: string, route: (state: S) => unknown, targets: readonly string[] | Readonly<Record<string, string>>): this;
    /** `target` comes when all `sources` have ended, in whichever steps. */
    join(sources: readonly string[], target: string): this;
    /** Everything that is wrong with it; nothing when it can be compiled. */
    problems(): GraphProblem[];
    /**
     * The graph as something that runs, with its threads in `store`; by default in memory. Later changes of the graph do not count.
     * Codes: `invalid_argument`, whose error has all `problems`; `closed`.
     */
    compile(store?: StateStore | null): App;
}
