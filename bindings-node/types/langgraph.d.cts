import type { LangGraphSaver as Saver, LangGraphSaverClass } from './workflows/saver.js';
/**
 * A checkpointer of LangGraph whose checkpoints lie in a `StateStore`: `graph.compile({ checkpointer: new LangGraphSaver(store) })`.
 * `workflows.LangGraphSaver` is the same for programs that are no bundle.
 */
export declare const LangGraphSaver: LangGraphSaverClass;
export type LangGraphSaver = Saver;
export type { LangGraphSaverOptions } from './workflows/saver.js';
