import { type Handler, type NackOptions, type QueueRetry, type QueueStats, type WaitWorkersOptions, type WorkQueueOptions, type Workers } from './queue.js';
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
export declare class DeadEvents {
    #private;
    /** All of them, in the order of their numbers. Codes: `corrupt`, `io`. */
    list(): Promise<DeadEvent[]>;
    /**
     * Gives them to the group again as if they had not been tried; how many: all or, with an error, none. Codes: `unknown_id` when one is not
     * dead; `invalid_argument`, `locked`, `io`.
     */
    replay(seqs: readonly (number | DeadEvent)[]): Promise<number>;
    /** Gives them up; how many. The events stay with the store until they are pruned. Codes: those of `replay`. */
    discard(seqs: readonly (number | DeadEvent)[]): Promise<number>;
}
/**
 * A group's events of one pattern, which each go to one of its members. The group hears events also while nobody works at them. Made by
 * `store.events.subscribe(pattern, handler)`.
 */
export declare class Subscription {
    #private;
    /** Which subjects it hears of. */
    readonly pattern: string;
    /** Whose members share the events. */
    readonly group: string;
    /** The events that the group was given too often. */
    readonly dead: DeadEvents;
    /** What calls the handler that it was subscribed with. */
    get workers(): Workers | undefined;
    /** Takes at most so many events, in the order of their numbers; of those with one key, one at a time. */
    take<T = any>(n?: number): Promise<BusEvent<T>[]>;
    /** Says that an event is worked off: the group does not get it again. Code: `stale_write`. */
    ack(event: BusEvent): Promise<void>;
    /**
     * Gives an event back: the group gets it after `delay`, and those with its key wait for it. After the last attempt it is dead for the group;
     * whether it is. Code: `stale_write`.
     */
    nack(event: BusEvent, options?: NackOptions | null): Promise<boolean>;
    /** Has a lease begin anew; until when it lasts. Code: `stale_write`. */
    renew(event: BusEvent): Promise<number>;
    /** Works events off in the background, as `work` of a queue does. Codes: `invalid_argument`, `io`. */
    work<T = any>(handler: Handler<BusEvent<T>>, options?: WorkQueueOptions | null): Promise<Workers>;
    /** How many of the group's events stand where. Code: `unknown_id`. */
    stats(): Promise<QueueStats>;
    /** Ends the subscription for the whole group, with all that it has before it; whether it was there. Codes: `locked`, `io`. */
    delete(): Promise<boolean>;
    /** Has the handler called no more, and waits until what is being worked at is settled; whether it is. The group stays subscribed. */
    drain(options?: WaitWorkersOptions | null): Promise<boolean>;
    /** The same, and tells the handler to end. */
    stop(options?: WaitWorkersOptions | null): Promise<boolean>;
    [Symbol.asyncDispose](): Promise<void>;
}
/** The events of a store: who is subscribed to one gets it at least once, also after a crash: `store.events`. */
export declare class Events {
    #private;
    /**
     * Writes an event, and puts it before every group that is subscribed to its subject, all or nothing; its number. It is on the disk when this
     * resolves. `key`: what it happened to: events with the same key stay in their order. Codes: `invalid_argument`, `not_finite`, `too_large`,
     * `invalid_text`; `locked`, `io`, `disk_full`.
     */
    publish(subject: string, data?: unknown, options?: {
        key?: string | null;
    } | null): Promise<number>;
    /**
     * Subscribes a group to the subjects that match: `*` is any one word, and `>` or `**` at the end is one or more. The handler is called in the
     * background; without one, `take` gives the events. Codes: `invalid_argument`, `too_large`; `locked`, `io`, `corrupt`.
     */
    subscribe<T = any>(pattern: string, handler?: Handler<BusEvent<T>> | null, options?: SubscribeOptions | null): Promise<Subscription>;
    /** The groups that are subscribed. Codes: `corrupt`, `io`, `locked`. */
    subscriptions(): Promise<{
        group: string;
        pattern: string;
    }[]>;
    /**
     * Puts kept events before the groups once more, as far as they match; how many deliveries that makes. `since`: the number of an event, or a
     * Date. `group`: of this one alone. Codes: `invalid_argument`, `corrupt`, `locked`, `io`.
     */
    replay(since: number | Date, options?: {
        group?: string | null;
    } | null): Promise<number>;
    /**
     * Forgets events, as far as no group has them before it; how many. No file has a byte of them then. Codes: `invalid_argument` where nothing
     * says which; `locked`, `io`, `corrupt`.
     */
    prune(options: PruneEventsOptions): Promise<number>;
    /** The number of the newest event, 0 before the first. Codes: `corrupt`, `io`, `locked`. */
    last(): Promise<number>;
}
