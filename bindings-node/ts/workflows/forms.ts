// What does a node give, and where may it go?

import { bounded, options as checked, shown } from '../call.js';
import { invalid } from '../errors.js';

/** The place where a graph begins. */
export const START = '__start__';

/** The place where a graph ends. */
export const END = '__end__';

/** A task of its own for a node, with a state of its own: one for each part of something. */
export class Send {
  /** `node`: its name; `state`: what it sees in the place of the graph's state. */
  constructor(
    readonly node: string,
    readonly state: unknown,
  ) {
    if (typeof node !== 'string') throw invalid(`node is ${shown(node)}; the name of a node is expected`);
  }
}

/** Where to go next, beside where edges lead, with what is written first. */
export class Goto {
  /** What is written, by channel. */
  readonly update: Readonly<Record<string, unknown>> | null;

  /** `to`: the name of a node, {@link END}, a {@link Send}, or several of them. */
  constructor(
    readonly to: string | Send | readonly (string | Send)[],
    options?: { update?: Readonly<Record<string, unknown>> | null } | null,
  ) {
    this.update = checked(options, ['update']).update ?? null;
  }
}

/** How often and when a node that has failed is tried again. */
export interface RetryOptions {
  /** How often it is tried in all. Default 3. */
  maxAttempts?: number | null;
  /** Seconds before the second try. Default 0.5. */
  initial?: number | null;
  /** By what each wait is longer than the one before. Default 2. */
  factor?: number | null;
  /** The longest wait, in seconds. Default 60. */
  longest?: number | null;
  /** Whether an error is worth another try; it may be asynchronous. Default: all but those of wrong arguments. */
  on?: ((error: { code: string; message: string }) => boolean | PromiseLike<boolean>) | null;
}

/** How often and when a node that has failed is tried again: `new Retry({ maxAttempts: 3 })`, or a plain object. */
export class Retry implements RetryOptions {
  declare maxAttempts?: number | null;
  declare initial?: number | null;
  declare factor?: number | null;
  declare longest?: number | null;
  declare on?: RetryOptions['on'];

  /** Code: `invalid_argument`, where it is given to a node. */
  constructor(options?: RetryOptions | null) {
    Object.assign(this, checked(options, ['maxAttempts', 'initial', 'factor', 'longest', 'on']));
  }
}

/** Where a node or a route leads: names of nodes, and tasks of their own. */
export type Targets = string | Send | readonly (string | Send)[] | null | undefined;

/** What a node gives: what it writes, and where it goes. */
export type NodeResult = Readonly<Record<string, unknown>> | Goto | Send | readonly (Readonly<Record<string, unknown>> | Goto | Send)[] | null | undefined | void;

function target(given: unknown, what: string): unknown {
  if (given instanceof Send) return { node: given.node, state: given.state ?? null };
  if (typeof given === 'string') return given;
  throw invalid(`${what} is ${shown(given)}; the name of a node, or a Send, is expected`);
}

/** @internal Places to go to, as the native half takes them. Code: `invalid_argument`. */
export function targets(given: unknown, what: string): unknown[] {
  if (given === undefined || given === null) return [];
  if (Array.isArray(given)) return bounded(given, what).map((one, i) => target(one, `${what}[${i}]`));
  return [target(given, what)];
}

/** @internal What a node gave, as the native half takes it. Code: `invalid_argument`. */
export function output(given: unknown): { update: Record<string, unknown>; goto: unknown[] } {
  const update: Record<string, unknown> = {};
  const goto: unknown[] = [];
  const write = (more: unknown) => {
    if (more === undefined || more === null) return;
    if (typeof more !== 'object' || Array.isArray(more)) throw invalid(`a node gives an object of what it writes, and not ${shown(more)}`);
    for (const [name, value] of Object.entries(more)) {
      if (Object.hasOwn(update, name)) throw invalid(`the node writes '${name}' twice; give one value`);
      // As in JSON: what is undefined is not there.
      if (value !== undefined) Object.defineProperty(update, name, { value, enumerable: true, configurable: true, writable: true });
    }
  };
  for (const one of Array.isArray(given) ? bounded(given, 'what the node gave') : [given]) {
    if (one instanceof Send) goto.push(target(one, 'a Send'));
    else if (one instanceof Goto) {
      write(one.update);
      goto.push(...targets(one.to, 'the target of a Goto'));
    } else write(one);
  }
  return { update, goto };
}

/** @internal Which of these names stand in the code of a function that makes a {@link Goto} or a {@link Send}: places where it may go. */
export function namedIn(run: unknown, names: readonly string[]): string[] {
  let code: string;
  try {
    code = Function.prototype.toString.call(run);
  } catch {
    return [];
  }
  if (!/\b(?:Goto|Send)\b/.test(code)) return [];
  return names.filter((name) => ['"', "'", '`'].some((quote) => code.includes(quote + name + quote)));
}
