// How does work wait in line, and who works it off?

import type * as Native from '../../native.js';
import { abortable, bounded, hosting, options as checked, parse, reason, settle, shown } from '../call.js';
import type { Abortable } from '../embed.js';
import { Cancelled, type QuorateError, codeOf, errorOf, invalid } from '../errors.js';
import { native } from '../native.js';
import { type RetryOptions as GraphRetryOptions, Retry } from './forms.js';

/** How often something is tried, and how long it waits in between. Spans are seconds, or texts such as `2s`. */
export interface QueueRetryOptions {
  /** In all. */
  maxAttempts?: number | null;
  /** The pause after the first failure. */
  first?: number | string | null;
  /** By what each further pause is longer. */
  factor?: number | null;
  /** The longest pause. */
  longest?: number | string | null;
}

/** How often something is tried: a number of attempts, a {@link Retry}, or {@link QueueRetryOptions}. */
export type QueueRetry = number | Retry | QueueRetryOptions;

/** What holds for a queue, for all who use it. Spans are seconds, or texts such as `5m`. */
export interface QueueOptions {
  /** The most messages that are held at once. Default: any number. */
  concurrency?: number | null;
  /** The most with one key, or for each part of a key: `{ tenant: 1 }`. */
  perKey?: number | Readonly<Record<string, number>> | null;
  /** The most that are taken in any stretch of time: `100/m`, `5/s`, `20/10s`. */
  rate?: string | null;
  /** Waiting so long counts as much as one step of priority, so that nothing waits for ever. */
  aging?: number | string | null;
  /** How long whoever took a message holds it without a sign. Default 30 seconds. */
  lease?: number | string | null;
  /** How often a message is taken. Default 5 times; 1 s, doubled, at most 1 h. */
  retry?: QueueRetry | null;
  /** How long a name keeps others with the same name out. Default 1 day. */
  dedupFor?: number | string | null;
  /** Whether messages of one key go one after the other. Default false. */
  ordered?: boolean | null;
}

/** How a message is put. */
export interface PutOptions {
  /** The higher goes first. Default 0. */
  priority?: number | null;
  /** How long nobody takes it: seconds, or a text such as `5m`. */
  delay?: number | string | null;
  /** Of messages with the same name, the first counts. */
  dedup?: string | null;
  /** What it is counted by: a text, or texts by the names of its parts. Default: the fields of the payload that `perKey` names. */
  key?: string | Readonly<Record<string, string>> | null;
}

/** What came of putting a message. */
export interface PutReport {
  /** Its number in the queue; or that of the message that had its name before it. */
  id: number;
  /** Whether it is in the queue; false: its name kept it out. */
  new: boolean;
}

/** A message that somebody holds. */
export interface QueueMessage<T = any> {
  /** Its number in the queue. */
  id: number;
  /** What was put. */
  data: T;
  /** What it is counted by. */
  key: string | Record<string, string> | null;
  /** The higher went first. */
  priority: number;
  /** How often it was taken, with this time. */
  attempts: number;
  /** When it was put, in seconds since 1970. */
  putAt: number;
  /** By what it is held: what settles it. */
  lease: string;
  /** When the lease runs out unless it is renewed, in seconds since 1970. */
  leaseUntil: number;
}

/** A message that was tried too often. */
export interface DeadMessage<T = any> {
  /** Its number in the queue. */
  id: number;
  /** What was put; null where it is damaged, which `reason` says then. */
  data: T;
  /** What it is counted by. */
  key: string | Record<string, string> | null;
  /** Its priority. */
  priority: number;
  /** How often it was taken. */
  attempts: number;
  /** When it was put, in seconds since 1970. */
  putAt: number;
  /** When it was put aside. */
  diedAt: number;
  /** Why it was not worked off the last time. */
  reason: string;
}

/** How many messages stand where. */
export interface QueueStats {
  /** Those that are due and that nobody has. */
  ready: number;
  /** Those that nobody takes yet. */
  delayed: number;
  /** Those that somebody has. */
  held: number;
  /** Those that were put aside. */
  dead: number;
  /** Those that were worked off, ever. */
  done: number;
}

/** How something is given back. */
export interface NackOptions {
  /** After how long somebody gets it again. Default: the pause that the options say. */
  delay?: number | string | null;
  /** Why it was not worked off. */
  reason?: string | null;
}

/** How messages are worked off. */
export interface WorkQueueOptions {
  /** What becomes of a message at which the handler failed. Default: what the queue says. */
  retry?: QueueRetry | null;
  /** How many messages at once. Default 1. */
  threads?: number | null;
  /** How often somebody who has nothing to do looks again: seconds, or a text such as `1s`. Default 0.05. */
  poll?: number | string | null;
}

/** For how long workers are waited for. */
export interface WaitWorkersOptions extends Abortable {
  /** Seconds at most. Default: as long as it takes. */
  timeout?: number | null;
}

/** What a handler is told beside what it works off. */
export interface WorkContext {
  /** Aborted when the workers are to stop, and when the lease was lost: somebody else may have it then. */
  readonly signal: AbortSignal;
}

