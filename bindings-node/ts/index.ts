// quorate: hybrid search, expert matching and consensus in one process.

import { native } from './native.js';

export * as consensus from './consensus/index.js';
export * as telemetry from './telemetry.js';
export * as workflows from './workflows/index.js';
export * from './agents.js';
export {
  type Abortable,
  type CacheStats,
  CrossEncoder,
  type CrossEncoderOptions,
  CallbackEmbedder,
  type CallbackEmbedderOptions,
  type EmbedFunction,
  Embedder,
  type EmbedderOptions,
  EmbeddingCache,
  RemoteEmbedder,
  type RemoteEmbedderOptions,
} from './embed.js';
export {
  Cancelled,
  Conflict,
  Corrupt,
  ERROR_CODES,
  type ErrorCode,
  InvalidInput,
  Locked,
  NotFound,
  QuorateError,
  Unavailable,
  Unsupported,
} from './errors.js';
export * from './eval.js';
export {
  type AgentComparison,
  type AgentMetric,
  AgentReport,
  type AgentReportData,
  type AgentRow,
  type AgentScore,
  type AgentScorer,
  type AgentTotals,
  type AgentTrial,
  evaluateAgents,
  type EvaluateAgentsOptions,
  type Expectation,
  goldenTasks,
  type Happened,
  Judge,
  type JudgeOptions,
  loadTasks,
  type Replayed,
  type ReplayOptions,
  type RunChange,
  type ScorerFunction,
  type ScorerName,
  type Task,
  type Verdict,
} from './evaluate.js';
export { type Explanation, Hit, type HitData, type Metadata, type MetadataValue, type TermScore } from './hits.js';
export {
  type AddOptions,
  type ChunkInput,
  type ChunkOptions,
  type ChunkStrategy,
  type Citation,
  type Context,
  type ContextForm,
  type ContextOptions,
  type CsvOptions,
  type CopyOptions,
  type CopyReport,
  type Document,
  type DocumentInput,
  type FileOptions,
  type DocumentPage,
  KnowledgeBase,
  type Lexical,
  type LexicalWords,
  type ListOptions,
  type OcrFunction,
  type OpenOptions,
  type Opening,
  type Problem,
  type ReembedOptions,
  type RerankFunction,
  type SearchOptions,
  type Skipped,
  type StoredChunk,
  type Stats,
  type StreamStep,
  type SyncOptions,
  type SyncReport,
  type VerifyReport,
  type Vector,
  type VectorSearchOptions,
  type Version,
  type Where,
  type WriteOptions,
  type WriteReport,
  open,
} from './kb.js';

export {
  type Answer,
  type AnswerCitation,
  type Candidate,
  type Check,
  type Pending,
  type Plan,
  type RunEvent,
  type RunEventBase,
  type RunInfo,
  type RunMode,
  type RunStatus,
  RunStream,
  type Step,
} from './answer.js';
export { Conversation, type ConversationOptions, type ConversationExport, Memory, type Turn, type UserFact } from './conversation.js';
export { type LogEvent, onLog } from './log.js';
export {
  type AskPanelOptions,
  type BallotForm,
  type BallotPosition,
  type Conformity,
  PanelAnswer,
  type PanelAnswerData,
  type PanelBallot,
  type PanelDelphiItem,
  type PanelEntry,
  type PanelEvent,
  type PanelMemberInput,
  type PanelMinority,
  type PanelReason,
  type PanelRole,
  type PanelRound,
  type PanelRow,
  type PanelSeat,
  type PanelSession,
  PanelStream,
  type PanelType,
  type PanelWeights,
  type ResumePanelOptions,
} from './panel.js';
export type { ProgressFunction } from './progress.js';
export { type McpChanges, type McpOptions, McpTools, mcpTools } from './mcp.js';
export * from './models.js';
export * from './recording.js';
export { type Approve, type Budget, type Decision, type QuestionOptions, type ResumeOptions, Run, Runtime, type RuntimeOptions, type RuntimeStreams } from './runtime.js';
export {
  type CheckpointData,
  type CheckpointInfo,
  Checkpoints,
  type Durability,
  type ListCheckpointsOptions,
  type PruneOptions,
  type PruneReport,
  StateStore,
  type StateStoreOptions,
  type ThreadInfo,
} from './store.js';
export type { JsonSchema, StandardResult, StandardSchema } from './schema.js';
export { type Effect, RuntimeTool, type ToolArguments, type ToolCard, type ToolContext, type ToolOptions, agentTool, kbTool, tool } from './tools.js';

/** The version of the package. */
export const version: string = native.version();
