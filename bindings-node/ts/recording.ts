// How is what models were asked and answered kept, and given again without a network?

import type * as Native from '../native.js';
import { options as checked, place, settle } from './call.js';
import { native } from './native.js';

/** A recording or a replay that is under way, until it is closed. There is one at a time in a process. */
export class Recording {
  readonly #native: Native.Session;

  /** @internal */
  constructor(of: Native.Session) {
    this.#native = of;
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#native.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Writes every request to a model or tool in this process, and its answer, to a file of JSON lines, which is begun anew. `redact`:
 * names of fields whose values are not written; keys of services never are. Codes: `duplicate_id` when one is under way, `io`.
 */
export async function record(path: string | URL, options?: { redact?: readonly string[] | null } | null): Promise<Recording> {
  const { redact } = checked(options, ['redact']);
  return new Recording(await settle(() => native.record(place(path), redact ?? [])));
}

/**
 * Answers every request from a file that {@link record} has written; nothing is sent. A request that is not in the file fails with
 * code `replay_mismatch` and the difference. Codes: `duplicate_id`, `not_found`, `corrupt`, `format_version`, `too_large`.
 */
export async function replay(path: string | URL): Promise<Recording> {
  return new Recording(await settle(() => native.replay(place(path))));
}
