// What do many rankings say together?
//
// A ranking is a list of options with the best first; an entry that is itself an array or a Set holds tied options. Options are
// strings or numbers.

import { bounded } from '../call.js';
import { invalid } from '../errors.js';
import { report } from './call.js';
import { type Named, type Stoppable, isNamed } from './data.js';

/** An option. */
export type Option = string | number;

/** Options, best first; an array or a Set among them holds tied ones. */
export type Ranking = readonly (Option | readonly Option[] | ReadonlySet<Option>)[];

/** Rankings, or how many gave each. */
export type Rankings = readonly Ranking[] | ReadonlyMap<Ranking, number>;

/** What every method on rankings may be told. */
export interface RankingOptions extends Stoppable {
  /** A weight for each ranking. */
  weights?: ArrayLike<number> | null;
  /** All options in their order. Default: those that appear, sorted. */
  options?: readonly Option[] | null;
  /** Options that a ranking leaves out stand `last`, or it is `silent` about them. */
  unranked?: 'last' | 'silent';
  /** How ties are broken. Default not at all. */
  tieBreak?: 'lexicographic' | 'random' | null;
  /** Of the random tie-break, and of searches. Default 0. */
  seed?: number;
}

/** What {@link schulze}, {@link rankedPairs} and {@link minimax} may be told. */
export interface PairwiseOptions extends RankingOptions {
  /** Default `margins`. */
  strength?: 'margins' | 'winning_votes';
}

/** The result of a voting method. */
export interface Outcome {
  method: string;
  options: Option[];
  /** One number for each option; the method says what it means. */
  scores: Record<string, number>;
  /** Every option that the method lets win; more than one is a tie. */
  winners: Option[];
  /** The single winner, by tie-break if need be; null for an unbroken tie. */
  winner: Option | null;
  /** The collective order, best first; options in one tier are tied. */
  tiers: Option[][];
  /** The options from best to worst; tied ones in alphabetical order. */
  ranking: Option[];
  /** The total order, when nothing was tied or a tie-break was asked for. */
  order: Option[] | null;
  /** The groups of options whose ties the tie-break decided. */
  broken: Option[][];
}

/** The result of Kemeny's method. */
export interface Kemeny extends Outcome {
  /** Orders of greatest agreement. */
  orders: Option[][];
  /** Whether `orders` holds all of them. */
  ordersComplete: boolean;
  /** Weight of the pairwise preferences that the order agrees with. */
  agreement: number;
  /** Weight of those that it contradicts. */
  distance: number;
  /** No order has a smaller distance than this. */
  lowerBound: number;
  /** Whether the orders are proved to be best. */
  exact: boolean;
}

/** One count of an instant runoff. */
export interface RunoffRound {
  /** Standing options with their votes. */
  tallies: Record<string, number>;
  /** Weight of the ballots that name no standing option any more. */
  exhausted: number;
  /** Who goes out after this count. */
  eliminated: Option[];
  /** Whether the last place was tied. */
  tied: boolean;
}

/** The result of an instant runoff. */
export interface Runoff extends Outcome {
  /** The counts. */
  rounds: RunoffRound[];
  /** The first count (from 0) in which an option had more than half of the votes that still count. */
  majorityRound: number | null;
}

/** Fitted strengths of options; `scores` are the log-strengths. */
export interface Strengths extends Outcome {
  /** Natural logarithm of each strength, with mean zero. */
  strengths: Record<string, number>;
  /** Strengths divided by their sum: the chance of each option to be chosen from all. */
  shares: Record<string, number>;
  /** Log-likelihood of the data, without the penalty. */
  logLikelihood: number | null;
  iterations: number;
  /** Did the fit reach its tolerance? */
  converged: boolean;
  /** The penalty that was in force. */
  alpha: number;
  /** Groups of options that the data compares with one another. */
  components: Option[][];
}

function profile(rankings: Rankings, given: RankingOptions | null | undefined): Named {
  if (given !== undefined && given !== null && !isNamed(given)) throw invalid('options are no object');
  const counted = rankings instanceof Map;
  if (counted && given?.weights !== undefined && given.weights !== null) throw invalid('give counts in the Map or weights, not both');
  const all: unknown = counted ? [...rankings.keys()] : rankings;
  const tier = (one: unknown) => (one instanceof Set ? [...one] : one);
  const listed = (ranking: unknown, i: number) => (Array.isArray(ranking) ? bounded(ranking, `rankings[${i}]`).map(tier) : ranking);
  const lists = Array.isArray(all) ? bounded(all, 'rankings').map(listed) : all;
  return { ...given, rankings: lists, weights: counted ? [...rankings.values()] : given?.weights };
}

