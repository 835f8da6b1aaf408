import type { Runtime } from '../runtime.js';
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
