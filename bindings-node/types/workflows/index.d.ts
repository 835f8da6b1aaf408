export { App, Context, type GraphEvent, type GraphFailure, type GraphMode, type GraphReview, type GraphStatus, GraphStream, type GraphTask, type Outcome, type ResumeGraphOptions, type RunGraphOptions, type Snapshot, type StartGraphOptions, type StreamGraphOptions, } from './app.js';
export { END, Goto, type NodeResult, Retry, type RetryOptions, START, Send, type Targets } from './forms.js';
export { type CacheOptions, Graph, type GraphOptions, type GraphProblem, type NodeFunction, type NodeOptions, type ReducerFunction, type ReducerName, type SubgraphOptions, type Validator, } from './graph.js';
export * as graphs from './graphs.js';
export { Engine, type CloseOptions, type EngineOptions, type LoadOptions, type Problem, type ReviewsOptions, type StartOptions, type StepTypeOptions, type Template, type WorkflowDefinition, type WorkOptions, templates, workflowSchema, } from './engine.js';
export { type Missed, Schedule, type ScheduleData, type ScheduleOptions } from './schedule.js';
export { Breaker, Bulkhead, type Clock, ManualClock, type ToolRetryOptions, type StepContext, Tool, type ToolFunction, type WorkflowTool, type WorkflowToolOptions } from './hands.js';
export { type CancelOptions, type DecideOptions, type JournalEntry, Review, type ReviewData, type RunEnding, WorkflowRun, type WorkflowStatus, type WorkflowStep, WorkflowStream, type WaitOptions, } from './run.js';
