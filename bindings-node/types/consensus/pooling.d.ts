import { type Label } from './data.js';
/** Numbers in one dimension. */
export type Numbers = ArrayLike<number>;
/** One probability from each expert, or one distribution from each. */
export type Opinions = Numbers | readonly Numbers[];
/** Weights of experts, by position or by name. */
export type WeightsArgument = Numbers | {
    weights?: Numbers | null;
} | null;
/** Performance weights; one entry for each expert. */
export interface CookeWeights {
    /** Calibration times information above the cut-off, divided by their sum. */
    weights: number[];
    /** The p-value of "this expert's quantiles are right": 1 is perfectly calibrated. */
    calibration: number[];
    /** Mean relative information over the seed questions, in nats. */
    information: number[];
    /** How many answers fell into each interquantile interval. */
    hits: number[][];
}
/** A direction of opinion. */
export interface DensityFaction {
    /** The share of the panel's weight that lies along it. */
    weight: number;
    /** A distribution over the outcomes. */
    opinion: number[];
    /** For each expert the squared overlap with it, 0 to 1. */
    overlap: number[];
    /** Whether another direction has the same weight, so that any rotation of the two would do as well. */
    degenerate: boolean;
}
/** The pool of opinions as a density matrix. Entropies are in bits. */
export interface DensityPool {
    /** The linear pool. */
    pooled: number[];
    /** Greatest first; they sum to 1. */
    eigenvalues: number[];
    /** 1 when all experts agree exactly, less the more they are split. */
    purity: number;
    /** Von Neumann entropy: 0 when all agree exactly. */
    entropy: number;
    /** Jensen-Shannon divergence of the opinions, never above `entropy`. */
    jensenShannon: number;
    /** Directions of opinion, heaviest first. */
    factions: DensityFaction[];
}
/** The question-order test. */
export interface OrderEffect {
    /** The QQ statistic: 0 for every projective model. */
    q: number;
    /** The order effect: total variation distance of the two orders, 0 to 1. */
    effect: number;
    /** Change of p(A yes) from being asked second to first. */
    effectA: number;
    /** Change of p(B yes) from being asked second to first. */
    effectB: number;
    /** For counts: `q` divided by its standard error. */
    z: number | null;
    /** For counts: the two-sided p-value of "q = 0". */
    pValue: number | null;
}
/** The surprisingly popular answer. */
export interface SurprisinglyPopular {
    /** The surprisingly popular answer; null for a tie. */
    answer: Label | null;
    /** The answers with the greatest surprise; more than one is a tie. */
    answers: Label[];
    /** The answers that most voters gave. */
    popular: Label[];
    /** Share of votes for each answer. */
    actual: number[];
    /** Mean of the predicted shares. */
    predicted: number[];
    /** `actual - predicted`. */
    surprise: number[];
}
/** Scores of the Bayesian truth serum, in nats. */
export interface TruthSerum {
    /** Each respondent's `information + alpha * prediction`. */
    scores: number[];
    information: number[];
    /** Each respondent's prediction score, at most 0. */
    prediction: number[];
    /** Share of votes for each answer. */
    actual: number[];
    /** Geometric mean of the predicted shares. */
    predicted: number[];
    /** The answers whose adherents have the greatest mean score. */
    answers: Label[];
}
/** The weighted mean (Stone 1961): a number for one event, an array over the outcomes for distributions. */
export declare function linearPool(p: Numbers, weights?: WeightsArgument): number;
export declare function linearPool(p: readonly Numbers[], weights?: WeightsArgument): Float64Array;
/** The normalised weighted geometric mean (Genest and Zidek 1986); shapes as in {@link linearPool}. */
export declare function logPool(p: Numbers, weights?: WeightsArgument): number;
export declare function logPool(p: readonly Numbers[], weights?: WeightsArgument): Float64Array;
/** The exponent of {@link extremizedPool}, by position or by name; default 2.5. */
export type Exponent = number | {
    a?: number;
} | null;
/** The logarithmic pool with its log-odds multiplied by `a` (Satopaa et al. 2014); shapes as in {@link linearPool}. */
export declare function extremizedPool(p: Numbers, weights?: WeightsArgument | {
    a?: number;
    weights?: Numbers;
}, a?: Exponent): number;
export declare function extremizedPool(p: readonly Numbers[], weights?: WeightsArgument | {
    a?: number;
    weights?: Numbers;
}, a?: Exponent): Float64Array;
/** The options of {@link cookeWeights}. */
export interface CookeOptions {
    /** The probabilities of the quantiles. Default 0.05, 0.5, 0.95. */
    probabilities?: Numbers | null;
    /** Calibration below which an expert's weight is 0. Default 0. */
    cutoff?: number;
    /** By how much the range of answers is widened. Default 0.1. */
    overshoot?: number;
    background?: 'uniform' | 'log_uniform';
}
/**
 * Performance weights of Cooke's classical model (Cooke 1991). `seeds[expert][question]` holds the expert's quantiles of a quantity
 * whose true value is `answers[question]`.
 */
