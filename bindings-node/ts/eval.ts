// How good is a ranking?

import type * as Native from '../native.js';
import { abortable, options as checked, parse, place, settle } from './call.js';
import type { Abortable } from './embed.js';
import type { Metadata } from './hits.js';
import { native } from './native.js';

/** `{ query: { document: score } }`. */
export type Run = Record<string, Record<string, number>>;
/** `{ query: { document: grade } }`; a grade of 1 or more is relevant. */
export type Qrels = Record<string, Record<string, number>>;

/** The measures that are computed unless others are named. */
export const DEFAULT_METRICS: readonly string[] = ['ndcg@10', 'recall@100', 'mrr@10', 'map', 'p@5'];

/** What {@link evaluate} may be told. */
export interface EvaluateOptions extends Abortable {
  /** `ndcg@k`, `recall@k`, `mrr@k`, `map`, `p@k`, `success@k`, `bpref`. */
  metrics?: readonly string[];
  /** Values of each query rather than their means. Default false. */
  perQuery?: boolean;
}

/** Two runs on the same queries, compared by Fisher's paired randomisation test. */
export interface Comparison {
  /** Mean of the first run. */
  a: number;
  /** Mean of the second run. */
  b: number;
  /** `a - b`. */
  difference: number;
  /** Two-sided probability of a difference at least as large if the labels of the runs meant nothing. */
  pValue: number;
  /** Queries where the first run is better. */
  wins: number;
  /** Queries where both are equal. */
  ties: number;
  /** Queries where the first run is worse. */
  losses: number;
  /** Whether every assignment of signs was enumerated rather than sampled. */
  exact: boolean;
}

/** A test collection. */
export interface BeirDataset {
  /** The documents in file order. */
  corpus: { id: string; title: string; text: string; metadata: Metadata }[];
  /** Query id to text; only queries that the split judges. */
  queries: Record<string, string>;
  /** The judgements. */
  qrels: Qrels;
}

/**
 * Scores `run` against `qrels`: `{ metric: mean }`, or `{ query: { metric: value } }` with `perQuery`. Measures follow trec_eval:
 * ties by document id in descending order; a judged query that the run lacks counts as 0.
 *
 * Codes: `invalid_argument` (a metric), `empty_input` (no judged query), `not_finite` (a score).
 */
export async function evaluate(
  run: Run,
  qrels: Qrels,
  options: EvaluateOptions & { perQuery: true },
): Promise<Record<string, Record<string, number>>>;
export async function evaluate(
  run: Run,
  qrels: Qrels,
  options?: (EvaluateOptions & { perQuery?: false }) | readonly string[] | null,
): Promise<Record<string, number>>;
export async function evaluate(
  run: Run,
  qrels: Qrels,
  given?: EvaluateOptions | readonly string[] | null,
): Promise<unknown> {
  const { metrics = DEFAULT_METRICS, perQuery = false, signal } = Array.isArray(given)
    ? ({ metrics: given } as EvaluateOptions)
    : checked(given as EvaluateOptions | null | undefined, ['metrics', 'perQuery', 'signal']);
  const work = (cancel?: Native.Cancel) => native.evaluate(run, qrels, metrics, perQuery, cancel);
  const pairs = parse<[string, unknown][]>(await abortable(signal, true, work));
  return Object.fromEntries(pairs);
}

/** Is `runA` better than `runB`, or just luckier? Fisher's paired randomisation test. */
export async function compare(
  runA: Run,
  runB: Run,
  qrels: Qrels,
  options?: ({ metric?: string; seed?: number } & Abortable) | null,
): Promise<Comparison> {
  const { metric = 'ndcg@10', seed = 0, signal } = checked(options, ['metric', 'seed', 'signal']);
  return parse(await abortable(signal, true, (cancel) => native.compare(runA, runB, qrels, metric, seed, cancel)));
}

/** Reads `corpus.jsonl`, `queries.jsonl` and `qrels/SPLIT.tsv` of a BEIR folder. Codes: `not_found`, `load_failed`. */
export async function loadBeir(
  folder: string | URL,
  options?: ({ split?: string } & Abortable) | null,
): Promise<BeirDataset> {
  const { split = 'test', signal } = checked(options, ['split', 'signal']);
  return parse(await abortable(signal, true, (cancel) => native.loadBeir(place(folder), split, cancel)));
}

/** Reads a run in TREC's six columns. Codes: `not_found`, `load_failed`. */
export async function readTrecRun(path: string | URL, options?: Abortable | null): Promise<Run> {
  const { signal } = checked(options, ['signal']);
  return parse(await abortable(signal, true, (cancel) => native.readTrecRun(place(path), cancel)));
}

/** Writes a run in TREC's six columns. Codes: `io`, `permission_denied`, `invalid_argument`. */
export async function writeTrecRun(run: Run, path: string | URL): Promise<void> {
  await settle(() => native.writeTrecRun(run, place(path)));
}
