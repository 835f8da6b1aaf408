// How far is a run of a workflow, and what can be said to it?

import type * as Native from '../../native.js';
import { abortable, checkSignal, now, options as checked, parse, settle, shown } from '../call.js';
import type { Abortable } from '../embed.js';
import { errorOf, invalid } from '../errors.js';
import { halfOf, kept } from '../handles.js';
import { native } from '../native.js';
import { EventStream } from '../streams.js';

/** How far a run is. `completed`, `failed` and `cancelled` never change again. */
export type WorkflowStatus =
  | 'pending'
  | 'queued'
  | 'running'
  | 'waiting'
  | 'paused'
  | 'compensating'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'blocked';

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
export type RunEnding =
  | { status: 'completed'; output: any }
  | { status: 'failed'; code: string; message: string; step: string | null; cause?: RunEnding }
  | { status: 'cancelled'; reason: string };

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

const runs = new WeakMap<object, Native.WorkflowRun>();

/** @internal The id of a run, or the id itself. */
export function runIdOf(given: WorkflowRun | string | null | undefined): string | undefined {
  if (given === undefined || given === null) return undefined;
  return given instanceof WorkflowRun ? given.id : given;
}

/** A run of a workflow. Its engine works as long as somebody has a run of it, or until it is closed. */
export class WorkflowRun {
  /** Its id. */
  readonly id: string;

  /** @internal */
  constructor(of: Native.WorkflowRun, engine: object) {
    if (!(of instanceof native.WorkflowRun)) throw invalid('a run is made by the start or the run of an Engine');
    runs.set(this, of);
    kept.set(this, engine);
    this.id = of.id;
  }

