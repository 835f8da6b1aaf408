// How is a graph run, and what came of it?

import type * as Native from '../../native.js';
import { type Hosting, abortable, checkSignal, hosting, now, options as checked, parse, settle, shown } from '../call.js';
import type { Abortable } from '../embed.js';
import { Cancelled, errorOf, invalid } from '../errors.js';
import { holding, kept } from '../handles.js';
import type { Durability, StateStore } from '../store.js';
import { EventStream, ending } from '../streams.js';
import { answered } from '../tools.js';
import { output } from './forms.js';
import type { Functions } from './graph.js';

/** How a run of a graph stands. */
export type GraphStatus = 'running' | 'done' | 'waiting' | 'failed' | 'cancelled' | 'step_limit';

/** A question of a node that waits for an answer. */
export interface GraphReview {
  /** Its id, the same after every resume. */
  id: string;
  /** The node that asks. */
  node: string;
  /** The namespace of the node: empty, or that of a graph within the graph. */
  namespace: string;
  /** The task that asks. */
  task: string;
  /** What is asked. */
  question: unknown;
}

/** Why a node has failed. */
export interface GraphFailure {
  /** The node; null: what several have written does not fit together. */
  node: string | null;
  /** The code of its error. */
  code: string;
  /** What it says. */
  message: string;
  /** How often it was tried. */
  attempts: number;
}

/** What came of a run. */
export interface Outcome<S = Record<string, unknown>> {
  /** The thread; empty where nothing was kept. */
  thread: string;
  /** The run: the same until the thread is run with another input. */
  runId: string;
  /** How it stands. */
  status: GraphStatus;
  /** The state, as far as whole steps have brought it. */
  state: S;
  /** What waits for an answer. */
  reviews: GraphReview[];
  /** Why it has failed. */
  error: GraphFailure | null;
  /** What the failed node has thrown in this call, where it is known. */
  exception?: unknown;
  /** The newest checkpoint. */
  checkpoint: string;
  /** How many steps this call has gone. */
  steps: number;
}

/** How a task of a checkpoint's next step stands. */
export interface GraphTask {
  /** Its name in the step. */
  task: string;
  /** Its node. */
  node: string;
  /** Whether it has ended; it is not done again. */
  ended: boolean;
  /** Why it has failed. */
  error: GraphFailure | null;
  /** What it asks. */
  reviews: GraphReview[];
  /** Where a graph within the graph has its checkpoints. */
  namespace: string | null;
}

/** A thread as a checkpoint has it. */
export interface Snapshot<S = Record<string, unknown>> {
  /** The thread. */
  thread: string;
  /** The namespace: empty, or that of a graph within the graph. */
  namespace: string;
  /** The checkpoint. */
  checkpoint: string;
  /** The one that it comes from. */
  parent: string | null;
  /** The state. */
  state: S;
  /** How it stands. */
  status: GraphStatus;
  /** The nodes that come next, once for each task. */
  next: string[];
  /** How their tasks stand. */
  tasks: GraphTask[];
  /** What waits for an answer, also within graphs of the graph. */
  reviews: GraphReview[];
  /** How many steps led here. */
  step: number;
  /** What wrote it: `input`, `loop`, `update` or `cancel`. */
  source: string;
  /** The run that it belongs to. */
  runId: string;
  /** When it was written, in seconds since 1970 (UTC). */
  time: number;
}

/** What is told while a graph runs: what tasks have written, the state after each step, what nodes say, tasks that begin and end. */
export type GraphMode = 'updates' | 'values' | 'custom' | 'tasks';

/** Something that happens while a graph runs. */
export interface GraphEvent {
  /** What kind of event it is. */
  mode: GraphMode;
  /** The same. */
  type: GraphMode;
  /** The namespace: empty, or that of a graph within the graph. */
  namespace: string;
  /** The step. */
  step: number;
  /** The node. */
  node: string | null;
  /** The task. */
  task: string | null;
  /** What is told: writes, a state, what the node said, or `{ event: 'start' | 'end' | 'wait' | 'fail' }`. */
  data: unknown;
}

