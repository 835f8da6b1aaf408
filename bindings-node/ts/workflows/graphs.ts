// Which graphs ship?

import type * as Native from '../../native.js';
import { now } from '../call.js';
import { invalid } from '../errors.js';
import { engines, halfOf, kept } from '../handles.js';
import { native } from '../native.js';
import type { Runtime } from '../runtime.js';
import { runtimes } from '../tools.js';
import type { Engine } from './engine.js';
import { Graph } from './graph.js';

/** A graph that ships. Its nodes are the library's; compile it with a store, or make it a node of another graph. */
class ReadyGraph extends Graph {
  readonly #half: Native.GraphBuilder;

  constructor(half: Native.GraphBuilder, of: object) {
    super({ state: { type: 'object' } });
    this.#half = half;
    kept.set(this, of);
  }

  protected override ready(): Native.GraphBuilder {
    return this.#half;
  }

  override node(): never {
    throw invalid('a graph that ships cannot be changed; make it a node of your own by subgraph');
  }

  override subgraph(): never {
    return this.node();
  }

  override edge(): never {
    return this.node();
  }

  override edgesIf(): never {
    return this.node();
  }

  override join(): never {
    return this.node();
  }
}

function ofRuntime(name: string, runtime: Runtime): Graph {
  const half = halfOf(runtimes, runtime, 'runtime', 'a Runtime');
  return new ReadyGraph(
    now(() => native.GraphBuilder.ready(name, half)),
    runtime,
  );
}

/**
 * A graph that asks an expert, and people where the expert needs an approval, or its answer is to be reviewed. Channels: `question`, `agent`,
 * `autonomous`, `review`; it gives `answer`, `status`, `stopped_by`, `citations`, `confidence`, `grounded`, `run`, `reviewed`. Code:
 * `invalid_argument`.
 */
export function expertConsultation(runtime: Runtime): Graph {
  return ofRuntime('expert_consultation', runtime);
}

/**
 * A graph that asks a panel, and with `escalate` a person where the panel comes to no decision. Channels: `question`, `type`, `members`, `size`,
 * `rounds`, `options`, `escalate`; it gives `decision`, `level`, `agreement`, `synthesis`, `status`, `minority`, `citations`, `panel`,
 * `decided_by`. Code: `invalid_argument`.
 */
export function panelDeliberation(runtime: Runtime): Graph {
  return ofRuntime('panel_deliberation', runtime);
}

/**
 * A graph that starts a run of a workflow, waits for its end, and asks people what the workflow asks them. Channels: `workflow`, `input`,
 * `version`, `starter`, `offline`, `reviews` (false: somebody decides elsewhere); it gives `run`, `status`, `result`. A review of the workflow is
 * one of the graph, answered with `{ decision, by }` and, where wanted, `comment` and `data`; what the workflow refuses is asked for again, with
 * `refused` beside the question. Code: `invalid_argument`.
 */
export function workflowExecution(engine: Engine): Graph {
  const half = halfOf(engines, engine, 'engine', 'an Engine');
  return new ReadyGraph(
    now(() => half.graph()),
    engine,
  );
}
