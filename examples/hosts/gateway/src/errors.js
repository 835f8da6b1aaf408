// Which status and which body does each error have?

import { STATUS_CODES } from 'node:http';

import { QuorateError } from 'quorate';

/** @type {Record<import('quorate').ErrorCode, number>} */
export const STATUS = {
  // What the caller sent cannot be used.
  invalid_argument: 422,
  invalid_shape: 422,
  not_finite: 422,
  empty_input: 422,
  invalid_document: 422,
  invalid_text: 422,
  filter_syntax: 422,
  filter_field: 422,
  query_syntax: 422,
  load_failed: 422,
  undefined: 422,
  too_large: 413,
  // It contradicts what is stored; whether the types of a filter fit depends on that too.
  filter_type: 409,
  duplicate_id: 409,
  duplicate_entry: 409,
  version_conflict: 409,
  include_cycle: 409,
  // It is not there, or not for this caller.
  not_found: 404,
  unknown_id: 404,
  unknown_capability: 404,
  read_only: 403,
  tenant_violation: 403,
  // The service cannot do it now.
  closed: 503,
  locked: 503,
  offline: 503,
  timeout: 504,
  remote_failed: 502,
  remote_invalid: 502,
  disk_full: 507,
  cancelled: 503,
  unsupported: 501,
  // The service is set up wrongly or broken; nothing the caller could change.
  model_invalid: 500,
  model_unsupported: 500,
  model_not_found: 500,
  embedder_mismatch: 500,
  corrupt: 500,
  format_version: 500,
  io: 500,
  permission_denied: 500,
  callback: 500,
  // Of language models, tools and runs.
  rate_limited: 503,
  circuit_open: 503,
  stream_incomplete: 502,
  context_overflow: 422,
  model_refused: 502,
  output_invalid: 502,
  tool_arguments: 422,
  tool_failed: 502,
  tool_timeout: 504,
  tool_unknown: 500,
  approval_required: 409,
  budget_exceeded: 409,
  budget_unpriced: 500,
  step_limit: 409,
  quorum_missed: 409,
  replay_mismatch: 500,
  run_conflict: 409,
  stale_write: 409,
  compensation_failed: 409,
  story_syntax: 422,
  no_template: 404,
  internal: 500,
};

/** Something that the gateway itself refuses. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {Record<string, string>} [headers]
   */
  constructor(status, code, message, headers = {}) {
    super(message);
    this.statusCode = status;
    this.code = code;
    this.headers = headers;
  }
}

/**
 * The status and the body (RFC 9457) for an error: of quorate, of the request's schema, of the gateway, or any other. What has failed in here
 * is told to nobody outside.
 *
 * @param {Error & { statusCode?: number, validation?: unknown, code?: string }} error
 * @returns {{ status: number, body: { type: string, title: string, status: number, code: string, detail: string } }}
 */
export function problem(error) {
  const { status, code, detail } = found(error);
  return { status, body: { type: `urn:quorate:code:${code}`, title: STATUS_CODES[status] ?? 'Error', status, code, detail } };
}

/** @param {Error & { statusCode?: number, validation?: unknown, code?: string }} error */
function found(error) {
  if (error instanceof QuorateError) {
    const status = STATUS[error.code] ?? 500;
    return { status, code: error.code, detail: status === 500 ? 'the gateway has failed' : error.message };
  }
  if (error instanceof Refused) return { status: error.statusCode, code: error.code, detail: error.message };
  if (error.validation) return { status: 422, code: 'invalid_request', detail: error.message };
  const status = error.statusCode ?? 500;
  const code = CODES[status] ?? (status < 500 ? 'invalid_request' : 'internal');
  return { status, code, detail: status < 500 ? error.message : 'the gateway has failed' };
}

/** The codes of statuses that the server gives by itself. @type {Record<number, string>} */
const CODES = { 404: 'not_found', 408: 'timeout', 413: 'too_large', 414: 'too_large', 415: 'unsupported', 431: 'too_large', 503: 'closed' };
