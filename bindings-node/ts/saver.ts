// How do LangGraph's checkpoints come into a state store, and out of it?
//
// What LangGraph's serializer makes of values is kept as it is: no object is made from it here.

import type {
  BaseCheckpointSaver,
  ChannelVersions,
  Checkpoint,
  CheckpointListOptions,
  CheckpointMetadata,
  CheckpointPendingWrite,
  CheckpointTuple,
  PendingWrite,
  SerializerProtocol,
} from '@langchain/langgraph-checkpoint';

import type * as Native from '../native.js';
import { options as checked, parse, settle, shown } from './call.js';
import { invalid } from './errors.js';
import { halfOf } from './handles.js';
import { type StateStore, stores } from './store.js';
import type { LangGraphSaverClass, LangGraphSaverOptions } from './workflows/saver.js';

/** @internal LangGraph's package of checkpointers, as ES modules have it or as `require` gives it. */
export type LangGraph = typeof import('@langchain/langgraph-checkpoint');

type Config = { configurable?: Record<string, any> };
/** What the serializer has made of a value: the kind, and the bytes as Base64. */
type Dumped = [kind: string, data: string];
type Saved = {
  thread: string;
  namespace: string;
  id: string;
  parent: string | null;
  data: [checkpoint: Dumped, metadata: Dumped];
  values: Record<string, Dumped>;
  writes: [task: string, channel: string, value: Dumped][];
};

/** How many checkpoints are read at once, where they are numbered among themselves. */
const PAGE = 64;

