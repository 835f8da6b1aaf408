// How does a call reach the native half, stop at an AbortSignal, and fail with the right error?

import { builtin } from './builtin.js';
import { Cancelled, InvalidInput, invalid, refine } from './errors.js';
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

/** Is this a signal, and not only an object of its class? */
function isSignal(given: unknown): given is AbortSignal {
  try {
    return given instanceof AbortSignal && typeof given.aborted === 'boolean';
  } catch {
    return false;
  }
}

/** @internal Refuses what is given as the `signal` of a call and is none. */
export function checkSignal(given: unknown): void {
  if (given !== undefined && given !== null && !isSignal(given)) throw invalid('signal is not an AbortSignal');
}

/** @internal The error of a call that its caller has aborted; `report`: what was done by then. */
export function cancelled(signal: AbortSignal, report?: object): Cancelled {
  const error = new Cancelled('cancelled', 'the work was cancelled by its caller', { cause: signal.reason });
  return report ? Object.defineProperty(error, 'report', { value: report }) : error;
}

/** What an abort of a signal ends, and its one listener. */
const watched = new WeakMap<AbortSignal, { ends: Set<() => void>; abort: () => void }>();

/**
 * @internal Has an abort end something, and gives what ends that. However many calls share a signal, it has one listener: of more
 * than ten Node warns.
 */
export function onAbort(signal: AbortSignal, end: () => void): () => void {
  const known = watched.get(signal) ?? { ends: new Set(), abort: () => known.ends.forEach((one) => one()) };
  const { ends, abort } = known;
  if (ends.size === 0) {
    watched.set(signal, known);
    signal.addEventListener('abort', abort, { once: true });
  }
  ends.add(end);
  return () => {
    if (!ends.delete(end) || ends.size > 0) return;
    watched.delete(signal);
    signal.removeEventListener('abort', abort);
  };
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
  checkSignal(signal);
  if (signal === undefined || signal === null) return settle(() => start());
  if (signal.aborted) throw cancelled(signal);
  const cancel = new native.Cancel();
  let leave = () => {};
  let hold: NodeJS.Timeout | undefined;
  const aborted = new Promise<never>((_, reject) => {
    leave = onAbort(signal, () => {
      cancel.cancel();
      if (giveUp) reject(cancelled(signal));
      // A function that never answers holds no process; that the call has ended is still to be told.
      else hold = setTimeout(() => {}, 10_000);
    });
  });
  try {
    return await settle(() => Promise.race([start(cancel), aborted]));
  } catch (error) {
    throw error instanceof Cancelled && signal.aborted ? cancelled(signal) : error;
  } finally {
    leave();
    clearTimeout(hold);
  }
}

/** @internal The options of a call; `undefined` and `null` are none. There are none but `names`, where those are given. */
export function options<T extends object>(given: T | null | undefined, names?: readonly string[]): T {
  if (given === undefined || given === null) return {} as T;
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw invalid(`options are ${Array.isArray(given) ? 'an array' : `a ${typeof given}`}; an object is expected`);
  }
  if (names) {
    const unknown = Object.entries(given).find(([name, value]) => value !== undefined && !names.includes(name));
    if (unknown) throw invalid(`options have no ${shown(unknown[0])}`);
  }
  return given;
}

/** @internal A place in the file system: text, or a file URL. */
export function place(given: string | URL): string {
  if (!(given instanceof URL)) return given;
  if (given.protocol !== 'file:') return given.href;
  try {
    return decodeURIComponent(given.pathname);
  } catch (cause) {
    throw new InvalidInput('invalid_text', `${given.href} does not name a file: what it encodes is not valid Unicode`, { cause });
  }
}

/** @internal A report of the native half. */
export function parse<T>(json: string): T {
  return JSON.parse(json, json.includes('$big"') ? big : undefined) as T;
}

