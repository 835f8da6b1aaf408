// Who hears that something has happened, and how is nothing missed?

import type * as Native from '../../native.js';
import { options as checked, now, parse, settle, shown } from '../call.js';
import { invalid } from '../errors.js';
import { native } from '../native.js';
import {
  type Handler,
  MADE,
  type NackOptions,
  type QueueRetry,
  type QueueStats,
  type WaitWorkersOptions,
  type WorkQueueOptions,
  type Workers,
  idsOf,
  leaseOf,
  retryOf,
  worked,
} from './queue.js';

/** An event, as whoever is subscribed to it gets it. */
export interface BusEvent<T = any> {
  /** Its number among the events, from 1. */
  seq: number;
  /** What has happened: words with dots between them. */
  subject: string;
  /** What it happened to: events with the same key stay in their order. */
  key: string | null;
  /** What is to be known of it. */
  data: T;
  /** When it was published, in seconds since 1970. */
  time: number;
  /** How often the group was given it, with this time. */
  attempts: number;
  /** By what it is held: what settles it. */
  lease: string;
  /** When the lease runs out unless it is renewed, in seconds since 1970. */
  leaseUntil: number;
}

/** An event that a group was given too often. */
export interface DeadEvent<T = any> {
  /** Its number among the events. */
  seq: number;
  /** What has happened; empty where the event is damaged, which `reason` says then. */
  subject: string;
  /** What it happened to. */
  key: string | null;
  /** What is to be known of it. */
  data: T;
  /** When it was published, in seconds since 1970. */
  time: number;
  /** How often the group was given it. */
  attempts: number;
  /** When it was put aside. */
  diedAt: number;
  /** Why it was not acknowledged the last time. */
  reason: string;
}

/** How a group is subscribed. */
export interface SubscribeOptions {
  /** Whose members share the events of one pattern. Default `default`. */
  group?: string | null;
  /** Where a new group begins: with the next event, the first that is kept, or one by its number. Default `last`. */
  from?: 'last' | 'first' | number | null;
  /** The most events that the group works at at once. Default: any number. */
  concurrency?: number | null;
  /** The most events that the group gets in any stretch of time: `100/m`. */
  rate?: string | null;
  /** How long whoever took an event holds it without a sign. Default 30 seconds. */
  lease?: number | string | null;
  /** How often the group is given an event. Default 5 times; 1 s, doubled, at most 1 h. */
  retry?: QueueRetry | null;
  /** How many events its handler works at at once. Default 1. */
  threads?: number | null;
  /** How often somebody who has nothing to do looks again. Default 0.05. */
  poll?: number | string | null;
}

/** Which events may be forgotten. */
export interface PruneEventsOptions {
  /** Those that are older: seconds, or a span such as `30d`. */
  olderThan?: number | string | null;
  /** All but the newest so many. */
  keep?: number | null;
}

/** The events that a group was given too often. */
export class DeadEvents {
  readonly #native: Native.Line;

  /** @internal */
  constructor(made: typeof MADE, of: Native.Line) {
    if (made !== MADE) throw invalid('the dead events are those of a Subscription');
    this.#native = of;
  }

