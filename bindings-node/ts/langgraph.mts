// How do LangGraph's graphs keep their checkpoints in a state store? The class extends that of @langchain/langgraph-checkpoint.

import * as langgraph from '@langchain/langgraph-checkpoint';

import { type LangGraph, saverFor } from './saver.js';
import type { LangGraphSaver as Saver, LangGraphSaverClass } from './workflows/saver.js';

/**
 * A checkpointer of LangGraph whose checkpoints lie in a `StateStore`: `graph.compile({ checkpointer: new LangGraphSaver(store) })`.
 * `workflows.LangGraphSaver` is the same for programs that are no bundle.
 */
export const LangGraphSaver: LangGraphSaverClass = saverFor(langgraph as unknown as LangGraph);
export type LangGraphSaver = Saver;
export type { LangGraphSaverOptions } from './workflows/saver.js';
