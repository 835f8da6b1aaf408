// What went wrong, by family and by code?

import type { AgentReport } from './evaluate.js';
import { native } from './native.js';

/** The stable names of errors, the same in Rust, Python and Node; `ERROR_CODES` says what each means. */
export type ErrorCode =
  | 'invalid_argument'
  | 'invalid_shape'
  | 'not_finite'
  | 'empty_input'
  | 'invalid_document'
  | 'invalid_text'
  | 'filter_syntax'
  | 'filter_type'
  | 'filter_field'
  | 'query_syntax'
  | 'too_large'
  | 'model_invalid'
  | 'model_unsupported'
  | 'model_not_found'
  | 'not_found'
  | 'unknown_id'
  | 'unknown_capability'
  | 'duplicate_id'
  | 'duplicate_entry'
  | 'embedder_mismatch'
  | 'version_conflict'
  | 'include_cycle'
  | 'tenant_violation'
  | 'read_only'
  | 'closed'
  | 'locked'
  | 'corrupt'
  | 'format_version'
  | 'io'
  | 'disk_full'
  | 'permission_denied'
  | 'offline'
  | 'remote_failed'
  | 'remote_invalid'
  | 'timeout'
  | 'rate_limited'
  | 'circuit_open'
  | 'stream_incomplete'
  | 'context_overflow'
  | 'model_refused'
  | 'output_invalid'
  | 'tool_arguments'
  | 'tool_failed'
  | 'tool_timeout'
  | 'tool_unknown'
  | 'approval_required'
  | 'budget_exceeded'
  | 'budget_unpriced'
  | 'step_limit'
  | 'quorum_missed'
  | 'replay_mismatch'
  | 'run_conflict'
  | 'stale_write'
  | 'compensation_failed'
  | 'story_syntax'
  | 'no_template'
  | 'load_failed'
  | 'callback'
  | 'cancelled'
  | 'unsupported'
  | 'undefined'
  | 'internal';

/** The longest message, in UTF-16 units. */
const MOST = 3000;

/** Any error of quorate; by itself, a defect of the library (code `internal`). */
export class QuorateError extends Error {
  /** The stable name of the error, the same in Rust, Python and Node. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    // As errors of the native half: no message is as long as what was given.
    super(message.length > MOST ? `${message.slice(0, MOST - 805)} ... ${message.slice(-800)}` : message, options);
    this.code = code;
  }

  static {
    // The name is the class's, for subclasses too, and is not listed among an error's own members.
    Object.defineProperty(this.prototype, 'name', {
      configurable: true,
      get(this: QuorateError) {
        return this.constructor.name;
      },
    });
  }
}

/** The caller gave something that cannot be used. */
export class InvalidInput extends QuorateError {}

/** What the caller named does not exist. */
export class NotFound extends QuorateError {}

/** What the caller asked for contradicts what is there. */
export class Conflict extends QuorateError {}

/** Another process holds the writer's lock. */
export class Locked extends QuorateError {}

/** Stored bytes are not what was written. */
export class Corrupt extends QuorateError {}

/** A resource (network, disk, model) cannot be reached or used at present. */
export class Unavailable extends QuorateError {}

/** The caller cancelled the work. */
export class Cancelled extends QuorateError {
  /** What `evaluateAgents` had found by then, where it was cancelled. */
  declare readonly report?: AgentReport;
}

/** The operation has no meaning for this object, or was not compiled in. */
export class Unsupported extends QuorateError {}

const CLASSES: Record<string, typeof QuorateError> = {
  InvalidInput,
  NotFound,
  Conflict,
  Locked,
  Corrupt,
  Unavailable,
  Cancelled,
  Unsupported,
};

const TABLE = native.errorCodes();
const CLASS_OF = new Map(TABLE.map(([code, kind]) => [code, CLASSES[kind] ?? QuorateError]));

/** Every code with what it means. */
export const ERROR_CODES: Readonly<Record<ErrorCode, string>> = Object.freeze(
  Object.fromEntries(TABLE.map(([code, , meaning]) => [code, meaning])) as Record<ErrorCode, string>,
);

/** @internal The error of quorate behind what the native half has thrown; anything else as it is. */
export function refine(error: unknown, cause?: unknown): unknown {
  if (error instanceof QuorateError || !(error instanceof Error)) return error;
  const code = (error as Error & { code?: unknown }).code;
  if (typeof code !== 'string') return error;
  const options = cause === undefined ? undefined : { cause };
  const known = CLASS_OF.get(code);
  if (known) return new known(code as ErrorCode, error.message, options);
  // Node-API's own word for an argument that is not of the native class.
  if (code === 'InvalidArg' || code.endsWith('Expected')) {
    return new InvalidInput('invalid_argument', error.message, options);
  }
  return error;
}

/** @internal The error of a code that the native half has told. */
export function errorOf(code: string, message: string): QuorateError {
  return new (CLASS_OF.get(code) ?? QuorateError)(code as ErrorCode, message);
}

/** @internal The code and the message of an error of quorate, for the native half; nothing of anything else, even of what cannot be asked. */
export function codeOf(error: unknown): { code: ErrorCode; message: string } | undefined {
  try {
    if (!(error instanceof QuorateError) || !CLASS_OF.has(error.code)) return undefined;
    return { code: error.code, message: String(error.message) };
  } catch {
    return undefined;
  }
}

/** @internal */
export function invalid(message: string, options?: ErrorOptions): InvalidInput {
  return new InvalidInput('invalid_argument', message, options);
}
