import type { Abortable } from '../embed.js';
import type { Durability, StateStore } from '../store.js';
import { EventStream } from '../streams.js';
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
/** What a node may do beside writing. Its second argument. */
export declare class Context {
    #private;
    /** Aborted when the run is stopped, or this try took too long: nobody waits for the node then. */
    readonly signal: AbortSignal;
    /**
     * What `run` gives, once: a step that has ended is never done again, and gives what it gave, also after a crash: `await ctx.step('ask', ask)`.
     * `name` is unique in the node. What it gives is kept as JSON. Codes: those of `run`; `invalid_argument` when the step is being done;
     * `stale_write`, `cancelled`, those of the store.
     */
    step<T>(name: string, run: () => T | PromiseLike<T>): Promise<T>;
    /**
     * Asks somebody, and gives the answer. While there is none this throws code `approval_required`, which the node lets pass: the run ends with
     * the status `waiting`, and the node begins again when there is an answer. Questions of a node are known by their order.
     */
    ask<T = unknown>(question: unknown): T;
    /** Tells something to whoever streams the run with the mode `custom`. */
    emit(data: unknown): void;
    /** Whether the run was cancelled or stopped, somebody else goes on with the thread, or this try took too long. */
    get cancelled(): boolean;
    /** The run: the same until the thread is run with another input. */
    get runId(): string;
    /** The thread; null where there is none. */
    get thread(): string | null;
    /** The number of this try, from 1. */
    get attempt(): number;
}
/** What happens in a run, as it happens. Leaving it stops the run, which can be resumed. */
export declare class GraphStream<S = Record<string, unknown>> extends EventStream<GraphEvent> {
    #private;
    next(): Promise<IteratorResult<GraphEvent, undefined>>;
    /** Reads what is left, and gives what came of the run. Codes: those of {@link App.run}. */
    result(): Promise<Outcome<S>>;
}
/** A graph that runs. Its threads lie in a store; several processes may run them. */
export declare class App {
    #private;
    /** Where its threads are kept. */
    readonly store: StateStore;
    /** The hash of the plan: the same for the same nodes, edges, reducers and schema. */
    get id(): string;
    /** The plan as data. */
    json(): Record<string, unknown>;
    /** The plan as a flowchart in Mermaid's language. */
    mermaid(): string;
    /**
     * Runs the graph from its start, with `input` written to the state of the thread, until nothing is due or somebody must answer. Whoever was
     * running the thread has lost it. A node that fails rejects nothing: it is the status `failed`. An aborted `signal` stops the run, which can
     * be resumed, and the Promise is rejected with code `cancelled`.
     *
     * Codes: `invalid_argument` when the input does not fit; `stale_write` when somebody else has claimed the thread meanwhile; those of the store.
     */
    run<S = Record<string, unknown>>(input?: Readonly<Record<string, unknown>> | null, options?: StartGraphOptions | null): Promise<Outcome<S>>;
    /**
     * Goes on with a thread where it was left: after it was stopped or killed, failed, or with `answers` to its reviews. What has ended is not done
     * again. Codes: `unknown_id` when there is no such thread, or no review of it waits for such an answer; those of {@link run}.
     */
    resume<S = Record<string, unknown>>(thread: string, options?: ResumeGraphOptions | null): Promise<Outcome<S>>;
    /** As {@link run}, telling what happens: `for await (const event of app.stream({}, { thread: 't1', modes: ['updates'] }))`. */
    stream<S = Record<string, unknown>>(input: Readonly<Record<string, unknown>> | null | undefined, options: StartGraphOptions & StreamGraphOptions): GraphStream<S>;
    /** As {@link resume}, telling what happens. */
    streamResume<S = Record<string, unknown>>(thread: string, options?: (ResumeGraphOptions & StreamGraphOptions) | null): GraphStream<S>;
    /** How a thread stands, or stood at a checkpoint. `namespace`: that of a graph within the graph, as tasks name it. Code: `unknown_id`. */
    state<S = Record<string, unknown>>(thread: string, options?: {
        at?: string | null;
        namespace?: string | null;
    } | null): Promise<Snapshot<S>>;
    /** How a thread stood at each checkpoint, the newest first; `before`: the id of a checkpoint. Code: `unknown_id`. */
    history<S = Record<string, unknown>>(thread: string, options?: {
        limit?: number | null;
        before?: string | null;
        namespace?: string | null;
    } | null): Promise<Snapshot<S>[]>;
    /**
     * Writes to the state of a thread as if a node had, and sets what follows it; gives the new checkpoint. `asNode`: by default the node of the
     * last step. `at`: after this checkpoint, from which the thread then goes on. Codes: `invalid_argument`, `unknown_id`, `stale_write`.
     */
    update(thread: string, values: Readonly<Record<string, unknown>>, options?: {
        asNode?: string | null;
        at?: string | null;
    } | null): Promise<string>;
    /** Makes a checkpoint of `source` (by default the newest) the beginning of `thread`; gives the new checkpoint. Codes: `unknown_id`, `duplicate_id`. */
    fork(source: string, options: {
        thread: string;
        at?: string | null;
        namespace?: string | null;
    }): Promise<string>;
    /** Ends a thread, in whatever process it runs: nothing is due any more then. Says whether something was. Code: `unknown_id`. */
    cancel(thread: string): Promise<boolean>;
}
