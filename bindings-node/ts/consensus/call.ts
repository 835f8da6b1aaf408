// How is a method of consensus called?

import { abortable, now as atOnce, parse } from '../call.js';
import { refine } from '../errors.js';
import { native } from '../native.js';
import type { Named } from './data.js';

/** @internal A method on another thread, whose result is a report. `read`: makes the arguments, and may refuse them. */
export async function report<T>(method: string, read: () => Named): Promise<T> {
  return parse(await run<string>(method, read));
}

/** @internal A method on another thread. */
export async function run<T>(method: string, read: () => Named): Promise<T> {
  let given: { signal?: unknown } & Named;
  try {
    given = read();
  } catch (error) {
    throw refine(error);
  }
  const { signal, ...args } = given;
  return (await abortable(signal as AbortSignal | null | undefined, true, (cancel) => native.consensus(method, args, cancel))) as T;
}

/** @internal A method that takes well under a millisecond, at once. */
export function now<T>(method: string, args: Named): T {
  return atOnce(() => native.consensusNow(method, args)) as T;
}

/** @internal The same, whose result is a report. */
export function reportNow<T>(method: string, args: Named): T {
  return parse(now<string>(method, args));
}
