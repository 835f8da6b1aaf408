// Which native half belongs to an object of the package, and what does it need as long as it is there?

import type * as Native from '../native.js';
import { admitted } from './call.js';
import { invalid } from './errors.js';

/**
 * @internal What an object needs as long as it is there: functions of the host, and other objects that it uses. The native half does not
 * hold functions of the host, so that one that refers to its model or runtime is let go with it.
 */
export const kept = new WeakMap<object, unknown>();

/** What calls that are under way need. */
const busy = new Set<unknown>();

/** @internal Runs a call that may call functions of the host, which stay there, with `keep`, as long as it is under way. */
export async function holding<T>(keep: unknown, work: () => Promise<T>): Promise<T> {
  const call = [keep];
  busy.add(call);
  try {
    return await admitted(true, work);
  } finally {
    busy.delete(call);
  }
}

/** @internal Models by the objects that users hold. */
export const models = new WeakMap<object, Native.LanguageModel>();

/** @internal The models that call functions of the host. */
export const callers = new WeakSet<Native.LanguageModel>();

/** @internal Knowledge bases. */
export const bases = new WeakMap<object, Native.KnowledgeBase>();

/** @internal Engines of workflows. */
export const engines = new WeakMap<object, Native.WorkflowEngine>();

/** @internal Registries. */
export const registries = new WeakMap<object, Native.AgentRegistry>();

/** @internal The native half of an object. Code: `invalid_argument`. */
export function halfOf<T>(halves: WeakMap<object, T>, of: unknown, what: string, kind: string): T {
  const found = typeof of === 'object' && of !== null ? halves.get(of) : undefined;
  if (!found) throw invalid(`${what} is not ${kind}`);
  return found;
}

/** @internal The same of what may be missing. */
export function maybeHalfOf<T>(halves: WeakMap<object, T>, of: unknown, what: string, kind: string): T | undefined {
  return of === undefined || of === null ? undefined : halfOf(halves, of, what, kind);
}
