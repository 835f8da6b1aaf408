// How does a function of the host do what a step of a workflow asks for?

import type * as Native from '../../native.js';
import { type Hosting, hosting, now, options as checked, parse, reason, shown } from '../call.js';
import { Cancelled, InvalidInput, codeOf, invalid } from '../errors.js';
import { halfOf } from '../handles.js';
import { native } from '../native.js';
import { RuntimeTool, definitionOf, writtenResult } from '../tools.js';

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
export class Breaker {
  /** So many failures in a row, and it is left alone. */
  readonly failures: number;
  /** Seconds until it is tried again. */
  readonly reset: number;
  /** Calls that go through at once then: one that succeeds, and all is well again. */
  readonly probes: number;

  constructor(options?: { failures?: number | null; reset?: number | null; probes?: number | null } | null) {
    const { failures, reset, probes } = checked(options, ['failures', 'reset', 'probes']);
    this.failures = failures ?? 5;
    this.reset = reset ?? 30;
    this.probes = probes ?? 1;
  }
}

/** How many calls of a tool are under way at once; of those that find no place to wait each fails with `rate_limited`. */
export class Bulkhead {
  /** Calls at once. */
  readonly concurrency: number;
  /** Calls that wait for a place. */
  readonly queue: number;

  constructor(concurrency?: number | null, options?: { queue?: number | null } | null) {
    const { queue } = checked(options, ['queue']);
    this.concurrency = concurrency ?? 8;
    this.queue = queue ?? 16;
  }
}

/** How a tool is called. */
export interface WorkflowToolOptions {
  /** Further attempts within one attempt of the step: how many in all, or as in a workflow. Default: none. */
  retry?: number | ToolRetryOptions | null;
  /** Seconds for one call, after which it is not waited for any more (`tool_timeout`). Default: any time. */
  timeout?: number | null;
  /** When it is left alone. */
  breaker?: Breaker | { failures?: number; reset?: number; probes?: number } | null;
  /** How many of its calls are under way at once, in however many engines. */
  bulkhead?: Bulkhead | { concurrency?: number; queue?: number } | null;
  /**
   * Whether a call may be made again when it is not known how it ended, since its process was killed in the midst of it, or it was too
   * late; where it may not, the run is `blocked` until somebody says what to do. Default true.
   */
  idempotent?: boolean | null;
}

const guards = new WeakMap<object, Native.ToolGuard>();

let functionOf: (tool: Tool) => ToolFunction;

/**
 * Something that workflows may have done: `new Tool('openfda', search)`; steps name it as `integration: {tool: openfda, args: {...}}`.
 *
 * A name without a dot answers calls by longer names too: `openfda` has `openfda.search` done, and finds the whole name in its context. What
 * the function throws fails the step: an error of quorate with its code, a `TimeoutError` as `tool_timeout`, anything else as `tool_failed`.
 */
export class Tool {
  /** By which name workflows know it. */
  readonly name: string;
  /** Whether a call may be made again when it is not known how it ended. */
  readonly idempotent: boolean;
  readonly #function: ToolFunction;

  static {
    functionOf = (tool) => tool.#function;
  }

  /** Code: `invalid_argument`. */
  constructor(name: string, run: ToolFunction, options?: WorkflowToolOptions | null) {
    if (typeof name !== 'string') throw invalid(`name is ${shown(name)}; a string is expected`);
    if (typeof run !== 'function') throw invalid(`the tool '${name.slice(0, 100)}' is ${shown(run)}; a function is expected`);
    const { idempotent, breaker, bulkhead, ...given } = checked(options, ['idempotent', 'retry', 'timeout', 'breaker', 'bulkhead']);
    if (idempotent !== undefined && idempotent !== null && typeof idempotent !== 'boolean') {
      throw invalid(`idempotent is ${shown(idempotent)}; true or false is expected`);
    }
    this.name = name;
    this.#function = run;
    this.idempotent = idempotent ?? true;
    // Of an instance of a class the native half sees no members.
    const plain = (one: unknown) => (one instanceof Breaker || one instanceof Bulkhead ? { ...one } : one);
    guards.set(this, now(() => new native.ToolGuard(name, { ...given, breaker: plain(breaker), bulkhead: plain(bulkhead) })));
  }
}

/** What an engine takes as a tool: one of workflows, one of models that is a function, or a function by its own name. */
export type WorkflowTool = Tool | RuntimeTool | ToolFunction;

