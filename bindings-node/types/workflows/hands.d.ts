import { RuntimeTool } from '../tools.js';
/** What a function is told about a call. */
export interface StepContext {
    /** The run. */
    readonly runId: string;
    /** The step. */
    readonly step: string;
    /** How often the step was come to, from 1. */
    readonly visit: number;
    /** The attempt of this visit, from 1. */
    readonly attempt: number;
    /** What is called, by its whole name: `openfda.search`. */
    readonly name: string;
    /** The same for each attempt at this call, and for no other: what makes a repeated call harmless. */
    readonly idempotencyKey: string;
    /** On whose behalf. */
    readonly tenant: string | null;
    /** Aborted when nobody waits for the result any more: the step was cancelled, is over its time, or was left by a loop. */
    readonly signal: AbortSignal;
}
/** Does what a step asks for. `args`: what stands there, with its templates filled in. It may be asynchronous. */
export type ToolFunction<A = any> = (args: A, context: StepContext) => unknown;
/** How often something is tried, as in a workflow. Spans are seconds, or texts such as `2s`. */
export interface ToolRetryOptions {
    /** In all, 1 to 100. Default 3. */
    maxAttempts?: number;
    /** The wait before the second one. Default 1 second. */
    backoff?: number | string;
    /** By how much each later wait is longer. Default 2. */
    factor?: number;
    /** The longest wait. Default 1 hour. */
    maxBackoff?: number | string;
    /** Whether waits are drawn from 0 to their length. Default `full`. */
    jitter?: 'full' | 'none';
    /** Codes of errors, or families of codes, that are worth another attempt. Default `unavailable`, `timeout`. */
    retryOn?: readonly string[];
}
/** When a tool that keeps failing is left alone: its calls fail with `circuit_open` then, at once. */
export declare class Breaker {
    /** So many failures in a row, and it is left alone. */
    readonly failures: number;
    /** Seconds until it is tried again. */
    readonly reset: number;
    /** Calls that go through at once then: one that succeeds, and all is well again. */
    readonly probes: number;
    constructor(options?: {
        failures?: number | null;
        reset?: number | null;
        probes?: number | null;
    } | null);
}
/** How many calls of a tool are under way at once; of those that find no place to wait each fails with `rate_limited`. */
export declare class Bulkhead {
    /** Calls at once. */
    readonly concurrency: number;
    /** Calls that wait for a place. */
    readonly queue: number;
    constructor(concurrency?: number | null, options?: {
        queue?: number | null;
    } | null);
}
/** How a tool is called. */
export interface WorkflowToolOptions {
    /** Further attempts within one attempt of the step: how many in all, or as in a workflow. Default: none. */
    retry?: number | ToolRetryOptions | null;
    /** Seconds for one call, after which it is not waited for any more (`tool_timeout`). Default: any time. */
    timeout?: number | null;
    /** When it is left alone. */
    breaker?: Breaker | {
        failures?: number;
        reset?: number;
        probes?: number;
    } | null;
    /** How many of its calls are under way at once, in however many engines. */
    bulkhead?: Bulkhead | {
        concurrency?: number;
        queue?: number;
    } | null;
    /**
     * Whether a call may be made again when it is not known how it ended, since its process was killed in the midst of it, or it was too
     * late; where it may not, the run is `blocked` until somebody says what to do. Default true.
     */
    idempotent?: boolean | null;
}
/**
 * Something that workflows may have done: `new Tool('openfda', search)`; steps name it as `integration: {tool: openfda, args: {...}}`.
 *
 * A name without a dot answers calls by longer names too: `openfda` has `openfda.search` done, and finds the whole name in its context. What
 * the function throws fails the step: an error of quorate with its code, a `TimeoutError` as `tool_timeout`, anything else as `tool_failed`.
 */
export declare class Tool {
    #private;
    /** By which name workflows know it. */
    readonly name: string;
    /** Whether a call may be made again when it is not known how it ended. */
    readonly idempotent: boolean;
    /** Code: `invalid_argument`. */
    constructor(name: string, run: ToolFunction, options?: WorkflowToolOptions | null);
}
/** What an engine takes as a tool: one of workflows, one of models that is a function, or a function by its own name. */
export type WorkflowTool = Tool | RuntimeTool | ToolFunction;
/** A clock that stands still until it is moved: for tests, and to see what a workflow does in a hundred days. */
export declare class ManualClock {
    /** `now`: what it shows, in seconds since 1970. */
    constructor(now?: number | null);
    /** Seconds since 1970. */
    now(): number;
    /** Moves it on. */
    advance(seconds: number): void;
}
/** What time it is: a {@link ManualClock}, or a function (or an object with `now()`) that gives seconds since 1970, or a Date. */
export type Clock = ManualClock | (() => number | Date) | {
    now(): number | Date;
};
