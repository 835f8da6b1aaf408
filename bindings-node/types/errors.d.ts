import type { AgentReport } from './evaluate.js';
/** The stable names of errors, the same in Rust, Python and Node; `ERROR_CODES` says what each means. */
export type ErrorCode = 'invalid_argument' | 'invalid_shape' | 'not_finite' | 'empty_input' | 'invalid_document' | 'invalid_text' | 'filter_syntax' | 'filter_type' | 'filter_field' | 'query_syntax' | 'too_large' | 'model_invalid' | 'model_unsupported' | 'model_not_found' | 'not_found' | 'unknown_id' | 'unknown_capability' | 'duplicate_id' | 'duplicate_entry' | 'embedder_mismatch' | 'version_conflict' | 'include_cycle' | 'tenant_violation' | 'read_only' | 'closed' | 'locked' | 'corrupt' | 'format_version' | 'io' | 'disk_full' | 'permission_denied' | 'offline' | 'remote_failed' | 'remote_invalid' | 'timeout' | 'rate_limited' | 'circuit_open' | 'stream_incomplete' | 'context_overflow' | 'model_refused' | 'output_invalid' | 'tool_arguments' | 'tool_failed' | 'tool_timeout' | 'tool_unknown' | 'approval_required' | 'budget_exceeded' | 'budget_unpriced' | 'step_limit' | 'quorum_missed' | 'replay_mismatch' | 'run_conflict' | 'stale_write' | 'compensation_failed' | 'story_syntax' | 'no_template' | 'load_failed' | 'callback' | 'cancelled' | 'unsupported' | 'undefined' | 'internal';
/** Any error of quorate; by itself, a defect of the library (code `internal`). */
export declare class QuorateError extends Error {
    /** The stable name of the error, the same in Rust, Python and Node. */
    readonly code: ErrorCode;
    constructor(code: ErrorCode, message: string, options?: ErrorOptions);
}
/** The caller gave something that cannot be used. */
export declare class InvalidInput extends QuorateError {
}
/** What the caller named does not exist. */
export declare class NotFound extends QuorateError {
}
/** What the caller asked for contradicts what is there. */
export declare class Conflict extends QuorateError {
}
/** Another process holds the writer's lock. */
export declare class Locked extends QuorateError {
}
/** Stored bytes are not what was written. */
export declare class Corrupt extends QuorateError {
}
/** A resource (network, disk, model) cannot be reached or used at present. */
export declare class Unavailable extends QuorateError {
}
/** The caller cancelled the work. */
export declare class Cancelled extends QuorateError {
    /** What `evaluateAgents` had found by then, where it was cancelled. */
    readonly report?: AgentReport;
}
/** The operation has no meaning for this object, or was not compiled in. */
export declare class Unsupported extends QuorateError {
}
/** Every code with what it means. */
export declare const ERROR_CODES: Readonly<Record<ErrorCode, string>>;
