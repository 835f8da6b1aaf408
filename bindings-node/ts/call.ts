// How does a call reach the native half, stop at an AbortSignal, and fail with the right error?

import { builtin } from './builtin.js';
import { Cancelled, invalid, refine } from './errors.js';
import { native } from './native.js';

/** @internal What a native call resolves with; its errors are those of quorate. */
export async function settle<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    throw refine(error);
  }
}

/** @internal The same at once. */
export function now<T>(start: () => T): T {
  try {
    return start();
  } catch (error) {
    throw refine(error);
  }
}

type Cancel = InstanceType<typeof native.Cancel>;

function cancelled(signal: AbortSignal): Cancelled {
  return new Cancelled('cancelled', 'the work was cancelled by its caller', { cause: signal.reason });
}

/**
 * @internal Runs a native call that `signal` stops.
 *
 * `giveUp`: whether the Promise is rejected at once. Otherwise it waits for what the native half says, because a write that
 * was too far to stop has happened.
 */
export async function abortable<T>(
  signal: AbortSignal | null | undefined,
  giveUp: boolean,
  start: (cancel?: Cancel) => Promise<T>,
): Promise<T> {
  if (signal === undefined || signal === null) return settle(() => start());
  if (!(signal instanceof AbortSignal)) throw invalid('signal is not an AbortSignal');
  if (signal.aborted) throw cancelled(signal);
  const cancel = new native.Cancel();
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      cancel.cancel();
      if (giveUp) reject(cancelled(signal));
    };
  });
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await settle(() => Promise.race([start(cancel), aborted]));
  } catch (error) {
    throw error instanceof Cancelled && signal.aborted ? cancelled(signal) : error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** @internal The options of a call; `undefined` and `null` are none. */
export function options<T extends object>(given: T | null | undefined): T {
  if (given === undefined || given === null) return {} as T;
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw invalid(`options are ${Array.isArray(given) ? 'an array' : `a ${typeof given}`}; an object is expected`);
  }
  return given;
}

/** @internal A place in the file system: text, or a file URL. */
export function place(given: string | URL): string {
  if (!(given instanceof URL)) return given;
  if (given.protocol !== 'file:') return given.href;
  return decodeURIComponent(given.pathname);
}

/** @internal A report of the native half. */
export function parse<T>(json: string): T {
  return JSON.parse(json, json.includes('"$big"') ? big : undefined) as T;
}

function big(_: string, value: unknown): unknown {
  const digits = (value as { $big?: unknown } | null)?.$big;
  return typeof digits === 'string' ? BigInt(digits) : value;
}

/** How many calls with functions of the host run at a time; further ones wait, except those that such a function makes itself. */
const CALLING_BACK = 256;

/** Whether this code runs in a function of the host that native work waits for. */
const inside = new (builtin('node:async_hooks').AsyncLocalStorage)<boolean>();
let callingBack = 0;
const later: (() => void)[] = [];

/** @internal Runs `work`, which calls functions of the host and waits for them, when there is a place for it. */
export async function admitted<T>(callsBack: boolean, work: () => Promise<T>): Promise<T> {
  // What is called from such a function must not wait for a place behind the call that waits for it.
  if (!callsBack || inside.getStore()) return work();
  if (callingBack >= CALLING_BACK) await new Promise<void>((resolve) => later.push(resolve));
  else callingBack += 1;
  try {
    return await work();
  } finally {
    const next = later.shift();
    if (next) next();
    else callingBack -= 1;
  }
}

/** @internal Calls a function of the host that native work waits for; it may be asynchronous, and may throw before it is. */
export function hosted<T>(call: () => T | PromiseLike<T>): Promise<T> {
  return new Promise<T>((resolve) => resolve(inside.run(true, call)));
}
