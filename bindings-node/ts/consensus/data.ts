// Which ratings do the arguments of a call hold?

import type * as Native from '../../native.js';
import { bounded, now, parse } from '../call.js';
import { invalid } from '../errors.js';
import { native } from '../native.js';

/** An id or a value: text or a number. A BigInt stands for a whole number beyond 2^53. */
export type Label = string | number | bigint;

/** Labels in one dimension. */
export type Column = ArrayLike<Label | boolean | null | undefined> | BigInt64Array;

/** Ratings as three columns of equal length; crowd-kit's names are taken too. */
export type RatingsTable =
  | { items: Column; raters: Column; values: Column }
  | { item: Column; rater: Column; value: Column }
  | { task: Column; worker: Column; label: Column };

/** Ratings as one object each. */
export type RatingsRows = readonly (
  | { items: Label; raters: Label; values: Label }
  | { item: Label; rater: Label; value: Label }
  | { task: Label; worker: Label; label: Label }
)[];

/** Ratings as raters x items, with null, undefined or NaN where one is missing. */
export type RatingsMatrix = readonly Column[];

/** Who rated what how, in any of the forms that are taken. */
export type RatingsInput = RatingsTable | RatingsRows | RatingsMatrix | Ratings;

/** What can be said about ratings. */
export interface RatingsOptions {
  /** What to do when a rater rated an item twice. Default `error` (code `duplicate_entry`). */
  duplicates?: 'error' | 'first' | 'last' | 'keep';
  /** The possible values in their order. Default: those that appear, sorted. */
  domain?: readonly Label[] | null;
  /**
   * What the rows of a matrix are. Taken as raters unless said, with a warning (`process.emitWarning`, code `QUORATE_FORM`) where there would
   * be more raters than items. ({@link icc} has a form of its own, and calls this one `dataForm`.)
   */
  form?: 'raters_x_items' | 'items_x_raters' | null;
  /** Stops the work: the Promise is rejected with code `cancelled`. */
  signal?: AbortSignal | null;
}

/** The options of a call that can be stopped. */
export interface Stoppable {
  /** Stops the work: the Promise is rejected with code `cancelled`. */
  signal?: AbortSignal | null;
}

/** Weights of raters, or true labels of items: an object, a Map, or pairs. */
export type Keyed<T> = Record<string, T> | Map<Label, T> | readonly (readonly [Label, T])[];

/** Three columns as arguments, then options; or one input, then options. */
export type RatingsArguments<O> =
  | [data: RatingsInput, options?: O | null]
  | [items: Column, raters: Column, values: Column, options?: O | null];

/** @internal Where the arguments of a call hold ratings that were made before. */
export const MADE: unique symbol = Symbol('ratings');

/** @internal */
export type Named = Record<string, unknown> & { [MADE]?: Native.Ratings };

/** Who rated what how, made once by {@link ratings} and used often. */
export class Ratings {
  readonly #native: Native.Ratings;
  #ids: Label[][] | undefined;

  /** @internal */
  constructor(made: typeof MADE, native: Native.Ratings) {
    if (made !== MADE) throw invalid('Ratings are made by ratings');
    this.#native = native;
    handles.set(this, native);
  }

  #of(which: number): Label[] {
    this.#ids ??= this.#native.ids().map((ids) => parse<Label[]>(ids));
    return [...this.#ids[which]!];
  }

  /** The ids of the items, in order of first appearance. */
  get items(): Label[] {
    return this.#of(0);
  }

  /** The ids of the raters, in order of first appearance. */
  get raters(): Label[] {
    return this.#of(1);
  }

  /** The values, sorted, or in the order of the domain. */
  get categories(): Label[] {
    return this.#of(2);
  }

  /** How many ratings there are. */
  get length(): number {
    return this.#native.length;
  }
}

const handles = new WeakMap<Ratings, Native.Ratings>();

/** Ratings from any of the forms that are taken, to be made once and used often. */
export function ratings(...args: RatingsArguments<Omit<RatingsOptions, 'signal'> & { weights?: Keyed<number> | null }>): Ratings {
  const { [MADE]: made, ...given } = onRatings(args);
  if (made) return args[0] as Ratings;
  return new Ratings(MADE, now(() => native.ratings(given)));
}

/** @internal Whether this is an array, plain or typed. One whose items cannot be had is refused. */
export function isColumn(value: unknown): value is ArrayLike<unknown> {
  if (Array.isArray(value)) return bounded(value, 'an array') === value;
  if (!ArrayBuffer.isView(value) || value instanceof DataView) return false;
  try {
    (value as Uint8Array).keys();
  } catch (cause) {
    throw invalid('a typed array is over a buffer that was detached or made smaller; its numbers are gone', { cause });
  }
  return true;
}

/** @internal Whether this is an object with named members, rather than an array, a Map or another collection. */
export function isNamed(value: unknown): value is Named {
  return typeof value === 'object' && value !== null && !isColumn(value) && !(value instanceof Map) && !(value instanceof Set);
}

/** @internal Numbers alone as a typed array, which crosses at once; anything else as it is. */
export function packed(values: unknown): unknown {
  if (!Array.isArray(values) || values.length === 0) return values;
  for (let i = 0; i < values.length; i++) if (typeof values[i] !== 'number') return values;
  // From 2^53 on the native half has to look at each.
  if (values.some((x: number) => Math.abs(x) > Number.MAX_SAFE_INTEGER && Number.isInteger(x))) return values;
  return Float64Array.from(values as number[]);
}

/** @internal The same for each row. */
export function packedRows(rows: unknown): unknown {
  return Array.isArray(rows) ? (isColumn(rows[0]) ? rows.map(packed) : packed(bounded(rows, 'an array'))) : rows;
}

/** @internal Arguments by position, then by name. */
export function named(args: readonly unknown[], positions: readonly string[]): Named {
  const out: Named = {};
  args.forEach((value, i) => {
    const last = i === args.length - 1;
    if (i > 0 && last && isNamed(value) && !(value instanceof Date)) {
      for (const [name, given] of Object.entries(value)) {
        if (positions.slice(0, i).includes(name)) throw invalid(`${name} is given twice`);
        out[name] = given;
      }
      return;
    }
    const name = positions[i];
    if (name === undefined) throw invalid(`at most ${positions.length} arguments and options are expected`);
    out[name] = value;
  });
  return out;
}

/** @internal The arguments of a function on ratings, as the native half takes them. `form`: what the option is called that says what the rows of a matrix are. */
export function onRatings(args: readonly unknown[], form: 'form' | 'dataForm' = 'form'): Named {
  const columns = isColumn(args[0]) && args.length > 1 && (isColumn(args[1]) || isColumn(args[2]));
  const { data, options, ...given } = named(args, columns ? ['items', 'raters', 'values', 'options'] : ['data', 'options']);
  if (options !== undefined && options !== null) throw invalid('options are no object');
  for (const [name, value] of Object.entries(given)) given[name] = value instanceof Map ? [...value] : packedRows(value);
  if (data instanceof Ratings) return { ...given, [MADE]: handles.get(data)! };
  if (Array.isArray(data) && isColumn(data[0]) && (given[form] ?? null) === null) {
    const doubt = native.ratingsDoubt(data.length, data[0].length);
    if (typeof doubt === 'string') process.emitWarning(doubt, { type: 'Warning', code: 'QUORATE_FORM' });
  }
  return data === undefined ? given : { ...given, data: packedRows(data) };
}
