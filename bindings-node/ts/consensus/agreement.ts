// How well do raters agree, beyond what chance would give?
//
// A coefficient that the data does not define comes back with `value` null and the reason in `undefined`; it is never NaN.

import { report } from './call.js';
import { onRatings, type Column, type Named, type RatingsArguments, type RatingsOptions, isColumn, named, packed, packedRows } from './data.js';

/** Krippendorff's alpha. */
export interface Alpha {
  /** Alpha, at most 1; null where it is undefined. */
  value: number | null;
  /** Lower end of the bootstrap interval. */
  low: number | null;
  /** Upper end of the bootstrap interval. */
  high: number | null;
  /** Observed disagreement. */
  observed: number | null;
  /** Disagreement expected by chance. */
  expected: number | null;
  /** The level of measurement. */
  level: string;
  /** Items with two ratings or more. */
  items: number;
  raters: number;
  /** Ratings that could be paired. */
  ratings: number;
  /** Rounds of the bootstrap that the interval rests on. */
  bootstrap: number;
  /** Why `value` is null. */
  undefined: string | null;
}

/** A coefficient of agreement. */
export interface Coefficient {
  method: string;
  /** The coefficient, at most 1; null where it is undefined. */
  value: number | null;
  /** Lower end of the confidence interval. */
  low: number | null;
  /** Upper end of the confidence interval. */
  high: number | null;
  /** The (weighted) share of agreeing pairs. */
  observed: number | null;
  /** The share expected by chance, as the method defines chance. */
  expected: number | null;
  standardError: number | null;
  /** Test statistic of "no agreement beyond chance". */
  z: number | null;
  pValue: number | null;
  items: number;
  raters: number;
  /** Why `value` is null. */
  undefined: string | null;
}

/** Kendall's coefficient of concordance. */
export interface KendallW {
  /** W corrected for ties, 0 to 1; null where it is undefined. */
  value: number | null;
  /** W without the correction. */
  uncorrected: number | null;
  /** Friedman's chi-square. */
  chi2: number | null;
  df: number;
  pValue: number | null;
  items: number;
  raters: number;
  undefined: string | null;
}

/** An intraclass correlation. */
export interface Icc {
  form: string;
  value: number | null;
  low: number | null;
  high: number | null;
  f: number | null;
  df1: number;
  df2: number;
  pValue: number | null;
  items: number;
  raters: number;
  undefined: string | null;
}

/** The options of {@link krippendorffAlpha}. */
export interface AlphaOptions extends RatingsOptions {
  /** The level of measurement. Default `nominal`. */
  level?: 'nominal' | 'ordinal' | 'interval' | 'ratio' | 'circular' | 'bipolar';
  /** Rounds of the bootstrap for `low` and `high`. Default 0. */
  bootstrap?: number;
  seed?: number;
  /**
   * What the bootstrap draws: whole `items` with all their ratings, or `pairs` of values as if these were independent (Hayes and Krippendorff 2007),
   * which reproduces published figures but is too narrow with more than two raters. Default `items`.
   */
  resample?: 'items' | 'pairs';
  confidence?: number;
  /** Of `circular`, in units of the values. */
  circumference?: number | null;
  /** Of `bipolar`. */
  poles?: readonly [number, number] | null;
}

/** Credit for near misses: by name, or a symmetric table in [0, 1] over the sorted categories. */
export type Weights =
  | 'identity'
  | 'linear'
  | 'quadratic'
  | 'ordinal'
  | 'radical'
  | 'ratio'
  | 'circular'
  | 'bipolar'
  | readonly (readonly number[])[];

/** The options of a coefficient. */
export interface CoefficientOptions extends RatingsOptions {
  /** Credit for near misses. Default none. */
  weights?: Weights | null;
  confidence?: number;
}

/** The options of a coefficient that also takes counts in place of data: how many raters put each item into each category. */
export interface CountsOptions extends CoefficientOptions {
  counts?: readonly (readonly number[])[];
  categories?: readonly (string | number)[] | null;
}

