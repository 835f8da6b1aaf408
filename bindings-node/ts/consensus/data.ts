// Which ratings do the arguments of a call hold?

import { bounded } from '../call.js';
import { InvalidInput, invalid } from '../errors.js';
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
export type RatingsInput = RatingsTable | RatingsRows | RatingsMatrix;

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

const NAMES = [
  ['items', 'raters', 'values'],
  ['item', 'rater', 'value'],
  ['task', 'worker', 'label'],
] as const;

/** @internal */
export type Named = Record<string, unknown>;

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
  return Array.isArray(rows) ? (isColumn(rows[0]) ? rows.map(packed) : packed(rows)) : rows;
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

/** @internal Pairs of label and value; text keys of an object are matched with the labels in `known`. */
export function pairs(given: unknown, what: string, known: () => Iterable<unknown>): unknown {
  if (given === undefined || given === null) return undefined;
  if (given instanceof Map) return [...given];
  if (Array.isArray(given)) return given;
  if (!isNamed(given)) throw invalid(`${what} are neither an object nor a Map`);
  const labels = new Map<string, unknown>();
  for (const label of known()) if (!labels.has(String(label))) labels.set(String(label), label);
  return Object.entries(given).map(([key, value]) => [labels.get(key) ?? key, value]);
}

/** @internal The arguments of a function on ratings, as the native half takes them. `formName`: what the option is called that says what the rows of a matrix are. */
export function ratings(
  args: readonly unknown[],
  weights: 'raters' | 'values' | 'none',
  formName: 'form' | 'dataForm' = 'form',
): Named {
  const columns = isColumn(args[0]) && args.length > 1 && (isColumn(args[1]) || isColumn(args[2]));
  const { data, gold, weights: given, ...rest } = named(
    args,
    columns ? ['items', 'raters', 'values', 'options'] : ['data', 'options'],
  );
  if (rest['options'] === undefined || rest['options'] === null) delete rest['options'];
  const parts = columns || data === undefined ? table(rest, true) : split(data);
  if (data === undefined && !parts && rest['counts'] === undefined) {
    throw invalid('there is no data: an array, a table, or three columns are expected');
  }
  if (data !== undefined && data !== null && rest['counts'] !== undefined) throw invalid('give data or counts, not both');
  for (const names of NAMES) for (const name of names) delete rest[name];
  const out: Named = { ...rest };
  const form = out[formName] ?? undefined;
  delete out[formName];
  out['tableForm'] = form;
  if (parts && 'cells' in parts && form === undefined) {
    const doubt = native.ratingsDoubt(parts.rows, parts.columns);
    if (typeof doubt === 'string') process.emitWarning(doubt, { type: 'Warning', code: 'QUORATE_FORM' });
  }
  if (parts && !('cells' in parts)) {
    [out['items'], out['raters'], out['values']] = parts.columns.map(packed);
  } else if (parts) {
    Object.assign(out, parts, { cells: packed(parts.cells) });
  }
  const byItems = form === 'items_x_raters';
  const raters = () =>
    !parts ? [] : !('cells' in parts) ? iterate(parts.columns[1]) : range(byItems ? parts.columns : parts.rows);
  const items = () =>
    !parts ? [] : !('cells' in parts) ? iterate(parts.columns[0]) : range(byItems ? parts.rows : parts.columns);
  if (weights === 'raters') out['raterWeights'] = pairs(given, 'weights', raters);
  else if (weights === 'values') out['weights'] = packedRows(given);
  else if (given !== undefined && given !== null) throw invalid("the options have no option 'weights'");
  if (gold !== undefined) out['gold'] = pairs(gold, 'gold', items);
  return out;
}

type Parts = { columns: [unknown, unknown, unknown] } | { cells: unknown[]; rows: number; columns: number };

function split(data: unknown): Parts {
  if (isNamed(data)) {
    const parts = table(data, false);
    if (parts) return parts;
    throw invalid(
      `the table has the columns ${Object.keys(data).join(', ')}; expected are items, raters, values (or item, rater, value, ` +
        'or task, worker, label)',
    );
  }
  if (!Array.isArray(data)) {
    throw invalid(`data is ${data === null ? 'null' : `a ${typeof data}`}; arrays, a table or a matrix are expected`);
  }
  bounded(data, 'data');
  if (isNamed(data[0])) return columnsOf(data);
  return matrix(data);
}

function table(given: Named, empty: boolean): { columns: [unknown, unknown, unknown] } | undefined {
  for (const [a, b, c] of NAMES) {
    if (a in given && b in given && c in given) return { columns: [given[a], given[b], given[c]] };
  }
  if (empty && NAMES[0].some((name) => name in given)) {
    const missing = NAMES[0].filter((name) => given[name] === undefined);
    throw invalid(`${missing.join(' and ')} of the ratings are missing`);
  }
  return undefined;
}

function columnsOf(rows: unknown[]): Parts {
  const names = NAMES.find((three) => three.every((name) => name in (rows[0] as Named)));
  if (!names) {
    throw invalid(`data[0] has the members ${Object.keys(rows[0] as Named).join(', ')}; expected are items, raters, values`);
  }
  const column = (name: string) =>
    rows.map((row, i) => {
      if (!isNamed(row)) throw invalid(`data[${i}] is no object with ${names.join(', ')}`);
      return row[name];
    });
  return { columns: [column(names[0]), column(names[1]), column(names[2])] };
}

function matrix(data: unknown[]): Parts {
  const rows = data.map((row, i) => {
    if (!isColumn(row)) {
      throw new InvalidInput('invalid_shape', `data[${i}] is ${row === null ? 'null' : `a ${typeof row}`}; a row of ratings is expected`);
    }
    return row;
  });
  const nItems = rows[0]?.length ?? 0;
  const cells: unknown[] = [];
  rows.forEach((row, i) => {
    if (row.length !== nItems) {
      throw new InvalidInput('invalid_shape', `data[${i}] has ${row.length} entries, data[0] has ${nItems}`);
    }
    for (let j = 0; j < row.length; j++) cells.push(row[j]);
  });
  return { cells, rows: rows.length, columns: nItems };
}

function iterate(column: unknown): Iterable<unknown> {
  return isColumn(column) ? Array.from(column) : [];
}

function range(n: number): Iterable<number> {
  return Array.from({ length: n }, (_, i) => i);
}