async function vote<T = Outcome>(method: string, rankings: Rankings, options: RankingOptions | null | undefined): Promise<T> {
  return report(method, () => profile(rankings, options));
}

/** Borda's count (1781). */
export async function borda(rankings: Rankings, options?: RankingOptions | null): Promise<Outcome> {
  return vote('borda', rankings, options);
}

/** Copeland's rule (1951): victories in pairs less defeats. */
export async function copeland(rankings: Rankings, options?: RankingOptions | null): Promise<Outcome> {
  return vote('copeland', rankings, options);
}

/** Schulze's method of strongest paths (Schulze 2011). */
export async function schulze(rankings: Rankings, options?: PairwiseOptions | null): Promise<Outcome> {
  return vote('schulze', rankings, options);
}

/** Ranked pairs (Tideman 1987). */
export async function rankedPairs(rankings: Rankings, options?: PairwiseOptions | null): Promise<Outcome> {
  return vote('rankedPairs', rankings, options);
}

/** Minimax (Simpson 1969; Kramer 1977): the smallest worst defeat. */
export async function minimax(rankings: Rankings, options?: PairwiseOptions | null): Promise<Outcome> {
  return vote('minimax', rankings, options);
}

/** What {@link kemeny} may be told. */
export interface KemenyOptions extends RankingOptions {
  /** Up to how many options the search is exact. */
  exactOptions?: number;
  /** How many orders are listed at most. */
  maxOrders?: number;
  /** Restarts of the local search above that. */
  restarts?: number;
}

/** The order that agrees with most pairwise preferences (Kemeny 1959); above `exactOptions` a seeded search with a lower bound. */
export async function kemeny(rankings: Rankings, options?: KemenyOptions | null): Promise<Kemeny> {
  return vote('kemeny', rankings, options);
}

/** What {@link instantRunoff} may be told. */
export interface RunoffOptions extends RankingOptions {
  /** What becomes of several last ones (`parallel_universes`: Conitzer et al. 2009). Default `together`. */
  lastPlaceTies?: 'together' | 'tie_break' | 'parallel_universes';
}

/** Instant runoff: the last goes out, count by count. */
export async function instantRunoff(rankings: Rankings, options?: RunoffOptions | null): Promise<Runoff> {
  return vote('instantRunoff', rankings, options);
}

/** What a fit of strengths may be told. */
export interface FitOptions extends Stoppable {
  /** A penalty on the strengths. Default: a small one, only where the data does not determine them. */
  alpha?: number | null;
  /** Default 100. */
  maxIter?: number;
  /** Default 1e-9. */
  tol?: number;
}

/** Strengths that make the rankings most likely (Plackett 1975; Luce 1959). Unranked options are by default `silent`. */
export async function plackettLuce(rankings: Rankings, options?: (RankingOptions & FitOptions) | null): Promise<Strengths> {
  return vote('plackettLuce', rankings, options);
}

/** `[winner, loser]` or `[winner, loser, weight]`. */
export type Comparison = readonly [winner: Option, loser: Option, weight?: number];

/** What a method on comparisons may be told. */
export interface PairedOptions extends FitOptions {
  /** Pairs that drew, half a win for each. */
  ties?: readonly Comparison[] | null;
  /** All options in their order. Default: those that appear, sorted. */
  options?: readonly Option[] | null;
  tieBreak?: 'lexicographic' | 'random' | null;
  seed?: number;
}

async function paired(method: string, comparisons: readonly Comparison[], given: PairedOptions | null | undefined): Promise<Strengths> {
  return report(method, () => {
    if (given !== undefined && given !== null && !isNamed(given)) throw invalid('options are no object');
    return { ...given, comparisons: bounded(comparisons, 'comparisons') };
  });
}

/** Strengths that make the comparisons most likely (Bradley and Terry 1952). */
export async function bradleyTerry(comparisons: readonly Comparison[], options?: PairedOptions | null): Promise<Strengths> {
  return paired('bradleyTerry', comparisons, options);
}

/** Strengths as the resting place of a random walk from losers to winners (Negahban, Oh and Shah 2017). */
export async function rankCentrality(comparisons: readonly Comparison[], options?: PairedOptions | null): Promise<Strengths> {
  return paired('rankCentrality', comparisons, options);
}
