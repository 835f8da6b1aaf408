import type { Runtime } from '../runtime.js';
import type { Engine } from './engine.js';
import { Graph } from './graph.js';
/**
 * A graph that asks an expert, and people where the expert needs an approval, or its answer is to be reviewed. Channels: `question`, `agent`,
 * `autonomous`, `review`; it gives `answer`, `status`, `stopped_by`, `citations`, `confidence`, `grounded`, `run`, `reviewed`. Code:
 * `invalid_argument`.
 */
export declare function expertConsultation(runtime: Runtime): Graph;
/**
 * A graph that asks a panel, and with `escalate` a person where the panel comes to no decision. Channels: `question`, `type`, `members`, `size`,
 * `rounds`, `options`, `escalate`; it gives `decision`, `level`, `agreement`, `synthesis`, `status`, `minority`, `citations`, `panel`,
 * `decided_by`. Code: `invalid_argument`.
 */
export declare function panelDeliberation(runtime: Runtime): Graph;
/**
 * A graph that starts a run of a workflow, waits for its end, and asks people what the workflow asks them. Channels: `workflow`, `input`,
 * `version`, `starter`, `offline`, `reviews` (false: somebody decides elsewhere); it gives `run`, `status`, `result`. A review of the workflow is
 * one of the graph, answered with `{ decision, by }` and, where wanted, `comment` and `data`; what the workflow refuses is asked for again, with
 * `refused` beside the question. Code: `invalid_argument`.
 */
export declare function workflowExecution(engine: Engine): Graph;
