// What do many rankings say together?
//
// A ranking is a list of options with the best first; an entry that is itself an array or a Set holds tied options. Options are
// strings or numbers.

import { bounded } from '../call.js';
import { invalid, InvalidInput } from '../errors.js';
import { report } from './call.js';
import { type Named, type Stoppable, isColumn, isNamed } from './data.js';

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

/** Options of any kind as the strings that the native half takes, and back. */
class Names {
  readonly of = new Map<string, Option>();

  add(option: unknown, where: string): string {
    if (typeof option !== 'string' && (typeof option !== 'number' || Number.isNaN(option))) {
      throw invalid(`${where} is ${option === null ? 'null' : `a ${typeof option}`}; a string or a number is expected`);
    }
    const name = String(option);
    const known = this.of.get(name);
    if (known === undefined) this.of.set(name, option);
    else if (known !== option) throw invalid(`the options ${typeof known} ${name} and ${typeof option} ${name} have the same name`);
    return name;
  }

  list(options: unknown, where: string): string[] {
    if (!isColumn(options)) throw invalid(`${where} is no array`);
    return Array.from(options, (option, i) => this.add(option, `${where}[${i}]`));
  }

  /** All names, numbers before texts. */
  sorted(): string[] {
    const key = (name: string) => this.of.get(name)!;
    return [...this.of.keys()].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (typeof x === 'number' && typeof y === 'number') return x - y;
      if (typeof x !== typeof y) return typeof x === 'number' ? -1 : 1;
      return byCodePoint(a, b);
    });
  }

  back(names: readonly string[]): Option[] {
    return names.map((name) => this.of.get(name)!);
  }
}

/** The order of code points, which is that of UTF-8; JavaScript's own puts characters beyond U+FFFF before some others. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function profile(names: Names, rankings: Rankings, given: RankingOptions | null | undefined): Named {
  const { weights, options, tieBreak, ...rest } = isNamed(given) ? (given as RankingOptions) : {};
  if (given !== undefined && given !== null && !isNamed(given)) throw invalid('options are no object');
  const listed = options === undefined || options === null ? undefined : names.list(options, 'options');
  let all: Iterable<unknown> = rankings as Iterable<unknown>;
  let counts: unknown = weights;
  if (rankings instanceof Map) {
    if (weights !== undefined && weights !== null) throw invalid('give counts in the Map or weights, not both');
    all = [...rankings.keys()];
    counts = [...rankings.values()];
  } else if (!Array.isArray(rankings)) {
    throw invalid(`rankings are ${rankings === null ? 'null' : `a ${typeof rankings}`}; an array is expected`);
  }
  if (Array.isArray(all)) bounded(all, 'rankings');
  const tiers = Array.from(all, (ranking, i) => {
    if (!Array.isArray(ranking)) {
      throw invalid(`rankings[${i}] is ${ranking === null ? 'null' : `a ${typeof ranking}`}; options, the best first, are expected`);
    }
    return bounded(ranking, `rankings[${i}]`).map((tier: unknown, j) => tierOf(names, tier, `rankings[${i}][${j}]`));
  });
  const each = counts === undefined || counts === null ? tiers.map(() => 1) : counts;
  if (!isColumn(each)) throw invalid('weights are no array');
  if (each.length !== tiers.length) {
    throw new InvalidInput('invalid_shape', `there are ${tiers.length} rankings and ${each.length} weights`);
  }
  return { ...rest, tieBreak, rankings: tiers, weights: each, options: listed ?? names.sorted() };
}

function tierOf(names: Names, tier: unknown, where: string): string[] {
  if (tier instanceof Set) return [...tier].map((option) => names.add(option, where)).sort(byCodePoint);
  return isColumn(tier) ? names.list(tier, where) : [names.add(tier, where)];
}

interface Raw {
  method: string;
  options: string[];
  scores: number[];
  winners: string[];
  tiers: string[][];
  order: string[] | null;
  broken: string[][];
}

function outcome(names: Names, raw: Raw): Outcome {
  const winners = names.back(raw.winners);
  const order = raw.order && names.back(raw.order);
  const tiers = raw.tiers.map((tier) => names.back(tier));
  return {
    method: raw.method,
    options: names.back(raw.options),
    scores: table(raw.options, raw.scores),
    winners,
    winner: order?.[0] ?? (winners.length === 1 ? winners[0]! : null),
    tiers,
    ranking: order ?? tiers.flat(),
    order,
    broken: raw.broken.map((group) => names.back(group)),
  };
}

function table(names: readonly string[], values: readonly number[]): Record<string, number> {
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]));
}

async function vote(method: string, rankings: Rankings, options: RankingOptions | null | undefined): Promise<Outcome> {
  const names = new Names();
  return outcome(names, await report(method, () => profile(names, rankings, options)));
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
  const names = new Names();
  type Found = Omit<Kemeny, keyof Outcome | 'orders'> & { outcome: Raw; orders: string[][] };
  const { outcome: raw, orders, ...rest } = await report<Found>('kemeny', () => profile(names, rankings, options));
  return { ...outcome(names, raw), ...rest, orders: orders.map((order) => names.back(order)) };
}

/** What {@link instantRunoff} may be told. */
export interface RunoffOptions extends RankingOptions {
  /** What becomes of several last ones (`parallel_universes`: Conitzer et al. 2009). Default `together`. */
  lastPlaceTies?: 'together' | 'tie_break' | 'parallel_universes';
}