  /** All of them, in the order of their numbers. Codes: `corrupt`, `io`. */
  async list(): Promise<DeadEvent[]> {
    return parse(await settle(() => this.#native.dead()));
  }

  /**
   * Gives them to the group again as if they had not been tried; how many: all or, with an error, none. Codes: `unknown_id` when one is not
   * dead; `invalid_argument`, `locked`, `io`.
   */
  async replay(seqs: readonly (number | DeadEvent)[]): Promise<number> {
    return settle(async () => this.#native.replay(idsOf(seqs, 'seq')));
  }

  /** Gives them up; how many. The events stay with the store until they are pruned. Codes: those of `replay`. */
  async discard(seqs: readonly (number | DeadEvent)[]): Promise<number> {
    return settle(async () => this.#native.discard(idsOf(seqs, 'seq')));
  }
}

let handled: (of: Subscription, workers: Workers) => void;

/**
 * A group's events of one pattern, which each go to one of its members. The group hears events also while nobody works at them. Made by
 * `store.events.subscribe(pattern, handler)`.
 */
export class Subscription {
  /** Which subjects it hears of. */
  readonly pattern: string;
  /** Whose members share the events. */
  readonly group: string;
  /** The events that the group was given too often. */
  readonly dead: DeadEvents;
  readonly #native: Native.Line;
  readonly #store: object;
  #workers: Workers | undefined;

  static {
    handled = (of, workers) => {
      of.#workers = workers;
    };
  }

  /** @internal */
  constructor(made: typeof MADE, of: Native.Line, store: object, pattern: string, group: string) {
    if (made !== MADE) throw invalid('a subscription is made by the subscribe of Events');
    this.#native = of;
    this.#store = store;
    this.pattern = pattern;
    this.group = group;
    this.dead = new DeadEvents(MADE, of);
  }

  /** What calls the handler that it was subscribed with. */
  get workers(): Workers | undefined {
    return this.#workers;
  }

  /** Takes at most so many events, in the order of their numbers; of those with one key, one at a time. */
  async take<T = any>(n: number = 1): Promise<BusEvent<T>[]> {
    return parse(await settle(() => this.#native.take(n)));
  }

  /** Says that an event is worked off: the group does not get it again. Code: `stale_write`. */
  async ack(event: BusEvent): Promise<void> {
    await settle(async () => this.#native.ack(leaseOf(event, 'the event')));
  }

  /**
   * Gives an event back: the group gets it after `delay`, and those with its key wait for it. After the last attempt it is dead for the group;
   * whether it is. Code: `stale_write`.
   */
  async nack(event: BusEvent, options?: NackOptions | null): Promise<boolean> {
    const given = checked(options, ['delay', 'reason']);
    return settle(async () => this.#native.nack(leaseOf(event, 'the event'), given));
  }

  /** Has a lease begin anew; until when it lasts. Code: `stale_write`. */
  async renew(event: BusEvent): Promise<number> {
    return settle(async () => this.#native.renew(leaseOf(event, 'the event')));
  }

  /** Works events off in the background, as `work` of a queue does. Codes: `invalid_argument`, `io`. */
  async work<T = any>(handler: Handler<BusEvent<T>>, options?: WorkQueueOptions | null): Promise<Workers> {
    return worked(this.#store, this.#native, handler, checked(options, ['retry', 'threads', 'poll']));
  }

  /** How many of the group's events stand where. Code: `unknown_id`. */
  async stats(): Promise<QueueStats> {
    return parse(await settle(() => this.#native.stats()));
  }

  /** Ends the subscription for the whole group, with all that it has before it; whether it was there. Codes: `locked`, `io`. */
  async delete(): Promise<boolean> {
    return settle(() => this.#native.delete());
  }

  /** Has the handler called no more, and waits until what is being worked at is settled; whether it is. The group stays subscribed. */
  async drain(options?: WaitWorkersOptions | null): Promise<boolean> {
    checked(options, ['timeout', 'signal']);
    return this.#workers ? this.#workers.drain(options) : true;
  }

  /** The same, and tells the handler to end. */
  async stop(options?: WaitWorkersOptions | null): Promise<boolean> {
    checked(options, ['timeout', 'signal']);
    return this.#workers ? this.#workers.stop(options) : true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }
}

/** The events of a store: who is subscribed to one gets it at least once, also after a crash: `store.events`. */
export class Events {
  readonly #native: Native.EventBus;
  readonly #store: object;

  /** @internal */
  constructor(made: typeof MADE, store: object, half: Native.StateStore) {
    if (made !== MADE) throw invalid('events are those of a StateStore');
    this.#store = store;
    this.#native = now(() => native.EventBus.of(half));
  }

  /**
   * Writes an event, and puts it before every group that is subscribed to its subject, all or nothing; its number. It is on the disk when this
   * resolves. `key`: what it happened to: events with the same key stay in their order. Codes: `invalid_argument`, `not_finite`, `too_large`,
   * `invalid_text`; `locked`, `io`, `disk_full`.
   */
  async publish(subject: string, data?: unknown, options?: { key?: string | null } | null): Promise<number> {
    const { key } = checked(options, ['key']);
    return settle(() => this.#native.publish(subject, data, key));
  }

  /**
   * Subscribes a group to the subjects that match: `*` is any one word, and `>` or `**` at the end is one or more. The handler is called in the
   * background; without one, `take` gives the events. Codes: `invalid_argument`, `too_large`; `locked`, `io`, `corrupt`.
   */
  async subscribe<T = any>(pattern: string, handler?: Handler<BusEvent<T>> | null, options?: SubscribeOptions | null): Promise<Subscription> {
    const { threads, poll, retry, ...given } = checked(options, ['group', 'from', 'concurrency', 'rate', 'lease', 'retry', 'threads', 'poll']);
    if (handler !== undefined && handler !== null && typeof handler !== 'function') {
      throw invalid(`the handler is ${shown(handler)}; a function is expected`);
    }
    const half = await settle(async () => this.#native.subscribe(pattern, { ...given, retry: retryOf(retry, 'retry') }));
    const made = new Subscription(MADE, half, this.#store, pattern, given.group ?? 'default');
    if (handler) handled(made, await worked(this.#store, half, handler, { threads: threads ?? null, poll: poll ?? null }));
    return made;
  }

  /** The groups that are subscribed. Codes: `corrupt`, `io`, `locked`. */
  async subscriptions(): Promise<{ group: string; pattern: string }[]> {
    return parse(await settle(() => this.#native.subscriptions()));
  }

  /**
   * Puts kept events before the groups once more, as far as they match; how many deliveries that makes. `since`: the number of an event, or a
   * Date. `group`: of this one alone. Codes: `invalid_argument`, `corrupt`, `locked`, `io`.
   */
  async replay(since: number | Date, options?: { group?: string | null } | null): Promise<number> {
    const { group } = checked(options, ['group']);
    const time = since instanceof Date;
    return settle(() => this.#native.replay(time ? since.getTime() / 1000 : since, time, group));
  }

  /**
   * Forgets events, as far as no group has them before it; how many. No file has a byte of them then. Codes: `invalid_argument` where nothing
   * says which; `locked`, `io`, `corrupt`.
   */
  async prune(options: PruneEventsOptions): Promise<number> {
    const given = checked(options, ['olderThan', 'keep']);
    return settle(() => this.#native.prune(given));
  }

  /** The number of the newest event, 0 before the first. Codes: `corrupt`, `io`, `locked`. */
  async last(): Promise<number> {
    return settle(() => this.#native.last());
  }
}