type Counted = RatingsArguments<CountsOptions> | [options: CountsOptions & { counts: object }];

/** Krippendorff's alpha (Krippendorff 2011): any number of raters, any gaps, any level of measurement. */
export async function krippendorffAlpha(...args: RatingsArguments<AlphaOptions>): Promise<Alpha> {
  return report('krippendorffAlpha', () => onRatings(args));
}

/** Cohen's kappa of two raters (Cohen 1960; weighted, Cohen 1968): two arrays about the same items, or ratings of two. */
export async function cohenKappa(
  ...args: [a: Column, b: Column, options?: CoefficientOptions | Weights | null] | RatingsArguments<CoefficientOptions>
): Promise<Coefficient> {
  // Three columns are ratings; weights in third place are rows.
  const [, , third] = args as readonly unknown[];
  const columns = isColumn(third) && !isColumn(third[0]);
  const two = args.length >= 2 && isColumn(args[0]) && isColumn(args[1]) && !columns;
  if (!two) return report('cohenKappa', () => onRatings(args));
  return report('cohenKappa', () => {
    const { a, b, weights, ...rest } = named(args, ['a', 'b', 'weights']);
    return { a: packed(a), b: packed(b), weights: packedRows(weights), ...rest };
  });
}

function counted(args: readonly unknown[]): Named {
  const [first] = args;
  const alone = args.length === 1 && typeof first === 'object' && first !== null && 'counts' in first;
  return onRatings(alone ? [undefined, first] : args);
}

/** Fleiss' kappa of several raters, with gaps (Fleiss 1971); `{ counts }` in place of data. */
export async function fleissKappa(...args: Counted): Promise<Coefficient> {
  return report('fleissKappa', () => counted(args));
}

/** Scott's pi of two raters (Scott 1955); `{ counts }` in place of data. */
export async function scottPi(...args: Counted): Promise<Coefficient> {
  return report('scottPi', () => counted(args));
}

/** Conger's kappa: Cohen's for several raters (Conger 1980). */
export async function congerKappa(...args: RatingsArguments<CoefficientOptions>): Promise<Coefficient> {
  return report('congerKappa', () => onRatings(args));
}

/** Light's kappa: the mean of Cohen's over pairs of raters (Light 1971). */
export async function lightKappa(...args: RatingsArguments<CoefficientOptions>): Promise<Coefficient> {
  return report('lightKappa', () => onRatings(args));
}

/** Brennan and Prediger's coefficient: chance is uniform (1981); `{ counts }` in place of data. */
export async function brennanPrediger(...args: Counted): Promise<Coefficient> {
  return report('brennanPrediger', () => counted(args));
}

/** Gwet's AC1, or AC2 with `weights` (Gwet 2008): steady where kappa collapses; `{ counts }` in place of data. */
export async function gwetAc(...args: Counted): Promise<Coefficient> {
  return report('gwetAc', () => counted(args));
}

/** The share of agreeing pairs of ratings, without a correction for chance; `{ counts }` in place of data. */
export async function percentAgreement(...args: Counted): Promise<Coefficient> {
  return report('percentAgreement', () => counted(args));
}

/** Kendall's W of rankings, raters x items, corrected for ties (Kendall and Babington Smith 1939). */
export async function kendallW(...args: RatingsArguments<RatingsOptions>): Promise<KendallW> {
  return report('kendallW', () => onRatings(args));
}

/** The options of {@link icc}. */
export interface IccOptions extends Omit<RatingsOptions, 'form'> {
  /** What the rows of a matrix are; see {@link RatingsOptions}. */
  dataForm?: 'raters_x_items' | 'items_x_raters' | null;
  /** Default `2,1`. */
  form?: '1,1' | '2,1' | '3,1' | '1,k' | '2,k' | '3,k';
  confidence?: number;
}

/** Intraclass correlation (Shrout and Fleiss 1979). */
export async function icc(...args: RatingsArguments<IccOptions>): Promise<Icc> {
  return report('icc', () => onRatings(args, 'dataForm'));
}