/** Instant runoff: the last goes out, count by count. */
export async function instantRunoff(rankings: Rankings, options?: RunoffOptions | null): Promise<Runoff> {
  const names = new Names();
  type Round = Omit<RunoffRound, 'tallies' | 'eliminated'> & { tallies: [string, number][]; eliminated: string[] };
  type Found = { outcome: Raw; rounds: Round[]; majorityRound: number | null };
  const found = await report<Found>('instantRunoff', () => profile(names, rankings, options));
  const rounds = found.rounds.map(({ tallies, exhausted, eliminated, tied }) => ({
    tallies: Object.fromEntries(tallies),
    exhausted,
    eliminated: names.back(eliminated),
    tied,
  }));
  return { ...outcome(names, found.outcome), rounds, majorityRound: found.majorityRound };
}

interface RawStrengths {
  outcome: Raw;
  logStrengths: number[];
  shares: number[];
  logLikelihood: number | null;
  iterations: number;
  converged: boolean;
  alpha: number;
  components: string[][];
}

function strengths(names: Names, found: RawStrengths): Strengths {
  const { outcome: raw, logStrengths, shares, components, logLikelihood, iterations, converged, alpha } = found;
  return {
    ...outcome(names, raw),
    strengths: table(raw.options, logStrengths),
    shares: table(raw.options, shares),
    logLikelihood,
    iterations,
    converged,
    alpha,
    components: components.map((group) => names.back(group)),
  };
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
  const names = new Names();
  return strengths(names, await report('plackettLuce', () => profile(names, rankings, options)));
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

function pairsOf(names: Names, given: unknown, what: string): unknown[] {
  if (!Array.isArray(given)) throw invalid(`${what} are no array`);
  return bounded(given, what).map((entry: unknown, i) => {
    if (!Array.isArray(entry) || entry.length < 2 || entry.length > 3) {
      throw new InvalidInput('invalid_shape', `${what}[${i}] is not [winner, loser] or [winner, loser, weight]`);
    }
    const [winner, loser, weight = 1] = entry as unknown[];
    return [names.add(winner, `${what}[${i}][0]`), names.add(loser, `${what}[${i}][1]`), weight];
  });
}

async function paired(
  method: string,
  comparisons: readonly Comparison[],
  given: PairedOptions | null | undefined,
): Promise<Strengths> {
  const names = new Names();
  const found = await report<RawStrengths>(method, () => {
    if (given !== undefined && given !== null && !isNamed(given)) throw invalid('options are no object');
    const { ties, options, ...rest } = given ?? {};
    const listed = options === undefined || options === null ? undefined : names.list(options, 'options');
    const wins = pairsOf(names, comparisons, 'comparisons');
    const draws = pairsOf(names, ties ?? [], 'ties');
    return { ...rest, options: listed ?? names.sorted(), comparisons: wins, ties: draws };
  });
  return strengths(names, found);
}

/** Strengths that make the comparisons most likely (Bradley and Terry 1952). */
export async function bradleyTerry(comparisons: readonly Comparison[], options?: PairedOptions | null): Promise<Strengths> {
  return paired('bradleyTerry', comparisons, options);
}

/** Strengths as the resting place of a random walk from losers to winners (Negahban, Oh and Shah 2017). */
export async function rankCentrality(comparisons: readonly Comparison[], options?: PairedOptions | null): Promise<Strengths> {
  return paired('rankCentrality', comparisons, options);
}
