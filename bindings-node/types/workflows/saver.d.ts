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
    list(config: LangGraphConfig, options?: {
        limit?: number;
        before?: LangGraphConfig;
        filter?: Record<string, any>;
    }): AsyncGenerator<LangGraphTuple>;
    /** Keeps a checkpoint, and gives its config. */
    put(config: LangGraphConfig, checkpoint: LangGraphCheckpoint, metadata: LangGraphMetadata, newVersions: Record<string, number | string>): Promise<LangGraphConfig>;
    /** Keeps what a task has written beside a checkpoint. */
    putWrites(config: LangGraphConfig, writes: [channel: string, value: unknown][], taskId: string, taskPath?: string): Promise<void>;
    /** Removes a thread with everything in it. */
    deleteThread(threadId: string): Promise<void>;
    /** What tasks have written to channels since these were last kept whole. */
    getDeltaChannelHistory(options: {
        config: LangGraphConfig;
        channels: string[];
    }): Promise<Record<string, {
        writes: [task: string, channel: string, value: unknown][];
        seed?: unknown;
    }>>;
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
/**
 * A checkpointer of LangGraph whose checkpoints lie in a `StateStore`: `graph.compile({ checkpointer: new LangGraphSaver(store) })`. Needs
 * the package `@langchain/langgraph-checkpoint`, which `@langchain/langgraph` brings with it; in a bundle import it from
 * `quorate/langgraph`.
 */
export declare const LangGraphSaver: LangGraphSaverClass;
