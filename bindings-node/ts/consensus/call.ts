// How is a method of consensus called?

import { now as atOnce, parse, settle } from '../call.js';
import { native } from '../native.js';
import type { Named } from './data.js';

/** @internal A method on another thread, whose result is a report. `read`: makes the arguments, and may refuse them. */
export async function report<T>(method: string, read: () => Named): Promise<T> {
  return parse(await run<string>(method, read));
}

/** @internal A method on another thread. */
export async function run<T>(method: string, read: () => Named): Promise<T> {
  return (await settle(() => native.consensus(method, read()))) as T;
}

/** @internal A method that takes well under a millisecond, at once. */
export function now<T>(method: string, args: Named): T {
  return atOnce(() => native.consensusNow(method, args)) as T;
}

/** @internal The same, whose result is a report. */
export function reportNow<T>(method: string, args: Named): T {
  return parse(now<string>(method, args));
}
