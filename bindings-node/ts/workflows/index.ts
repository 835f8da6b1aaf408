// How is work done that takes longer than a process lives?
//
// `import { workflows } from 'quorate'`. Graphs: nodes are functions of a state, which is kept step by step.

export {
  App,
  Context,
  type GraphEvent,
  type GraphFailure,
  type GraphMode,
  type GraphReview,
  type GraphStatus,
  GraphStream,
  type GraphTask,
  type Outcome,
  type ResumeGraphOptions,
  type RunGraphOptions,
  type Snapshot,
  type StartGraphOptions,
  type StreamGraphOptions,
} from './app.js';
export { END, Goto, type NodeResult, Retry, type RetryOptions, START, Send, type Targets } from './forms.js';
export {
  type CacheOptions,
  Graph,
  type GraphOptions,
  type GraphProblem,
  type NodeFunction,
  type NodeOptions,
  type ReducerFunction,
  type ReducerName,
  type SubgraphOptions,
  type Validator,
} from './graph.js';
export * as graphs from './graphs.js';