/** @internal What a caller gave as a tool. Code: `invalid_argument`. */
export function toolOf(given: unknown, what: string): Tool {
  if (given instanceof Tool) return given;
  if (given instanceof RuntimeTool) {
    const run = definitionOf(given);
    if (!run) throw invalid(`${what}: the tool '${given.name}' is no function of JavaScript; give a function that calls it`);
    const { effect, idempotent, timeout } = given.card;
    return new Tool(given.name, run as unknown as ToolFunction, { idempotent: idempotent ?? effect === 'read', timeout });
  }
  if (typeof given !== 'function') throw invalid(`${what} is ${shown(given)}; a tool or a function is expected`);
  if (!given.name) throw invalid(`${what} is a function without a name; give new Tool(name, function)`);
  return new Tool(given.name, given as ToolFunction);
}

/** @internal The native half of a tool; it holds the function until the engine is closed. */
export function nativeToolOf(tool: Tool, host: Hosting): Native.WorkflowTool {
  const under = new Map<number, AbortController>();
  const run = functionOf(tool);
  const call = (reply: Native.Reply, number: number, given: string, about: string): void => {
    const abort = new AbortController();
    under.set(number, abort);
    const told = parse<Omit<StepContext, 'signal'>>(about);
    const work = async () => writtenResult(await run(parse(given), { ...told, signal: abort.signal }));
    void host(work)
      .then(
        (result) => reply.answer({ result }),
        (error: unknown) => reply.answer({ error: codeOf(error) ?? { code: codeFor(error), message: `'${told.name}' failed: ${reason(error)}` } }),
      )
      .finally(() => under.delete(number));
  };
  const stop = (number: number): void => {
    const abort = under.get(number);
    under.delete(number);
    abort?.abort(new Cancelled('cancelled', 'the step was cancelled, or its time is over'));
  };
  return now(() => native.workflowTool(tool.name, call, stop, tool.idempotent, halfOf(guards, tool, 'the tool', 'a Tool')));
}

function codeFor(error: unknown): string {
  try {
    return (error as { name?: unknown } | null)?.name === 'TimeoutError' ? 'tool_timeout' : 'tool_failed';
  } catch {
    return 'tool_failed';
  }
}

// What is called `now` within is a time.
const atOnce = now;

const clocks = new WeakMap<object, Native.ManualClock>();

/** A clock that stands still until it is moved: for tests, and to see what a workflow does in a hundred days. */
export class ManualClock {
  /** `now`: what it shows, in seconds since 1970. */
  constructor(now?: number | null) {
    clocks.set(this, atOnce(() => new native.ManualClock(now ?? 0)));
  }

  /** Seconds since 1970. */
  now(): number {
    return halfOf(clocks, this, 'this', 'a ManualClock').now();
  }

  /** Moves it on. */
  advance(seconds: number): void {
    atOnce(() => halfOf(clocks, this, 'this', 'a ManualClock').advance(seconds));
  }
}

/** What time it is: a {@link ManualClock}, or a function (or an object with `now()`) that gives seconds since 1970, or a Date. */
export type Clock = ManualClock | (() => number | Date) | { now(): number | Date };

/** @internal Has an engine go by a clock. Codes: `invalid_argument`; `callback` for one that fails. */
export function timed(parts: Native.EngineParts, clock: Clock | null | undefined): void {
  if (clock === undefined || clock === null) return;
  if (clock instanceof ManualClock) return parts.timed(halfOf(clocks, clock, 'clock', 'a ManualClock'));
  const { now: own } = clock as { now?: unknown };
  const tell = typeof clock === 'function' ? clock : typeof own === 'function' ? (): unknown => own.call(clock) : undefined;
  if (!tell) throw invalid(`clock is ${shown(clock)}; a ManualClock or a function is expected`);
  const seconds = (): number => {
    const told: unknown = tell();
    return told instanceof Date ? told.getTime() / 1000 : (told as number);
  };
  const answer = (reply?: Native.Reply): void => {
    if (!reply) return;
    try {
      reply.answer(seconds());
    } catch (error) {
      reply.fail(`the clock failed: ${reason(error)}`);
    }
  };
  let first: number;
  try {
    first = seconds();
  } catch (cause) {
    throw new InvalidInput('callback', `the clock failed: ${reason(cause)}`, { cause });
  }
  now(() => parts.timedBy(answer, first));
}

/** @internal Tools as an engine takes them. */
export function partsOf(tools: readonly Tool[], clock: Clock | null | undefined): [Native.EngineParts, Hosting] {
  const [parts, host] = [new native.EngineParts(), hosting()];
  for (const tool of tools) parts.add(nativeToolOf(tool, host));
  timed(parts, clock);
  return [parts, host];
}
