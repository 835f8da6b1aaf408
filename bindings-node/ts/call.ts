// How does a call reach the native half, stop at an AbortSignal, and fail with the right error?

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
