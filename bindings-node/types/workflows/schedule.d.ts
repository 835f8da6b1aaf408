import { WorkflowRun } from './run.js';
/** What becomes of times at which nobody worked: nothing, one run for all of them, or a run for each of the newest 1,000. */
export type Missed = 'skip' | 'once' | 'all';
/** How a schedule starts its runs. */
export interface ScheduleOptions {
    /** By whose clocks, such as `America/New_York`. Default `UTC`. */
    timezone?: string | null;
    /** What becomes of times that were missed. Default `once`. */
    missed?: Missed | null;
    /** The version of the workflow. Default: the newest that whoever starts the run has. */
    version?: string | null;
    /** Higher goes first. Default: as the workflow says, and else 0. */
    priority?: number | null;
    /** On whose behalf runs are started. Default: `schedule:` and the name. */
    starter?: string | null;
    /** Whether stand-ins take the place of the world. Default false. */
    offline?: boolean | null;
}
/** What there is to know of a schedule. */
export interface ScheduleData {
    /** Its name, of which there is one. */
    name: string;
    /** When: minute, hour, day of month, month, day of week. */
    cron: string;
    /** By whose clocks. */
    timezone: string;
    /** What is started. */
    workflow: string;
    /** With what. */
    input: any;
    /** What becomes of times that were missed. */
    missed: Missed;
    /** The version of the workflow; null: the newest. */
    version: string | null;
    /** Whether nothing is started until it is resumed. */
    paused: boolean;
    /** When it comes due next, in seconds since 1970; null while it is paused. */
    next: number | null;
    /** The last due time for which a run was started. */
    last: number | null;
    /** How many runs it has started. */
    started: number;
    /** The first and the last of the due times among which some were left out when that happened last: they were missed. */
    leftOut: [number, number] | null;
    /** Why the last due time came to nothing. */
    error: {
        code: string;
        message: string;
    } | null;
}
/** A workflow that is started at set times, as it was when it was looked at. */
export interface Schedule extends ScheduleData {
}
export declare class Schedule {
    #private;
    /** As it is now. Code: `unknown_id` once it was removed. */
    look(): Promise<Schedule>;
    /** The next times at which it comes due, in seconds since 1970, also while it is paused. Code: `invalid_argument` for more than 10,000. */
    nextTimes(count?: number): Promise<number[]>;
    /** The run that was started for a due time; null where none was, or where it was deleted. */
    run(due: number): Promise<WorkflowRun | null>;
    /** Starts nothing until it is resumed; times that come meanwhile are not missed. Code: `unknown_id` once it was removed. */
    pause(): Promise<Schedule>;
    /** It goes on with the next time that comes. Code: `unknown_id` once it was removed. */
    resume(): Promise<Schedule>;
    /** Ends it. Runs that it has started go on. Code: `unknown_id` once it was removed. */
    remove(): Promise<void>;
}