/** How a run goes. */
export interface RunGraphOptions extends Abortable {
  /** After so many steps it stops with the status `step_limit`; it can be resumed. Default 100. */
  stepLimit?: number | null;
  /** At most so many nodes work at once. Default 64. */
  parallel?: number | null;
  /** When a step is on the disk. Default: the store's. */
  durability?: Durability | null;
  /** Only the newest so many checkpoints of the thread are kept. Default: all. */
  keep?: number | null;
}

/** How a graph is run from its start. */
export interface StartGraphOptions extends RunGraphOptions {
  /** The thread. Without it nothing is kept, and a node that asks fails. */
  thread?: string | null;
}

/** How a thread goes on. */
export interface ResumeGraphOptions extends RunGraphOptions {
  /** Answers to its reviews, by their ids. */
  answers?: Readonly<Record<string, unknown>> | null;
}

/** Which events are told. */
export interface StreamGraphOptions {
  /** Default `updates`. */
  modes?: GraphMode | readonly GraphMode[] | null;
}

/** @internal */
export const MADE = Symbol('made');

/** What a node may do beside writing. Its second argument. */
export class Context {
  readonly #native: Native.GraphContext;
  readonly #host: Hosting;
  /** Aborted when the run is stopped, or this try took too long: nobody waits for the node then. */
  readonly signal: AbortSignal;

  /** @internal */
  constructor(made: typeof MADE, of: Native.GraphContext, host: Hosting, signal: AbortSignal) {
    if (made !== MADE) throw invalid('a context is given to nodes');
    this.#native = of;
    this.#host = host;
    this.signal = signal;
  }

