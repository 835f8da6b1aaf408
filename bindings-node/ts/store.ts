// Where are runs, graphs and workflows kept?

import type * as Native from '../native.js';
import { now, options as checked, parse, place, settle } from './call.js';
import { invalid } from './errors.js';
import { halfOf } from './handles.js';
import { native } from './native.js';
import { Events } from './workflows/events.js';
import { Stories } from './workflows/jobs.js';
import { MADE, type Queue, type QueueOptions, leave, queueOf } from './workflows/queue.js';
import { type Saga, type SagaOptions, carried, sagaOf } from './workflows/saga.js';

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
  checkpoints: { thread: string; namespace: string; id: string }[];
  /** How many values no checkpoint has any more. */
  values: number;
  /** How many writes stood beside those checkpoints. */
  writes: number;
}

/** @internal The native halves of stores. */
export const stores = new WeakMap<object, Native.StateStore>();

/** @internal */
export const OPENED = Symbol('opened');

/** The checkpoints of a store's threads; of its tenant's alone. Code of all calls: `closed`. */
export class Checkpoints {
  readonly #native: Native.StateStore;

  /** @internal */
  constructor(made: typeof OPENED, of: Native.StateStore) {
    if (made !== OPENED) throw invalid('checkpoints are those of a StateStore');
    this.#native = of;
  }

  /** Checkpoints, the newest first. Codes: `unknown_id` for `before`, `corrupt`, `io`. */
  async list(options?: ListCheckpointsOptions | null): Promise<CheckpointInfo[]> {
    const given = checked(options, ['thread', 'namespace', 'before', 'limit', 'filter']);
    return parse(await settle(() => this.#native.list(given)));
  }

  /** A checkpoint with its values; the newest where no `id` is given, undefined where there is none. Codes: `corrupt`, `io`. */
  async get(thread: string, options?: { id?: string | null; namespace?: string | null } | null): Promise<CheckpointData | undefined> {
    const { id, namespace } = checked(options, ['id', 'namespace']);
    const found = await settle(() => this.#native.get(thread, namespace, id));
    return found === undefined ? undefined : parse(found);
  }

  /** The threads, in the order in which they were begun. */
  async threads(): Promise<ThreadInfo[]> {
    return parse(await settle(() => this.#native.threads()));
  }

  /** Copies a thread to one that is not there yet, and gives how many checkpoints. Codes: `unknown_id`, `duplicate_id`. */
  async copy(thread: string, to: string): Promise<number> {
    return settle(() => this.#native.copy(thread, to));
  }

  /**
   * Removes a thread with everything in it, and says whether it was there: no file has a byte of it then. Whoever runs it gets `stale_write`.
   * Codes: `locked`, `io`.
   */
  async delete(thread: string): Promise<boolean> {
    return settle(() => this.#native.delete(thread));
  }

  /** Removes older checkpoints, and says which. Codes: `invalid_argument`, `locked`, `io`. */
  async prune(options?: PruneOptions | null): Promise<PruneReport> {
    const given = checked(options, ['keep', 'olderThan', 'dryRun', 'thread']);
    return parse(await settle(() => this.#native.prune(given.olderThan === undefined ? { ...given, olderThan: '30d' } : given)));
  }
}

const MEMBERS = ['tenant', 'durability', 'workerId', 'lease'];

/**
 * Where runs, graphs and workflows are kept: a folder, or memory, in which the newest 1,000 runs that ended stay. Several processes of a
 * machine may share a folder. What is acknowledged is on the disk. `new StateStore(...)` returns at once and opens on another thread;
 * `await StateStore.open(...)` waits.
 */
export class StateStore {
  /** The threads of graphs: to list, copy, delete and prune them. */
  readonly checkpoints: Checkpoints;
  /** On whose behalf what is given this store works, where it names nobody else. */
  readonly tenant: string | null;

  /** Codes: `corrupt`, `format_version`, `io`, `permission_denied`, `invalid_argument`; `unsupported` for the address of a database. */
  constructor(folder?: string | URL | null, options?: StateStoreOptions | null) {
    const given = checked(options, MEMBERS);
    const path = folder === undefined || folder === null ? undefined : place(folder);
    const half = now(() => native.StateStore.open(path, given));
    stores.set(this, half);
    this.checkpoints = new Checkpoints(OPENED, half);
    this.tenant = given.tenant ?? null;
  }

  /** Opens a store and waits until it is open. */
  static async open(folder?: string | URL | null, options?: StateStoreOptions | null): Promise<StateStore> {
    const store = new StateStore(folder, options);
    await settle(() => halfOf(stores, store, 'this', 'a StateStore').ready());
    return store;
  }

  /**
   * A durable queue, which is made where it is not there; it is opened by its first call. With options, they hold from now on, for every
   * process that uses it; without, those that it has. Codes: `invalid_argument`, `closed`; of its calls also `locked`, `io`, `corrupt`.
   */
  queue(name: string, options?: QueueOptions | null): Queue {
    const given = checked(options, ['concurrency', 'perKey', 'rate', 'aging', 'lease', 'retry', 'dedupFor', 'ordered']);
    return now(() => queueOf(this, halfOf(stores, this, 'this', 'a StateStore'), name, given));
  }

  /** The names of the queues. Codes: `corrupt`, `io`. */
  async queues(): Promise<string[]> {
    return settle(async () => native.queueNames(halfOf(stores, this, 'this', 'a StateStore')));
  }

  /** What has happened, and who hears of it. Code: `closed`. */
  get events(): Events {
    return new Events(MADE, this, halfOf(stores, this, 'this', 'a StateStore'));
  }

  /** The job stories that are kept, with what was measured of them. Code: `closed`. */
  get stories(): Stories {
    return new Stories(MADE, halfOf(stores, this, 'this', 'a StateStore'));
  }

  /**
   * Begins a saga, or goes on with the one that has this name. With a function, it is carried through: all steps are done when the function
   * resolves, and all are undone when it throws. Codes: `run_conflict` while somebody else has it; `invalid_argument`, `corrupt`, `io`.
   */
  async saga(name: string, options?: SagaOptions | null): Promise<Saga>;
  async saga<T>(name: string, run: (saga: Saga) => T | PromiseLike<T>, options?: SagaOptions | null): Promise<T>;
  async saga<T>(
    name: string,
    run?: ((saga: Saga) => T | PromiseLike<T>) | SagaOptions | null,
    options?: SagaOptions | null,
  ): Promise<Saga | T> {
    if (typeof run === 'function' && /^class\b/.test(Function.prototype.toString.call(run))) throw invalid('run is a class; a function is expected');
    const how = checked(typeof run === 'function' ? options : run, ['recover', 'undo']);
    const made = await sagaOf(halfOf(stores, this, 'this', 'a StateStore'), name, how);
    return typeof run === 'function' ? carried(made, run) : made;
  }

  /**
   * Lets go of the store. Its workers take nothing more; what they are at is settled when it ends. What was given the store (a runtime, a
   * graph) works on until it is let go of too; a second time changes nothing.
   */
  async close(): Promise<void> {
    leave(this);
    await settle(() => halfOf(stores, this, 'this', 'a StateStore').close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