export declare function cookeWeights(seeds: readonly (readonly Numbers[])[], answers: Numbers, options?: CookeOptions | null): CookeWeights;
/** Brier score (1950), 0 is best: of events (`outcomes` true or false), or of distributions (indices; up to 2). */
export declare function brierScore(p: Opinions, outcomes: ArrayLike<boolean | number>): number;
/**
 * Mean of `-ln(probability given to what happened)` (Good 1952), in nats, 0 is best; `outcomes` as in {@link brierScore}. `clip`
 * keeps probabilities at least that far from 0 and 1.
 */
export declare function logScore(p: Opinions, outcomes: ArrayLike<boolean | number>, options?: {
    clip?: number;
} | null): number;
/** Are the experts unsure together, or sure of different things? A classical computation with density matrices. */
export declare function densityPool(p: Opinions, weights?: WeightsArgument): Promise<DensityPool>;
/**
 * The QQ equality (Wang and Busemeyer 2013), from four shares or counts for each order of the questions. `ab`: asked A first, (A
 * yes B yes, A yes B no, A no B yes, A no B no); `ba`: asked B first, (B yes A yes, B yes A no, B no A yes, B no A no).
 */
export declare function orderEffect(ab: Numbers, ba: Numbers): OrderEffect;
/** How votes are given to {@link surprisinglyPopular}. */
export interface VotesOptions {
    /** The answers that the columns of `predictions` stand for; votes are then given as these. */
    options?: readonly Label[] | null;
    weights?: Numbers | null;
}
/**
 * The answer that more people give than people expected (Prelec, Seung and McCoy 2017). `votes[i]` is voter i's answer: an index
 * into the columns of `predictions`, or one of `options`. `predictions[i]` is that voter's forecast of the shares of all answers.
 */
export declare function surprisinglyPopular(votes: ArrayLike<Label>, predictions: readonly Numbers[], options?: VotesOptions | null): SurprisinglyPopular;
/** Scores that make truthful answers an equilibrium (Prelec 2004). `clip` raises predictions to at least that. */
export declare function bayesianTruthSerum(votes: ArrayLike<Label>, predictions: readonly Numbers[], options?: {
    alpha?: number;
    clip?: number;
    options?: readonly Label[] | null;
} | null): TruthSerum;
/** How likely a majority is to be right. */
export interface Jury {
    /** The probability that more than half are right. */
    majorityRight: number;
    /** The probability of an even split; 0 for an odd number. */
    tie: number;
    /** `majorityRight + tie / 2`: the chance to be right when ties go by a coin. */
    probability: number;
}
/** How likely a majority of members is to be right who judge independently, each right with a probability of its own (Condorcet 1785). */
export declare function condorcetJury(competences: Numbers): Jury;
