// When are workflows started by themselves?

import type * as Native from '../../native.js';
import { parse, settle } from '../call.js';
import { kept } from '../handles.js';
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
  error: { code: string; message: string } | null;
}

/** A workflow that is started at set times, as it was when it was looked at. */
export interface Schedule extends ScheduleData {}

export class Schedule {
  readonly #native: Native.WorkflowEngine;
  readonly #engine: object;

  /** @internal */
  constructor(data: ScheduleData, engine: object, half: Native.WorkflowEngine) {
    Object.assign(this, data);
    this.#native = half;
    this.#engine = engine;
    kept.set(this, engine);
  }

  async #say(word: string): Promise<Schedule> {
    return new Schedule(parse<ScheduleData>(await settle(() => this.#native.scheduleWord(this.name, word))), this.#engine, this.#native);
  }

  /** As it is now. Code: `unknown_id` once it was removed. */
  async look(): Promise<Schedule> {
    return this.#say('look');
  }

  /** The next times at which it comes due, in seconds since 1970, also while it is paused. Code: `invalid_argument` for more than 10,000. */
  async nextTimes(count = 10): Promise<number[]> {
    return parse(await settle(() => this.#native.scheduleTimes(this.name, count)));
  }

  /** The run that was started for a due time; null where none was, or where it was deleted. */
  async run(due: number): Promise<WorkflowRun | null> {
    const [found] = await settle(() => this.#native.scheduleRun(this.name, due));
    return found === undefined ? null : new WorkflowRun(found, this.#engine);
  }

  /** Starts nothing until it is resumed; times that come meanwhile are not missed. Code: `unknown_id` once it was removed. */
  async pause(): Promise<Schedule> {
    return this.#say('pause');
  }

  /** It goes on with the next time that comes. Code: `unknown_id` once it was removed. */
  async resume(): Promise<Schedule> {
    return this.#say('resume');
  }

  /** Ends it. Runs that it has started go on. Code: `unknown_id` once it was removed. */
  async remove(): Promise<void> {
    await settle(() => this.#native.scheduleWord(this.name, 'remove'));
  }
}
