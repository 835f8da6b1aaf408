import type { Abortable } from '../embed.js';
import { type QuorateError } from '../errors.js';
import { Retry } from './forms.js';
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
/**
 * What works something off in the background, until it is told to end or its store is closed. It goes on also where nobody keeps it, and does
 * not keep the process alive; `await workers.wait()` does.
 */
export declare class Workers {
    #private;
    /** Takes nothing more, and waits until what is being worked at is settled; whether it is. */
    drain(options?: WaitWorkersOptions | null): Promise<boolean>;
    /** The same, and tells the handlers to end: their signals are aborted. */
    stop(options?: WaitWorkersOptions | null): Promise<boolean>;
    /** Waits until they were told to end and have; whether they have. What a process that only works calls. */
    wait(options?: WaitWorkersOptions | null): Promise<boolean>;
    /** How many messages are being worked at. */
    get working(): number;
    /** What went wrong last with the store, rather than with a message. */
    get error(): QuorateError | undefined;
    [Symbol.asyncDispose](): Promise<void>;
}
/** The messages of a queue that were tried too often. */
export declare class Dead {
    #private;
    /** All of them, in the order of their numbers. Codes: `unknown_id` when the queue was deleted; `corrupt`, `io`. */
    list(): Promise<DeadMessage[]>;
    /**
     * Puts messages back into the queue as if they had not been tried; how many: all of them or, with an error, none. Codes: `unknown_id` when
     * one is not dead; `invalid_argument`, `locked`, `io`.
     */
    replay(ids: readonly (number | DeadMessage)[]): Promise<number>;
    /** Removes messages; how many: all of them or, with an error, none. No file has a byte of them then. Codes: those of `replay`. */
    discard(ids: readonly (number | DeadMessage)[]): Promise<number>;
}
/**
 * A durable queue. Whoever takes a message holds its lease until it is acknowledged or given back; when the lease runs out, or its process
 * ends, somebody else gets it. So each message is worked off at least once. Made by `store.queue(name, options)`.
 */
export declare class Queue {
    #private;
    /** Its name. */
    readonly name: string;
    /** The messages that were tried too often. */
    readonly dead: Dead;
    /** What holds for the queue, for all who use it. Code: `unknown_id` when it was deleted. */
    options(): Promise<QueueOptions>;
    /**
     * Puts a message, JSON. It is on the disk when this resolves. Codes: `invalid_argument`, `not_finite`, `too_large`, `invalid_text`;
     * `unknown_id` when the queue was deleted; `locked`, `io`, `disk_full`.
     */
    put(payload: unknown, options?: PutOptions | null): Promise<PutReport>;
    /**
     * Takes at most so many messages: those that are due, the most urgent first, as far as the limits allow. Codes: `corrupt` for one that is
     * damaged, which is dead then; `unknown_id`, `locked`, `io`.
     */
    take<T = any>(n?: number): Promise<QueueMessage<T>[]>;
    /** Says that a message is worked off. Code: `stale_write` when its lease was lost: somebody else may have it. */
    ack(message: QueueMessage): Promise<void>;
    /**
     * Gives a message back: somebody gets it after `delay`. After the last attempt it is put aside as dead, with `reason`; whether it was. Code:
     * `stale_write`.
     */
    nack(message: QueueMessage, options?: NackOptions | null): Promise<boolean>;
    /** Puts a message aside as dead, whatever attempts are left. Code: `stale_write`. */
    reject(message: QueueMessage, reason: string): Promise<void>;
    /** Has a lease begin anew; until when it lasts, in seconds since 1970. Code: `stale_write`. */
    renew(message: QueueMessage): Promise<number>;
    /**
     * Works messages off in the background. A message is acknowledged where the handler returns, and given back where it throws; its lease is
     * renewed meanwhile. Codes: `invalid_argument`, `io`.
     */
    work<T = any>(handler: Handler<QueueMessage<T>>, options?: WorkQueueOptions | null): Promise<Workers>;
    /** How many messages stand where. Code: `unknown_id`. */
    stats(): Promise<QueueStats>;
    /** Removes the queue with all that is in it; whether it was there. Codes: `locked`, `io`. */
    delete(): Promise<boolean>;
}
