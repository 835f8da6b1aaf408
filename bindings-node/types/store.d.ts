import { Events } from './workflows/events.js';
import { Stories } from './workflows/jobs.js';
import { type Queue, type QueueOptions } from './workflows/queue.js';
import { type Saga, type SagaOptions } from './workflows/saga.js';
/** When a step of a graph is on the disk: before the next one begins; soon; when the run ends or waits. */
export type Durability = 'sync' | 'async' | 'exit';
/** What is said of a store. */
export interface StateStoreOptions {
    /** On whose behalf: what other tenants have does not exist. */
    tenant?: string | null;
    /**
     * When a step of a graph is on the disk, where its run says nothing else. `async`: a killed process loses nothing, a power cut may lose
     * the last steps; `exit`: a killed process begins the run again. Default `sync`.
     */
    durability?: Durability | null;
    /** By which name this process works. */
    workerId?: string | null;
    /**
     * After so many seconds of silence others go on with what a worker has, where they cannot see that it has ended; in a folder they see that
     * at once. Default 30.
     */
    lease?: number | null;
}
/** A checkpoint, as lists show it. */
export interface CheckpointInfo {
    /** Its thread. */
    thread: string;
    /** The namespace: empty, or that of a graph within the graph. */
    namespace: string;
    /** Its id. */
    id: string;
    /** The one that it comes from. */
    parent: string | null;
    /** When it was written, in seconds since 1970 (UTC). */
    time: number;
    /** What lists are filtered by. */
    metadata: Record<string, unknown>;
}
/** A checkpoint with what its channels hold. */
export interface CheckpointData extends CheckpointInfo {
    /** By channel. */
    values: Record<string, unknown>;
}
/** What is known of a thread. */
export interface ThreadInfo {
    /** Its name. */
    thread: string;
    /** How many checkpoints it has. */
    checkpoints: number;
    /** The newest checkpoint. */
    head: string | null;
    /** When it was first written, in seconds since 1970 (UTC). */
    created: number;
    /** When it was last written. */
    updated: number;
}
/** Which checkpoints are listed. */
export interface ListCheckpointsOptions {
    /** Those of this thread. */
    thread?: string | null;
    /** Those of this namespace: empty for none. Default: of all. */
    namespace?: string | null;
    /** Those before the one with this id. */
    before?: string | null;
    /** At most so many. */
    limit?: number | null;
    /** Those whose metadata have these values. */
    filter?: Readonly<Record<string, unknown>> | null;
}
/** Which checkpoints are removed. */
export interface PruneOptions {
    /** Of each thread the newest so many stay. At least 1; default 20. */
    keep?: number | null;
    /** Those stay that are younger: seconds, or a span such as `12h`; null is no age. Default `30d`. */
    olderThan?: number | string | null;
    /** Only says what would be removed. Default false. */
    dryRun?: boolean | null;
    /** Of this thread alone. */
    thread?: string | null;
}
/** What a pruning has removed. */
export interface PruneReport {
    /** The checkpoints, with those of graphs within the graph that belong to them. */
    checkpoints: {
        thread: string;
        namespace: string;
        id: string;
    }[];
    /** How many values no checkpoint has any more. */
    values: number;
    /** How many writes stood beside those checkpoints. */
    writes: number;
}
/** The checkpoints of a store's threads; of its tenant's alone. Code of all calls: `closed`. */
export declare class Checkpoints {
    #private;
    /** Checkpoints, the newest first. Codes: `unknown_id` for `before`, `corrupt`, `io`. */
    list(options?: ListCheckpointsOptions | null): Promise<CheckpointInfo[]>;
    /** A checkpoint with its values; the newest where no `id` is given, undefined where there is none. Codes: `corrupt`, `io`. */
    get(thread: string, options?: {
        id?: string | null;
        namespace?: string | null;
    } | null): Promise<CheckpointData | undefined>;
    /** The threads, in the order in which they were begun. */
    threads(): Promise<ThreadInfo[]>;
    /** Copies a thread to one that is not there yet, and gives how many checkpoints. Codes: `unknown_id`, `duplicate_id`. */
    copy(thread: string, to: string): Promise<number>;
    /**
     * Removes a thread with everything in it, and says whether it was there: no file has a byte of it then. Whoever runs it gets `stale_write`.
     * Codes: `locked`, `io`.
     */
    delete(thread: string): Promise<boolean>;
    /** Removes older checkpoints, and says which. Codes: `invalid_argument`, `locked`, `io`. */
    prune(options?: PruneOptions | null): Promise<PruneReport>;
}
/**
 * Where runs, graphs and workflows are kept: a folder, or memory, in which the newest 1,000 runs that ended stay. Several processes of a
 * machine may share a folder. What is acknowledged is on the disk. `new StateStore(...)` returns at once and opens on another thread;
 * `await StateStore.open(...)` waits.
 */
export declare class StateStore {
    /** The threads of graphs: to list, copy, delete and prune them. */
    readonly checkpoints: Checkpoints;
    /** On whose behalf what is given this store works, where it names nobody else. */
    readonly tenant: string | null;
    /** Codes: `corrupt`, `format_version`, `io`, `permission_denied`, `invalid_argument`; `unsupported` for the address of a database. */
    constructor(folder?: string | URL | null, options?: StateStoreOptions | null);
    /** Opens a store and waits until it is open. */
    static open(folder?: string | URL | null, options?: StateStoreOptions | null): Promise<StateStore>;
    /**
     * A durable queue, which is made where it is not there; it is opened by its first call. With options, they hold from now on, for every
     * process that uses it; without, those that it has. Codes: `invalid_argument`, `closed`; of its calls also `locked`, `io`, `corrupt`.
     */
    queue(name: string, options?: QueueOptions | null): Queue;
    /** The names of the queues. Codes: `corrupt`, `io`. */
    queues(): Promise<string[]>;
    /** What has happened, and who hears of it. Code: `closed`. */
    get events(): Events;
    /** The job stories that are kept, with what was measured of them. Code: `closed`. */
    get stories(): Stories;
    /**
     * Begins a saga, or goes on with the one that has this name. With a function, it is carried through: all steps are done when the function
     * resolves, and all are undone when it throws. Codes: `run_conflict` while somebody else has it; `invalid_argument`, `corrupt`, `io`.
     */
    saga(name: string, options?: SagaOptions | null): Promise<Saga>;
    saga<T>(name: string, run: (saga: Saga) => T | PromiseLike<T>, options?: SagaOptions | null): Promise<T>;
    /**
     * Lets go of the store. Its workers take nothing more; what they are at is settled when it ends. What was given the store (a runtime, a
     * graph) works on until it is let go of too; a second time changes nothing.
     */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}