/** `{ $big: digits }` as a BigInt; keys of the users' own that look like the mark come with one more `$`. */
function big(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const digits = (value as { $big?: unknown }).$big;
  if (typeof digits === 'string' && /^-?\d+$/.test(digits)) return BigInt(digits);
  if (Array.isArray(value) || !Object.keys(value).some(isEscaped)) return writable(value);
  return writable(Object.fromEntries(Object.entries(value).map(([key, member]) => [isEscaped(key) ? key.slice(1) : key, member])));
}

const isEscaped = (key: string): boolean => /^\$\$+big$/.test(key);

/** @internal A BigInt as its digits, since JSON.stringify refuses it; anything else as it is. */
export function written<T>(value: T): T | string {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** @internal The same value, which JSON.stringify can write also when it is an array or an object that holds BigInts. */
export function writable<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.hasOwn(value, 'toJSON')) return value;
  if (!Object.values(value).some((member) => typeof member === 'bigint')) return value;
  // It is not enumerable: no member of the value.
  return Object.defineProperty(value, 'toJSON', { value: plain });
}

function plain(this: object): unknown {
  if (Array.isArray(this)) return this.map(written);
  return Object.fromEntries(Object.entries(this).map(([name, member]) => [name, written(member)]));
}

/** @internal What an object says of itself for JSON, where it is not {@link writable} that says it: the native half takes BigInts as they are. */
export function jsonOf(value: object): ((key: string) => unknown) | undefined {
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === 'function' && toJSON !== plain ? (key) => toJSON.call(value, key) : undefined;
}

/** The most items of an array; the native half has the same bound. */
const MOST_ITEMS = 2 ** 24;

/** @internal An array of which every item can be looked at: it may say that it is longer than all memory, and hold nothing. */
export function bounded<T extends ArrayLike<unknown>>(given: T, what: string): T {
  if (Array.isArray(given) && given.length > MOST_ITEMS) {
    throw new InvalidInput('too_large', `${what} has ${given.length} items; at most ${MOST_ITEMS} are taken, of typed arrays more`);
  }
  return given;
}

/** Of a proxy that has been revoked nothing can be asked. */
function isArray(value: object): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** @internal A value for a message: what it is, where saying it could fail or be long. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 100)}'`;
  if (typeof value === 'object' && value !== null) return isArray(value) ? 'an array' : 'an object';
  if (typeof value === 'bigint') return 'a BigInt';
  return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : String(value);
}

/** @internal What a function of the host has failed with, for a message; asking it may fail too. */
export function reason(error: unknown): string {
  try {
    return String(error).slice(0, 300);
  } catch {
    return shown(error);
  }
}

/** How many calls with functions of the host run at a time; further ones wait, except those that such a function makes itself. */
const CALLING_BACK = 256;

/** Whether this code runs in a function of the host that native work waits for. */
const { AsyncLocalStorage } = builtin('node:async_hooks');
const inside = new AsyncLocalStorage<boolean>();
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
export type Hosting = <T>(call: () => T | PromiseLike<T>) => Promise<T>;

/**
 * @internal What calls functions of the host with the AsyncLocalStorage of whoever asks for it now. Without it they would see the one
 * in which the package was first used: in a server, that of another request.
 */
export function hosting(): Hosting {
  const within = AsyncLocalStorage.snapshot();
  const host = <T>(call: () => T | PromiseLike<T>) =>
    new Promise<T>((resolve, reject) => within(() => {
      try {
        resolve(inside.run(true, call));
      } catch (error) {
        reject(error);
      }
    }));
  return host;
}

/** Who asks, by number, as long as somebody holds it. */
const askers = new Map<number, WeakRef<Hosting>>();
const gone = new FinalizationRegistry((number: number) => askers.delete(number));
let numbers = 0;

/** @internal The number by which the native half tells tools who asks. */
export function numbered(host: Hosting): number {
  numbers = (numbers + 1) % 2 ** 32;
  askers.set(numbers, new WeakRef(host));
  gone.register(host, numbers);
  return numbers;
}

/** @internal Who asks, by that number. */
export function askerOf(number: number | null | undefined): Hosting | undefined {
  return typeof number === 'number' ? askers.get(number)?.deref() : undefined;
}