  /**
   * What `run` gives, once: a step that has ended is never done again, and gives what it gave, also after a crash: `await ctx.step('ask', ask)`.
   * `name` is unique in the node. What it gives is kept as JSON. Codes: those of `run`; `invalid_argument` when the step is being done;
   * `stale_write`, `cancelled`, those of the store.
   */
  async step<T>(name: string, run: () => T | PromiseLike<T>): Promise<T> {
    if (typeof run !== 'function') throw invalid(`the step is ${shown(run)}; a function is expected`);
    let thrown: { error: unknown } | undefined;
    const work = (reply: Native.Reply): void => {
      const made = this.#host(async () => {
        try {
          return (await run()) ?? null;
        } catch (error) {
          thrown = { error };
          throw error;
        }
      });
      void answered(made, reply, 'the step');
    };
    try {
      return parse<T>(await settle(() => this.#native.step(name, work)));
    } catch (error) {
      // What the function threw stays what it is.
      throw thrown ? thrown.error : error;
    }
  }

  /**
   * Asks somebody, and gives the answer. While there is none this throws code `approval_required`, which the node lets pass: the run ends with
   * the status `waiting`, and the node begins again when there is an answer. Questions of a node are known by their order.
   */
  ask<T = unknown>(question: unknown): T {
    return parse<T>(now(() => this.#native.ask(question)));
  }

  /** Tells something to whoever streams the run with the mode `custom`. */
  emit(data: unknown): void {
    now(() => this.#native.emit(data));
  }

  /** Whether the run was cancelled or stopped, somebody else goes on with the thread, or this try took too long. */
  get cancelled(): boolean {
    return this.#native.cancelled;
  }

  /** The run: the same until the thread is run with another input. */
  get runId(): string {
    return this.#native.runId;
  }

  /** The thread; null where there is none. */
  get thread(): string | null {
    return this.#native.thread || null;
  }

  /** The number of this try, from 1. */
  get attempt(): number {
    return this.#native.attempt;
  }
}

/** One run: what the native half calls. */
class Caller {
  readonly #host = hosting();
  readonly #under = new Map<number, AbortController>();
  readonly failures = new Map<string, unknown>();

  constructor(readonly functions: Functions) {}

  readonly call = (reply: Native.Reply, number: number, index: number, state: string, of: Native.GraphContext): void => {
    const found = this.functions.nodes[index];
    if (!found) return reply.fail('the graph has no such node');
    const abort = new AbortController();
    this.#under.set(number, abort);
    const made = this.#host(async () => {
      try {
        return output(await found.run(parse(state), new Context(MADE, of, this.#host, abort.signal)));
      } catch (error) {
        this.failures.set(found.name, error);
        throw error;
      }
    });
    void answered(made, reply, `the node '${found.name}'`).finally(() => this.#under.delete(number));
  };

  readonly stop = (number: number): void => {
    const abort = this.#under.get(number);
    this.#under.delete(number);
    abort?.abort(new Cancelled('cancelled', 'the run was stopped, or the time of the try is over'));
  };

  outcome<S>(found: Outcome<S>): Outcome<S> {
    const node = found.error?.node;
    if (typeof node === 'string' && this.failures.has(node)) {
      Object.defineProperty(found, 'exception', { value: this.failures.get(node), enumerable: false });
    }
    return found;
  }
}

type Last = { type: 'end'; result: Outcome } | { type: 'error'; code: string; message: string };

/** What happens in a run, as it happens. Leaving it stops the run, which can be resumed. */
export class GraphStream<S = Record<string, unknown>> extends EventStream<GraphEvent> {
  readonly #caller: Caller;

  /** @internal */
  constructor(made: typeof MADE, of: Native.ModelFlow, app: App, caller: Caller, signal: AbortSignal | null | undefined) {
    if (made !== MADE) throw invalid('a stream is made by an App');
    super(of, [app, caller], signal, async (raw) => {
      const last = raw as Last;
      if (last.type === 'error') throw errorOf(last.code, last.message);
      return [raw as unknown as GraphEvent, last.type === 'end'];
    });
    this.#caller = caller;
  }

  override async next(): Promise<IteratorResult<GraphEvent, undefined>> {
    const found = await super.next();
    return !found.done && (found.value as unknown as Last).type === 'end' ? super.next() : found;
  }

  /** Reads what is left, and gives what came of the run. Codes: those of {@link App.run}. */
  async result(): Promise<Outcome<S>> {
    const last = (await ending(this)) as unknown as Last | undefined;
    if (last?.type !== 'end') throw new Cancelled('cancelled', 'the stream was left before its end');
    return this.#caller.outcome(last.result) as Outcome<S>;
  }
}

const RUN = ['stepLimit', 'parallel', 'durability', 'keep', 'signal'];

/** A graph that runs. Its threads lie in a store; several processes may run them. */
export class App {
  readonly #native: Native.GraphApp;
  readonly #functions: Functions;
  /** Where its threads are kept. */
  readonly store: StateStore;

  /** @internal */
  constructor(made: typeof MADE, of: Native.GraphApp, functions: Functions, store: StateStore) {
    if (made !== MADE) throw invalid('an app is made by the compile of a Graph');
    this.#native = of;
    this.#functions = functions;
    this.store = store;
    kept.set(this, functions);
  }

  /** The hash of the plan: the same for the same nodes, edges, reducers and schema. */
  get id(): string {
    return this.#native.id;
  }

  /** The plan as data. */
  json(): Record<string, unknown> {
    return parse(this.#native.json());
  }

  /** The plan as a flowchart in Mermaid's language. */
  mermaid(): string {
    return this.#native.mermaid();
  }

  /**
   * Runs the graph from its start, with `input` written to the state of the thread, until nothing is due or somebody must answer. Whoever was
   * running the thread has lost it. A node that fails rejects nothing: it is the status `failed`. An aborted `signal` stops the run, which can
   * be resumed, and the Promise is rejected with code `cancelled`.
   *
   * Codes: `invalid_argument` when the input does not fit; `stale_write` when somebody else has claimed the thread meanwhile; those of the store.
   */
  async run<S = Record<string, unknown>>(input?: Readonly<Record<string, unknown>> | null, options?: StartGraphOptions | null): Promise<Outcome<S>> {
    const { thread, signal, ...given } = checked(options, ['thread', ...RUN]);
    const caller = new Caller(this.#functions);
    const work = () =>
      abortable(signal, true, (cancel) => this.#native.run(objectOf(input, 'input'), thread, given, caller.call, caller.stop, cancel));
    return caller.outcome(parse<Outcome<S>>(await holding([this, caller], work)));
  }

  /**
   * Goes on with a thread where it was left: after it was stopped or killed, failed, or with `answers` to its reviews. What has ended is not done
   * again. Codes: `unknown_id` when there is no such thread, or no review of it waits for such an answer; those of {@link run}.
   */
  async resume<S = Record<string, unknown>>(thread: string, options?: ResumeGraphOptions | null): Promise<Outcome<S>> {
    const { answers, signal, ...given } = checked(options, ['answers', ...RUN]);
    const caller = new Caller(this.#functions);
    const work = () => abortable(signal, true, (cancel) => this.#native.resume(thread, answers, given, caller.call, caller.stop, cancel));
    return caller.outcome(parse<Outcome<S>>(await holding([this, caller], work)));
  }

  /** As {@link run}, telling what happens: `for await (const event of app.stream({}, { thread: 't1', modes: ['updates'] }))`. */
  stream<S = Record<string, unknown>>(
    input: Readonly<Record<string, unknown>> | null | undefined,
    options: StartGraphOptions & StreamGraphOptions,
  ): GraphStream<S> {
    const { thread, modes, signal, ...given } = checked(options, ['thread', 'modes', ...RUN]);
    return this.#stream(thread, objectOf(input, 'input'), undefined, modes, signal, given);
  }

  /** As {@link resume}, telling what happens. */
  streamResume<S = Record<string, unknown>>(thread: string, options?: (ResumeGraphOptions & StreamGraphOptions) | null): GraphStream<S> {
    const { answers, modes, signal, ...given } = checked(options, ['answers', 'modes', ...RUN]);
    return this.#stream(thread, undefined, answers, modes, signal, given);
  }

  #stream<S>(
    thread: unknown,
    input: unknown,
    answers: unknown,
    modes: StreamGraphOptions['modes'],
    signal: AbortSignal | null | undefined,
    given: RunGraphOptions,
  ): GraphStream<S> {
    checkSignal(signal);
    const caller = new Caller(this.#functions);
    const flow = now(() => this.#native.flow(thread, input, answers, modes ?? ['updates'], given, caller.call, caller.stop));
    return new GraphStream<S>(MADE, flow, this, caller, signal);
  }

  /** How a thread stands, or stood at a checkpoint. `namespace`: that of a graph within the graph, as tasks name it. Code: `unknown_id`. */
  async state<S = Record<string, unknown>>(thread: string, options?: { at?: string | null; namespace?: string | null } | null): Promise<Snapshot<S>> {
    const { at, namespace } = checked(options, ['at', 'namespace']);
    return parse(await settle(() => this.#native.state(thread, namespace, at)));
  }

  /** How a thread stood at each checkpoint, the newest first; `before`: the id of a checkpoint. Code: `unknown_id`. */
  async history<S = Record<string, unknown>>(
    thread: string,
    options?: { limit?: number | null; before?: string | null; namespace?: string | null } | null,
  ): Promise<Snapshot<S>[]> {
    const { limit, before, namespace } = checked(options, ['limit', 'before', 'namespace']);
    return parse(await settle(() => this.#native.history(thread, namespace, limit ?? undefined, before)));
  }

  /**
   * Writes to the state of a thread as if a node had, and sets what follows it; gives the new checkpoint. `asNode`: by default the node of the
   * last step. `at`: after this checkpoint, from which the thread then goes on. Codes: `invalid_argument`, `unknown_id`, `stale_write`.
   */
  async update(
    thread: string,
    values: Readonly<Record<string, unknown>>,
    options?: { asNode?: string | null; at?: string | null } | null,
  ): Promise<string> {
    const { asNode, at } = checked(options, ['asNode', 'at']);
    return holding([this], () => settle(() => this.#native.update(thread, objectOf(values, 'values'), asNode, at)));
  }

  /** Makes a checkpoint of `source` (by default the newest) the beginning of `thread`; gives the new checkpoint. Codes: `unknown_id`, `duplicate_id`. */
  async fork(source: string, options: { thread: string; at?: string | null; namespace?: string | null }): Promise<string> {
    const { thread, at, namespace } = checked(options, ['thread', 'at', 'namespace']);
    return settle(() => this.#native.fork(source, namespace, at, thread));
  }

  /** Ends a thread, in whatever process it runs: nothing is due any more then. Says whether something was. Code: `unknown_id`. */
  async cancel(thread: string): Promise<boolean> {
    return settle(() => this.#native.cancel(thread));
  }
}

function objectOf(given: unknown, what: string): Record<string, unknown> {
  if (given === undefined || given === null) return {};
  if (typeof given !== 'object' || Array.isArray(given)) throw invalid(`${what} is ${shown(given)}; an object is expected`);
  return given as Record<string, unknown>;
}