/** @internal The class of checkpointers, for one of LangGraph's two builds. */
export function saverFor(langgraph: LangGraph): LangGraphSaverClass {
  const { TASKS, WRITES_IDX_MAP, getCheckpointId, maxChannelVersion } = langgraph;
  const Base = langgraph.BaseCheckpointSaver as unknown as abstract new (serde?: SerializerProtocol) => BaseCheckpointSaver;

  return class LangGraphSaver extends Base {
    readonly #native: Native.StateStore;
    /** Where the checkpoints lie. */
    readonly store: StateStore;

    constructor(store: StateStore, options?: LangGraphSaverOptions | null) {
      super(checked(options, ['serde']).serde);
      this.#native = halfOf(stores, store, 'store', 'a StateStore');
      this.store = store;
    }

    async #dumped(value: unknown): Promise<Dumped> {
      const [kind, data] = await this.serde.dumpsTyped(value);
      return [kind, Buffer.from(data).toString('base64')];
    }

    async #loaded([kind, data]: Dumped): Promise<any> {
      return this.serde.loadsTyped(kind, new Uint8Array(Buffer.from(data, 'base64')));
    }

    async #saved(thread: string, namespace: string, id: string | undefined): Promise<Saved | null> {
      return parse(await settle(() => this.#native.saved(thread, namespace, id)));
    }

    /** What older versions of LangGraph sent to the next step stood beside the checkpoint before it; now it is a channel. */
    async #sends(found: Saved, checkpoint: Checkpoint): Promise<void> {
      const before = found.parent === null ? null : await this.#saved(found.thread, found.namespace, found.parent);
      const sends = (before?.writes ?? []).filter(([, channel]) => channel === TASKS);
      checkpoint.channel_values[TASKS] = await Promise.all(sends.map(([, , value]) => this.#loaded(value)));
      const versions = Object.values(checkpoint.channel_versions);
      checkpoint.channel_versions[TASKS] = versions.length > 0 ? maxChannelVersion(...versions) : this.getNextVersion(undefined);
    }

    async #tuple(found: Saved, config?: Config): Promise<CheckpointTuple> {
      const place = { thread_id: found.thread, checkpoint_ns: found.namespace };
      const [checkpoint, metadata]: [Checkpoint, CheckpointMetadata] = [await this.#loaded(found.data[0]), await this.#loaded(found.data[1])];
      const names = Object.keys(found.values);
      const values = await Promise.all(names.map((name) => this.#loaded(found.values[name]!)));
      checkpoint.channel_values = Object.fromEntries(names.map((name, i) => [name, values[i]]));
      if (checkpoint.v < 4 && found.parent !== null) await this.#sends(found, checkpoint);
      const write = async ([task, channel, value]: Saved['writes'][number]): Promise<CheckpointPendingWrite> => [task, channel, await this.#loaded(value)];
      const tuple: CheckpointTuple = {
        config: config ?? { configurable: { ...place, checkpoint_id: found.id } },
        checkpoint,
        metadata,
        pendingWrites: await Promise.all(found.writes.map(write)),
      };
      if (found.parent !== null) tuple.parentConfig = { configurable: { ...place, checkpoint_id: found.parent } };
      return tuple;
    }

    /** The checkpoint of a config, or the newest of its thread. */
    async getTuple(config: Config): Promise<CheckpointTuple | undefined> {
      if (config.configurable?.['thread_id'] === undefined) return undefined;
      const id = getCheckpointId(config) || undefined;
      const found = await this.#saved(thread(config), namespace(config), id);
      return found === null ? undefined : this.#tuple(found, id === undefined ? undefined : config);
    }

    /** Checkpoints, the newest first. */
    async *list(config: Config, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
      const place = config?.configurable ?? {};
      const id = getCheckpointId(config ?? {}) || undefined;
      const filter = Object.entries(options?.filter ?? {});
      let left = options?.limit ?? Infinity;
      // Those of one namespace are read page by page; among those of several the same number may come twice.
      const paged = place['thread_id'] !== undefined && place['checkpoint_ns'] !== undefined;
      const query: { thread?: string; namespace?: string; before?: string; limit?: number } = {
        thread: place['thread_id'] === undefined ? undefined : thread(config),
        namespace: place['checkpoint_ns'],
        before: options?.before ? getCheckpointId(options.before) || undefined : undefined,
      };
      // What is looked for among them is not counted before.
      const most = filter.length > 0 || id !== undefined ? Infinity : left;
      for (;;) {
        if (left <= 0) return;
        const limit = Math.min(most, paged ? PAGE : Infinity);
        const page: Saved[] = parse(await settle(() => this.#native.savedList({ ...query, ...(limit < Infinity && { limit }) })));
        for (const found of page) {
          if (id !== undefined && found.id !== id) continue;
          const one = await this.#tuple(found);
          const metadata = one.metadata as Record<string, unknown>;
          if (!filter.every(([key, value]) => metadata[key] === value)) continue;
          yield one;
          left -= 1;
          if (left <= 0) return;
        }
        if (!paged || page.length < PAGE) return;
        query.before = page.at(-1)!.id;
      }
    }

    /** Keeps a checkpoint, and gives its config. */
    async put(config: Config, checkpoint: Checkpoint, metadata: CheckpointMetadata, newVersions: ChannelVersions): Promise<Config> {
      const [name, space] = [thread(config), namespace(config)];
      const { channel_values: values, ...rest } = checkpoint;
      const value = async ([channel, version]: [string, string | number]) => [
        channel,
        written(version),
        Object.hasOwn(values, channel) ? await this.#dumped(values[channel]) : null,
      ];
      const given = {
        thread: name,
        namespace: space,
        id: checkpoint.id,
        parent: getCheckpointId(config) || null,
        data: [await this.#dumped(rest), await this.#dumped(metadata)],
        metadata: Object.fromEntries(Object.entries(metadata ?? {}).filter(plain)),
        versions: Object.entries(checkpoint.channel_versions).map(([channel, version]) => [channel, written(version)]),
        values: await Promise.all(Object.entries(newVersions).map(value)),
      };
      await settle(() => this.#native.save(given));
      return { configurable: { thread_id: config.configurable?.['thread_id'], checkpoint_ns: space, checkpoint_id: checkpoint.id } };
    }

    /** Keeps what a task has written beside a checkpoint. */
    async putWrites(config: Config, writes: PendingWrite[], taskId: string, taskPath?: string): Promise<void> {
      const id = getCheckpointId(config);
      if (!id) throw invalid('writes stand beside a checkpoint: configurable.checkpoint_id is missing');
      const write = async ([channel, value]: PendingWrite, i: number) => [Object.hasOwn(WRITES_IDX_MAP, channel) ? WRITES_IDX_MAP[channel] : i, channel, await this.#dumped(value)];
      const given = {
        thread: thread(config),
        namespace: namespace(config),
        checkpoint: id,
        task: taskId,
        path: taskPath ?? '',
        writes: await Promise.all(writes.map(write)),
      };
      await settle(() => this.#native.saveWrites(given));
    }

    /** Removes a thread with everything in it. */
    async deleteThread(threadId: string): Promise<void> {
      await this.store.checkpoints.delete(thread({ configurable: { thread_id: threadId } }));
    }

    /** Versions that grow, and differ between writers: two branches of a checkpoint count alike, and what they write is not the same. */
    override getNextVersion(current: number | undefined): number {
      return Math.floor(current ?? 0) + 1 + Math.random() * 0.999_999;
    }
  };
}

/** The thread of a config. Code: `invalid_argument`. */
function thread(config: Config): string {
  const given: unknown = config.configurable?.['thread_id'];
  if (typeof given === 'string' || typeof given === 'number') return String(given);
  throw invalid(`configurable.thread_id is ${shown(given)}; a string is expected: graph.invoke(input, { configurable: { thread_id: 'a' } })`);
}

/** The namespace of a config: empty, or that of a graph within the graph. Code: `invalid_argument`. */
function namespace(config: Config): string {
  const given: unknown = config.configurable?.['checkpoint_ns'] ?? '';
  if (typeof given === 'string') return given;
  throw invalid(`configurable.checkpoint_ns is ${shown(given)}; a string is expected`);
}

/** A version of a channel as a text: a number is none that is written alike. */
function written(version: string | number): string {
  return typeof version === 'string' ? version : JSON.stringify(version);
}

/** Whether lists can be filtered by a member of the metadata. */
function plain([key, value]: [string, unknown]): boolean {
  const whole = (text: string) => !/\p{Surrogate}/u.test(text);
  const fits = typeof value === 'string' ? whole(value) : value === null || typeof value === 'boolean' || Number.isFinite(value);
  return fits && whole(key);
}