/** Works something off; it may be asynchronous. What it throws has it given back. */
export type Handler<T> = (one: T, context: WorkContext) => unknown;

/** @internal What is made by the package alone. */
export const MADE = Symbol('made');

/** All that work in this process: whoever does not keep what `work` gives has not stopped it. */
const working = new Map<Workers, object>();
let halfIn: (workers: Workers) => Native.Workers;

/** @internal How often something is tried, as the native half takes it. Code: `invalid_argument`. */
export function retryOf(given: unknown, what: string): unknown {
  if (!(given instanceof Retry)) return given;
  const { maxAttempts, initial, factor, longest, on } = given as GraphRetryOptions;
  if (on !== undefined && on !== null) throw invalid(`${what}: whether it is tried again does not depend on the error; leave out on`);
  return { maxAttempts: maxAttempts ?? 3, first: initial ?? 0.5, factor: factor ?? 2, longest: longest ?? 60 };
}

/** @internal By what something is held. Code: `invalid_argument`. */
export function leaseOf(given: unknown, what: string): string {
  const lease: unknown = typeof given === 'object' && given !== null ? (given as { lease?: unknown }).lease : undefined;
  if (typeof lease !== 'string') throw invalid(`${what} is ${shown(given)}; one that was taken is expected`);
  return lease;
}

/** @internal Numbers of what is dead, or the dead ones themselves. */
export function idsOf(given: unknown, member: string): unknown {
  if (!Array.isArray(given)) throw invalid(`ids are ${shown(given)}; an array of numbers of dead ones is expected`);
  const number = (one: unknown): unknown => (typeof one === 'object' && one !== null ? (one as Record<string, unknown>)[member] : one);
  return bounded(given as readonly unknown[], 'ids').map(number);
}

/** @internal Has a handler work a line off. */
export async function worked<T>(store: object, line: Native.Line, handler: Handler<T>, options: WorkQueueOptions): Promise<Workers> {
  if (typeof handler !== 'function') throw invalid(`the handler is ${shown(handler)}; a function is expected`);
  const { retry, ...given } = options;
  const [under, host] = [new Map<number, AbortController>(), hosting()];
  const call = (reply: Native.Reply, number: number, text: string): void => {
    const abort = new AbortController();
    under.set(number, abort);
    void host(async () => handler(parse<T>(text), { signal: abort.signal }))
      .then(
        () => reply.answer({}),
        (error: unknown) => reply.answer({ error: codeOf(error) ?? { code: 'callback', message: `the handler failed: ${reason(error)}` } }),
      )
      .finally(() => under.delete(number));
  };
  const stop = (number: number): void => {
    under.get(number)?.abort(new Cancelled('cancelled', 'the workers are to stop, or the lease was lost'));
  };
  const half = await settle(() => line.work(call, stop, { ...given, retry: retryOf(retry, 'retry') }));
  const made = new Workers(MADE, half);
  working.set(made, store);
  return made;
}

/** @internal A store is closed: its workers take nothing more, and what they are at goes on until it is settled. */
export function leave(store: object): void {
  for (const [workers, of] of working) {
    if (of === store && halfIn(workers).leave()) working.delete(workers);
  }
}

/**
 * What works something off in the background, until it is told to end or its store is closed. It goes on also where nobody keeps it, and does
 * not keep the process alive; `await workers.wait()` does.
 */
export class Workers {
  readonly #native: Native.Workers;

  static {
    halfIn = (workers) => workers.#native;
  }

  /** @internal */
  constructor(made: typeof MADE, of: Native.Workers) {
    if (made !== MADE) throw invalid('workers are made by the work of a Queue');
    this.#native = of;
  }

  /** Takes nothing more, and waits until what is being worked at is settled; whether it is. */
  async drain(options?: WaitWorkersOptions | null): Promise<boolean> {
    return this.#end(false, options);
  }

  /** The same, and tells the handlers to end: their signals are aborted. */
  async stop(options?: WaitWorkersOptions | null): Promise<boolean> {
    return this.#end(true, options);
  }

  /** Waits until they were told to end and have; whether they have. What a process that only works calls. */
  async wait(options?: WaitWorkersOptions | null): Promise<boolean> {
    const { timeout, signal } = checked(options, ['timeout', 'signal']);
    return abortable(signal, true, (cancel) => this.#native.wait(timeout, cancel));
  }

  /** How many messages are being worked at. */
  get working(): number {
    return this.#native.working;
  }

  /** What went wrong last with the store, rather than with a message. */
  get error(): QuorateError | undefined {
    const found = this.#native.error();
    return found ? errorOf(found[0]!, found[1]!) : undefined;
  }

  async #end(stop: boolean, options: WaitWorkersOptions | null | undefined): Promise<boolean> {
    const { timeout, signal } = checked(options, ['timeout', 'signal']);
    const done = await abortable(signal, true, (cancel) => this.#native.end(stop, timeout, cancel));
    if (done) working.delete(this);
    return done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }
}

/** The messages of a queue that were tried too often. */
export class Dead {
  readonly #native: Native.Line;

