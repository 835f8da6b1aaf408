import { type QueueRetry } from './queue.js';
/** How a saga is carried through. */
export interface SagaOptions {
    /** What becomes of it where its program ended in the middle of it: it is undone, or goes on. Default `undo`. */
    recover?: 'undo' | 'forward' | null;
    /** How often each undoing is tried. Default 3 times; 0.1 s, doubled. */
    undo?: QueueRetry | null;
}
/** How a step is done. */
export interface StepOptions<T = any> {
    /** Undoes it, given what the step gave; null where nobody knows whether it ended. It must stand it that there is nothing to undo. */
    undo?: ((value: T | null) => unknown) | null;
}
/** How far a saga is. `failed`: all of it is undone; `compensation_failed`: it could not be, and whoever opens it again tries again. */
export type SagaStatus = 'running' | 'done' | 'failed' | 'compensation_failed';
/**
 * Steps that are all done, or all undone: `await store.saga('order-7', async (s) => { await s.do('reserve', f, { undo: g }) })`.
 *
 * What the function throws has everything undone, in reverse order. After a crash whoever opens the saga again calls its steps again: those
 * that have ended give what they gave, and do not run.
 */
export declare class Saga {
    #private;
    /** Its name. */
    readonly name: string;
    /** How far it was when its last call ended. */
    get status(): SagaStatus;
    /**
     * Does a step, unless the journal has it, and gives what it gave, as JSON.
     *
     * Where it throws, those before it are undone, and this throws the same. Where one cannot be undone the status is `compensation_failed`, and
     * the message says both. Codes: `invalid_argument` for a name that was there, when the saga has ended, or a call of it is under way;
     * `cancelled` where it is undone since the program ended in the middle of it; `stale_write` when somebody else has taken it.
     */
    do<T = any>(name: string, step: () => T | PromiseLike<T>, options?: StepOptions<T> | null): Promise<T>;
    /** Says that all steps are done, as the end of the function does. Codes: why everything was undone, where it is to be. */
    finish(): Promise<void>;
    /** Undoes everything, as an error of the function does. Codes: `cancelled`, with why it could not be undone. */
    fail(reason: string): Promise<void>;
    /** Lets go of it as it is: whoever opens it again goes on, or undoes it. */
    close(): void;
    [Symbol.asyncDispose](): Promise<void>;
}
