// How is LangGraph's checkpointer found, so that whoever does not use LangGraph needs none of it?
//
// Its types are written here as LangGraph has them, for the same reason: a program without LangGraph has no such package to look at.

import { builtin } from '../builtin.js';
import { Unsupported } from '../errors.js';
import { folders } from '../native.js';
import { type LangGraph, saverFor } from '../saver.js';
import type { StateStore } from '../store.js';

/** A `RunnableConfig` of LangChain, as far as checkpointers look at it. */
export interface LangGraphConfig {
  /** `thread_id`, `checkpoint_ns`, `checkpoint_id`. */
  configurable?: Record<string, any>;
}

/** LangGraph's serializer. */
export interface LangGraphSerializer {
  dumpsTyped(data: any): Promise<[string, Uint8Array]>;
  loadsTyped(type: string, data: Uint8Array | string): Promise<any>;
}

/** A checkpoint of LangGraph. */
export interface LangGraphCheckpoint {
  v: number;
  id: string;
  ts: string;
  channel_values: Record<string, unknown>;
  channel_versions: Record<string, number | string>;
  versions_seen: Record<string, Record<string, number | string>>;
}

/** What LangGraph knows of a checkpoint. */
export interface LangGraphMetadata {
  source: 'input' | 'loop' | 'update' | 'fork';
  step: number;
  parents: Record<string, string>;
}

/** A checkpoint with what stands beside it. */
export interface LangGraphTuple {
  config: LangGraphConfig;
  checkpoint: LangGraphCheckpoint;
  metadata?: LangGraphMetadata;
  parentConfig?: LangGraphConfig;
  /** The task, the channel and the value. */
  pendingWrites?: [task: string, channel: string, value: unknown][];
}

/** What is said of a checkpointer. */
export interface LangGraphSaverOptions {
  /** LangGraph's serializer. Default: its own. */
  serde?: LangGraphSerializer;
}

/**
 * A checkpointer of LangGraph whose checkpoints lie in a `StateStore`: `graph.compile({ checkpointer: new LangGraphSaver(store) })`.
 * Codes of quorate pass through: `corrupt`, `closed`, `io`.
 */
export interface LangGraphSaver {
  /** Where the checkpoints lie. */
  readonly store: StateStore;
  /** LangGraph's serializer. */
  serde: LangGraphSerializer;
  /** The checkpoint of a config without what stands beside it. */
  get(config: LangGraphConfig): Promise<LangGraphCheckpoint | undefined>;
  /** The checkpoint of a config, or the newest of its thread. */
  getTuple(config: LangGraphConfig): Promise<LangGraphTuple | undefined>;
  /** Checkpoints, the newest first. */
  list(
    config: LangGraphConfig,
    options?: { limit?: number; before?: LangGraphConfig; filter?: Record<string, any> },
  ): AsyncGenerator<LangGraphTuple>;
  /** Keeps a checkpoint, and gives its config. */
  put(
    config: LangGraphConfig,
    checkpoint: LangGraphCheckpoint,
    metadata: LangGraphMetadata,
    newVersions: Record<string, number | string>,
  ): Promise<LangGraphConfig>;
  /** Keeps what a task has written beside a checkpoint. */
  putWrites(config: LangGraphConfig, writes: [channel: string, value: unknown][], taskId: string, taskPath?: string): Promise<void>;
  /** Removes a thread with everything in it. */
  deleteThread(threadId: string): Promise<void>;
  /** What tasks have written to channels since these were last kept whole. */
  getDeltaChannelHistory(options: {
    config: LangGraphConfig;
    channels: string[];
  }): Promise<Record<string, { writes: [task: string, channel: string, value: unknown][]; seed?: unknown }>>;
  /** Versions that grow, and differ between writers. */
  getNextVersion(current: number | undefined): number;
  /** Its name: what it holds is in no JSON. */
  toJSON(): string;
}

/** The class of checkpointers. */
export interface LangGraphSaverClass {
  /** Codes: `invalid_argument`; `unsupported` without the package `@langchain/langgraph-checkpoint`. */
  new (store: StateStore, options?: LangGraphSaverOptions | null): LangGraphSaver;
  readonly prototype: LangGraphSaver;
}

let known: LangGraphSaverClass | undefined;

/** The class, which is one of LangGraph's from the first use on. */
function LangGraphSaverFunction(this: unknown, ...given: unknown[]): object {
  if (new.target === undefined) throw new TypeError("Class constructor LangGraphSaver cannot be invoked without 'new'");
  if (!known) {
    known = saverFor(found());
    Object.setPrototypeOf(LangGraphSaver.prototype, known.prototype);
    Object.setPrototypeOf(LangGraphSaver, known);
  }
  return Reflect.construct(known, given, new.target);
}
Object.defineProperty(LangGraphSaverFunction, 'name', { value: 'LangGraphSaver' });

/**
 * A checkpointer of LangGraph whose checkpoints lie in a `StateStore`: `graph.compile({ checkpointer: new LangGraphSaver(store) })`. Needs
 * the package `@langchain/langgraph-checkpoint`, which `@langchain/langgraph` brings with it; in a bundle import it from
 * `quorate/langgraph`.
 */
export const LangGraphSaver = LangGraphSaverFunction as unknown as LangGraphSaverClass;

const PACKAGE = '@langchain/langgraph-checkpoint';

/**
 * LangGraph's package, beside this one or beside the program. It is there in two builds, whose classes of messages are not the same: what is
 * loaded from a checkpoint should be of those that the program has. A program of ES modules has not loaded the other one.
 */
function found(): LangGraph {
  const { createRequire } = builtin('node:module');
  const { dirname, join } = builtin('node:path');
  let cause: unknown;
  for (const folder of [...folders(), process.cwd()]) {
    const from = createRequire(join(folder, 'quorate.js'));
    try {
      const common = from.resolve(PACKAGE);
      if (!from.cache[common]) {
        const manifest = from.resolve(`${PACKAGE}/package.json`);
        const build: unknown = from(manifest)?.exports?.['.']?.import?.default;
        const modules = typeof build === 'string' ? required(from, join(dirname(manifest), build)) : undefined;
        if (modules) return modules;
      }
      return from(common) as LangGraph;
    } catch (error) {
      cause ??= error;
    }
  }
  const how = "npm install @langchain/langgraph; in a bundle import { LangGraphSaver } from 'quorate/langgraph'";
  throw new Unsupported('unsupported', `LangGraphSaver needs the package ${PACKAGE}: ${how}`, { cause });
}

/** An ES module, where this Node gives it to `require`. */
function required(from: NodeJS.Require, file: string): LangGraph | undefined {
  if (!(process.features as { require_module?: boolean }).require_module) return undefined;
  return from(file) as LangGraph;
}
