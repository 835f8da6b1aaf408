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

// A workflow is a file: experts answer, tools are called, people decide, signals are waited for. An `Engine` runs it; what happened is in
// a journal before anything follows from it, so that a run goes on after a crash where it was, and no finished step runs again.

export {
  Engine,
  type CloseOptions,
  type EngineOptions,
  type LoadOptions,
  type Problem,
  type ReviewsOptions,
  type StartOptions,
  type StepTypeOptions,
  type Template,
  type WorkflowDefinition,
  type WorkOptions,
  templates,
  workflowSchema,
} from './engine.js';
export { type Missed, Schedule, type ScheduleData, type ScheduleOptions } from './schedule.js';
export { Breaker, Bulkhead, type Clock, ManualClock, type ToolRetryOptions, type StepContext, Tool, type ToolFunction, type WorkflowTool, type WorkflowToolOptions } from './hands.js';
export {
  type CancelOptions,
  type DecideOptions,
  type JournalEntry,
  Review,
  type ReviewData,
  type RunEnding,
  WorkflowRun,
  type WorkflowStatus,
  type WorkflowStep,
  WorkflowStream,
  type WaitOptions,
} from './run.js';

// Which workflow does what somebody wants to get done, and what has become of it? Work that waits in line, what has happened, and steps that
// are done or undone together are those of a `StateStore`.

export { type BusEvent, type DeadEvent, DeadEvents, Events, type PruneEventsOptions, type SubscribeOptions, Subscription } from './events.js';
export {
  Draft,
  type DraftExplanation,
  type GenerateOptions,
  type JobOutcome,
  JobStory,
  type JobStoryInput,
  type KeptStory,
  type Measurement,
  Stories,
  type StoryStatus,
  type TemplateCandidate,
  type Unfilled,
} from './jobs.js';
export {
  Dead,
  type DeadMessage,
  type Handler,
  type NackOptions,
  type PutOptions,
  type PutReport,
  Queue,
  type QueueMessage,
  type QueueOptions,
  type QueueRetry,
  type QueueRetryOptions,
  type QueueStats,
  type WaitWorkersOptions,
  type WorkContext,
  type WorkQueueOptions,
  Workers,
} from './queue.js';
export { Saga, type SagaOptions, type SagaStatus, type StepOptions } from './saga.js';
export {
  type LangGraphCheckpoint,
  type LangGraphConfig,
  type LangGraphMetadata,
  LangGraphSaver,
  type LangGraphSaverClass,
  type LangGraphSaverOptions,
  type LangGraphSerializer,
  type LangGraphTuple,
} from './saver.js';
