// How is a method of consensus called?

import { abortable, now as atOnce, parse } from '../call.js';
import { refine } from '../errors.js';
import { native } from '../native.js';
import { MADE, type Named } from './data.js';

/** What the native half answers: a number, an array, JSON text, or members of which some are arrays beside the JSON of the others. */
function revived<T>(found: unknown): T {
  if (typeof found === 'string') return parse(found);
  if (typeof found !== 'object' || found === null || !('json' in found)) return found as T;
  const { json, ...arrays } = found;
  return { ...parse<object>(json as string), ...arrays } as T;
}

/** @internal A method on another thread. `read`: makes the arguments, and may refuse them. */
export async function report<T>(method: string, read: () => Named): Promise<T> {
  let given: Named;
  try {
    given = read();
  } catch (error) {
    throw refine(error);
  }
  const { signal, [MADE]: made, ...args } = given;
  return revived(await abortable(signal as AbortSignal | null | undefined, true, (cancel) => native.consensus(method, args, made, cancel)));
}

/** @internal A method that takes well under a millisecond, at once. */
export function now<T>(method: string, args: Named): T {
  return revived(atOnce(() => native.consensusNow(method, args)));
}

/** @internal What the native half of a model answers. */
export function answered<T>(found: unknown): T {
  return revived(found);
}