  /** @internal */
  constructor(made: typeof MADE, of: Native.Line) {
    if (made !== MADE) throw invalid('the dead messages are those of a Queue');
    this.#native = of;
  }

  /** All of them, in the order of their numbers. Codes: `unknown_id` when the queue was deleted; `corrupt`, `io`. */
  async list(): Promise<DeadMessage[]> {
    return parse(await settle(() => this.#native.dead()));
  }

  /**
   * Puts messages back into the queue as if they had not been tried; how many: all of them or, with an error, none. Codes: `unknown_id` when
   * one is not dead; `invalid_argument`, `locked`, `io`.
   */
  async replay(ids: readonly (number | DeadMessage)[]): Promise<number> {
    return settle(async () => this.#native.replay(idsOf(ids, 'id')));
  }

  /** Removes messages; how many: all of them or, with an error, none. No file has a byte of them then. Codes: those of `replay`. */
  async discard(ids: readonly (number | DeadMessage)[]): Promise<number> {
    return settle(async () => this.#native.discard(idsOf(ids, 'id')));
  }
}

/**
 * A durable queue. Whoever takes a message holds its lease until it is acknowledged or given back; when the lease runs out, or its process
 * ends, somebody else gets it. So each message is worked off at least once. Made by `store.queue(name, options)`.
 */
export class Queue {
  /** Its name. */
  readonly name: string;
  /** The messages that were tried too often. */
  readonly dead: Dead;
  readonly #native: Native.Line;
  readonly #store: object;

  /** @internal */
  constructor(made: typeof MADE, of: Native.Line, store: object, name: string) {
    if (made !== MADE) throw invalid('a queue is made by the queue of a StateStore');
    this.#native = of;
    this.#store = store;
    this.name = name;
    this.dead = new Dead(MADE, of);
  }

  /** What holds for the queue, for all who use it. Code: `unknown_id` when it was deleted. */
  async options(): Promise<QueueOptions> {
    return parse(await settle(() => this.#native.options()));
  }

  /**
   * Puts a message, JSON. It is on the disk when this resolves. Codes: `invalid_argument`, `not_finite`, `too_large`, `invalid_text`;
   * `unknown_id` when the queue was deleted; `locked`, `io`, `disk_full`.
   */
  async put(payload: unknown, options?: PutOptions | null): Promise<PutReport> {
    const given = checked(options, ['priority', 'delay', 'dedup', 'key']);
    return parse(await settle(() => this.#native.put(payload, given)));
  }

  /**
   * Takes at most so many messages: those that are due, the most urgent first, as far as the limits allow. Codes: `corrupt` for one that is
   * damaged, which is dead then; `unknown_id`, `locked`, `io`.
   */
  async take<T = any>(n: number = 1): Promise<QueueMessage<T>[]> {
    return parse(await settle(() => this.#native.take(n)));
  }

  /** Says that a message is worked off. Code: `stale_write` when its lease was lost: somebody else may have it. */
  async ack(message: QueueMessage): Promise<void> {
    await settle(async () => this.#native.ack(leaseOf(message, 'the message')));
  }

  /**
   * Gives a message back: somebody gets it after `delay`. After the last attempt it is put aside as dead, with `reason`; whether it was. Code:
   * `stale_write`.
   */
  async nack(message: QueueMessage, options?: NackOptions | null): Promise<boolean> {
    const given = checked(options, ['delay', 'reason']);
    return settle(async () => this.#native.nack(leaseOf(message, 'the message'), given));
  }

  /** Puts a message aside as dead, whatever attempts are left. Code: `stale_write`. */
  async reject(message: QueueMessage, reason: string): Promise<void> {
    await settle(async () => this.#native.reject(leaseOf(message, 'the message'), reason));
  }

  /** Has a lease begin anew; until when it lasts, in seconds since 1970. Code: `stale_write`. */
  async renew(message: QueueMessage): Promise<number> {
    return settle(async () => this.#native.renew(leaseOf(message, 'the message')));
  }

  /**
   * Works messages off in the background. A message is acknowledged where the handler returns, and given back where it throws; its lease is
   * renewed meanwhile. Codes: `invalid_argument`, `io`.
   */
  async work<T = any>(handler: Handler<QueueMessage<T>>, options?: WorkQueueOptions | null): Promise<Workers> {
    return worked(this.#store, this.#native, handler, checked(options, ['retry', 'threads', 'poll']));
  }

  /** How many messages stand where. Code: `unknown_id`. */
  async stats(): Promise<QueueStats> {
    return parse(await settle(() => this.#native.stats()));
  }

  /** Removes the queue with all that is in it; whether it was there. Codes: `locked`, `io`. */
  async delete(): Promise<boolean> {
    return settle(() => this.#native.delete());
  }
}

/** @internal A queue of a store. */
export function queueOf(store: object, half: Native.StateStore, name: string, options: QueueOptions): Queue {
  const { retry, ...given } = options;
  const line = native.Line.queue(half, name, { ...given, retry: retryOf(retry, 'retry') });
  return new Queue(MADE, line, store, name);
}
