import type { Abortable } from '../embed.js';
import { EventStream } from '../streams.js';
/** How far a run is. `completed`, `failed` and `cancelled` never change again. */
export type WorkflowStatus = 'pending' | 'queued' | 'running' | 'waiting' | 'paused' | 'compensating' | 'completed' | 'failed' | 'cancelled' | 'blocked';
/** A step of a run, as far as it is. */
export interface WorkflowStep {
    id: string;
    kind: string;
    /** What people read. */
    title: string;
    /** The parallel step that it is within. */
    within: string | null;
    status: 'pending' | 'running' | 'retrying' | 'waiting' | 'completed' | 'skipped' | 'failed' | 'cancelled' | 'blocked';
    /** How often it was come to, from 1. */
    visit: number;
    /** Attempts of this visit that have begun. */
    attempts: number;
    /** What came of it; null before, and where it was skipped. */
    output: any;
    /** The signal that has ended its wait. */
    signal: string | null;
    /** The code of its last failure, or why it is blocked. */
    code: string | null;
    /** What was said then. */
    message: string | null;
    /** What it waits for. */
    waitsFor: 'review' | 'signal' | 'time' | 'run' | null;
    /** When it began, in seconds since 1970. */
    began: number | null;
    /** When it ended. */
    ended: number | null;
}
/** One thing that happened in a run. Its `data` are the same in every language. */
export interface JournalEntry {
    /** Its number in the run, from 1. */
    seq: number;
    /** When, in seconds since 1970. */
    time: number;
    /** `started`, `step_started`, `step_completed`, `went_back`, `ended` and others. */
    type: string;
    data: Record<string, any>;
}
/** How a run ended. */
export type RunEnding = {
    status: 'completed';
    output: any;
} | {
    status: 'failed';
    code: string;
    message: string;
    step: string | null;
    cause?: RunEnding;
} | {
    status: 'cancelled';
    reason: string;
};
/** For how long a run is waited for. */
export interface WaitOptions extends Abortable {
    /** Seconds at most. Default: as long as it takes. */
    timeout?: number | null;
    /** It also ends where the run has one of these: a run that waits for somebody, or is blocked, is not over. */
    until?: WorkflowStatus | readonly WorkflowStatus[] | null;
}
/** How a run is ended. */
export interface CancelOptions {
    /** Whether what was done is undone, where the workflow says how. Default true. */
    compensate?: boolean | null;
}
/** A run of a workflow. Its engine works as long as somebody has a run of it, or until it is closed. */
export declare class WorkflowRun {
    #private;
    /** Its id. */
    readonly id: string;
    /** How far it is now: `await run.status`. Code: `unknown_id` once it was deleted. */
    get status(): Promise<WorkflowStatus>;
    /** Waits until it is over, or as `until` says, and gives its status then. An aborted `signal` ends the waiting, not the run. */
    wait(options?: WaitOptions | null): Promise<WorkflowStatus>;
    /**
     * What came of it, once it is completed.
     *
     * Codes: `not_found` while it goes on; `cancelled`; of a run that failed the code of its failure where it is one of quorate's, and else
     * `tool_failed`, with the run's own code in the message.
     */
    result<T = any>(): Promise<T>;
    /** How it ended; null while it goes on. */
    ending(): Promise<RunEnding | null>;
    /** The workflow that it began with, whatever has become of the file. */
    definition(): Promise<{
        id: string;
        version: string;
        title: string;
        domain: string | null;
        hash: string;
    }>;
    /** Nothing more begins in it until it is resumed, once this has resolved; what is being done is finished. Code: `run_conflict`. */
    pause(): Promise<void>;
    /** It goes on. Code: `run_conflict` once it is over. */
    resume(): Promise<void>;
    /** Ends it: when this has resolved, no step begins any more; what was done is undone. Code: `run_conflict` once it is over. */
    cancel(reason?: string | null, options?: CancelOptions | null): Promise<void>;
    /** Has a step that is blocked, or waits to be tried again, tried now; without one all of them. Codes: `run_conflict`, `unknown_id`. */
    retry(step?: string | null): Promise<void>;
    /** Leaves a step out; those that need it see null. Codes: `run_conflict` for one that is over already, `unknown_id`. */
    skip(step: string): Promise<void>;
    /**
     * Sends a signal. One that comes before anything waits for it is kept, and each is taken once; of those with one `id`, the first counts.
     * It is kept for good when this resolves. Code: `run_conflict` once the run is over.
     */
    signal(name: string, data?: unknown, options?: {
        id?: string | null;
    } | null): Promise<void>;
    /** Its steps, in the order of their ids; those within others too. */
    steps(): Promise<WorkflowStep[]>;
    /** Everything that happened in it. */
    journal(): Promise<JournalEntry[]>;
    /**
     * Has it go on by another version of its workflow, from where it is: steps that have begun stand as they are, and have to say the same
     * there, other than titles, retries, timeouts and what stands in offline; what it waits for it goes on waiting for. Codes: `unknown_id`
     * for a version that the engine has not; `run_conflict` with everything that keeps it back, while a step is running, and once it is over.
     */
    migrate(version: string): Promise<void>;
    /** A new run that begins where this one came to a step: what was done before is taken over. Code: `unknown_id` for the step. */
    fork(step: string): Promise<WorkflowRun>;
    /** A diagram of its steps with how far each is, in the language of mermaid.js. */
    mermaid(): Promise<string>;
    /** Everything that is known of it: what it was started with, its definition, its journal. It is the same in every language. */
    export(): Promise<Record<string, any>>;
    /** What happens in it, as it happens, until it is over: `for await (const entry of run.stream())`. `start`: from this number on. */
    stream(options?: ({
        start?: number | null;
    } & Abortable) | null): WorkflowStream;
}
/** What happens in a run, as it happens. Leaving it changes nothing in the run. */
export declare class WorkflowStream extends EventStream<JournalEntry> {
}
/** What there is to know of a review that is open. */
export interface ReviewData {
    id: string;
    /** The run that waits for it. */
    runId: string;
    step: string;
    /** Who decides; after an escalation, another role. */
    role: string;
    /** What people read. */
    title: string;
    /** What can be decided. */
    options: string[];
    /** What there is to see. */
    data: any;
    /** When it is to be decided, in seconds since 1970. */
    due: number | null;
    opened: number;
    /** Who has claimed it, when it was looked up. */
    claimedBy: string | null;
    /** How often it was escalated. */
    escalated: number;
    /** How many different people must choose the same. */
    people: number;
    /** Who has chosen what so far, where that is more than one. */
    votes: {
        by: string;
        option: string;
    }[];
    /** Users who may not decide. */
    forbid: string[];
}
/** With what a review is decided. */
export interface DecideOptions {
    /** Who decides. */
    by: string;
    comment?: string | null;
    /** What later steps see of it. */
    data?: unknown;
}
/** A review that is open. */
export declare class Review {
    #private;
    /** Takes it, so that nobody else decides it; gives the review. Codes: `run_conflict`, `invalid_argument` for who may not decide. */
    claim(user: string): Promise<this>;
    /** Decides it. Codes: those of {@link claim}; `invalid_argument` for an option that there is not. */
    decide(option: string, options: DecideOptions): Promise<void>;
    /** Gives it to somebody else. Codes: `invalid_argument` for who may not decide; `run_conflict` once it is decided. */
    delegate(user: string, options?: {
        by?: string | null;
    } | null): Promise<this>;
}
export interface Review extends Readonly<ReviewData> {
}