  get #native(): Native.WorkflowRun {
    return halfOf(runs, this, 'this', 'a WorkflowRun');
  }

  /** How far it is now: `await run.status`. Code: `unknown_id` once it was deleted. */
  get status(): Promise<WorkflowStatus> {
    return settle(() => this.#native.status()) as Promise<WorkflowStatus>;
  }

  /** Waits until it is over, or as `until` says, and gives its status then. An aborted `signal` ends the waiting, not the run. */
  async wait(options?: WaitOptions | null): Promise<WorkflowStatus> {
    const { timeout, until, signal } = checked(options, ['timeout', 'until', 'signal']);
    const names = until === undefined || until === null ? [] : typeof until === 'string' ? [until] : until;
    return abortable(signal, true, (cancel) => this.#native.wait(timeout, names, cancel)) as Promise<WorkflowStatus>;
  }

  /**
   * What came of it, once it is completed.
   *
   * Codes: `not_found` while it goes on; `cancelled`; of a run that failed the code of its failure where it is one of quorate's, and else
   * `tool_failed`, with the run's own code in the message.
   */
  async result<T = any>(): Promise<T> {
    return parse(await settle(() => this.#native.result()));
  }

  /** How it ended; null while it goes on. */
  async ending(): Promise<RunEnding | null> {
    return parse(await settle(() => this.#native.ending()));
  }

  /** The workflow that it began with, whatever has become of the file. */
  async definition(): Promise<{ id: string; version: string; title: string; domain: string | null; hash: string }> {
    return parse(await settle(() => this.#native.definition()));
  }

  /** Nothing more begins in it until it is resumed, once this has resolved; what is being done is finished. Code: `run_conflict`. */
  async pause(): Promise<void> {
    await settle(() => this.#native.pause());
  }

  /** It goes on. Code: `run_conflict` once it is over. */
  async resume(): Promise<void> {
    await settle(() => this.#native.resume());
  }

  /** Ends it: when this has resolved, no step begins any more; what was done is undone. Code: `run_conflict` once it is over. */
  async cancel(reason?: string | null, options?: CancelOptions | null): Promise<void> {
    const { compensate } = checked(options, ['compensate']);
    await settle(() => this.#native.cancel(reason ?? '', compensate ?? true));
  }

  /** Has a step that is blocked, or waits to be tried again, tried now; without one all of them. Codes: `run_conflict`, `unknown_id`. */
  async retry(step?: string | null): Promise<void> {
    await settle(() => this.#native.retry(step));
  }

  /** Leaves a step out; those that need it see null. Codes: `run_conflict` for one that is over already, `unknown_id`. */
  async skip(step: string): Promise<void> {
    await settle(() => this.#native.skip(step));
  }

  /**
   * Sends a signal. One that comes before anything waits for it is kept, and each is taken once; of those with one `id`, the first counts.
   * It is kept for good when this resolves. Code: `run_conflict` once the run is over.
   */
  async signal(name: string, data?: unknown, options?: { id?: string | null } | null): Promise<void> {
    const { id } = checked(options, ['id']);
    await settle(() => this.#native.signal(name, data, id));
  }

  /** Its steps, in the order of their ids; those within others too. */
  async steps(): Promise<WorkflowStep[]> {
    return parse(await settle(() => this.#native.steps()));
  }

  /** Everything that happened in it. */
  async journal(): Promise<JournalEntry[]> {
    return parse(await settle(() => this.#native.journal()));
  }

  /**
   * Has it go on by another version of its workflow, from where it is: steps that have begun stand as they are, and have to say the same
   * there, other than titles, retries, timeouts and what stands in offline; what it waits for it goes on waiting for. Codes: `unknown_id`
   * for a version that the engine has not; `run_conflict` with everything that keeps it back, while a step is running, and once it is over.
   */
  async migrate(version: string): Promise<void> {
    await settle(() => this.#native.migrate(version));
  }

  /** A new run that begins where this one came to a step: what was done before is taken over. Code: `unknown_id` for the step. */
  async fork(step: string): Promise<WorkflowRun> {
    return new WorkflowRun(await settle(() => this.#native.fork(step)), kept.get(this) as object);
  }

  /** A diagram of its steps with how far each is, in the language of mermaid.js. */
  async mermaid(): Promise<string> {
    return settle(() => this.#native.mermaid());
  }

  /** Everything that is known of it: what it was started with, its definition, its journal. It is the same in every language. */
  async export(): Promise<Record<string, any>> {
    return parse(await settle(() => this.#native.export()));
  }

  /** What happens in it, as it happens, until it is over: `for await (const entry of run.stream())`. `start`: from this number on. */
  stream(options?: ({ start?: number | null } & Abortable) | null): WorkflowStream {
    const { start, signal } = checked(options, ['start', 'signal']);
    checkSignal(signal);
    const from = start ?? 1;
    if (!Number.isInteger(from) || from < 1) throw invalid(`start is ${shown(start)}; a whole number from 1 is expected`);
    return new WorkflowStream(now(() => this.#native.flow(from)), this, signal);
  }
}

/** What happens in a run, as it happens. Leaving it changes nothing in the run. */
export class WorkflowStream extends EventStream<JournalEntry> {
  /** @internal */
  constructor(of: Native.ModelFlow, keep: unknown, signal: AbortSignal | null | undefined) {
    super(of, keep, signal, async (raw) => {
      const { seq, code, message } = raw as { seq?: number; code?: string; message?: string };
      if (seq === undefined) throw errorOf(code ?? 'internal', message ?? '');
      return [raw as JournalEntry, raw.type === 'ended'];
    });
  }
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
  votes: { by: string; option: string }[];
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

const reviews = new WeakMap<object, Native.WorkflowReview>();

/** A review that is open. */
export class Review {
  /** @internal */
  constructor(of: Native.WorkflowReview, engine: object) {
    if (!(of instanceof native.WorkflowReview)) throw invalid('a review is found by the reviews of an Engine');
    Object.assign(this, parse<ReviewData>(of.shown));
    reviews.set(this, of);
    kept.set(this, engine);
  }

  get #native(): Native.WorkflowReview {
    return halfOf(reviews, this, 'this', 'a Review');
  }

  /** Takes it, so that nobody else decides it; gives the review. Codes: `run_conflict`, `invalid_argument` for who may not decide. */
  async claim(user: string): Promise<this> {
    await settle(() => this.#native.claim(user));
    return this;
  }

  /** Decides it. Codes: those of {@link claim}; `invalid_argument` for an option that there is not. */
  async decide(option: string, options: DecideOptions): Promise<void> {
    const { by, comment, data } = checked(options, ['by', 'comment', 'data']);
    await settle(() => this.#native.decide(option, { by, comment, data }));
  }

  /** Gives it to somebody else. Codes: `invalid_argument` for who may not decide; `run_conflict` once it is decided. */
  async delegate(user: string, options?: { by?: string | null } | null): Promise<this> {
    const { by } = checked(options, ['by']);
    await settle(() => this.#native.delegate(user, by));
    return this;
  }
}
export interface Review extends Readonly<ReviewData> {}
