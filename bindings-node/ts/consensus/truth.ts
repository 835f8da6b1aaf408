// What is true, when raters of unknown skill disagree?

import type * as Native from '../../native.js';
import { abortable, now, written } from '../call.js';
import { native } from '../native.js';
import { answered, report } from './call.js';
import { onRatings, type Keyed, type Label, type RatingsArguments, type RatingsOptions, type Stoppable } from './data.js';

/** What the raters say together, and how far each can be trusted. */
export class Truth {
  /** The name of the method. */
  readonly method!: string;
  /** The ids of the items. */
  readonly items!: Label[];
  /** The most probable label of each item, in the order of `items`; of equals, the first category. */
  readonly itemLabels!: Label[];
  /** The categories. */
  readonly classes!: Label[];
  /** Items x classes, row by row: the probability of each category; shares of the votes where the method has no model. */
  readonly probabilityArray!: Float64Array;
  /** The ids of the raters. */
  readonly raters!: Label[];
  /** The skill of each rater, as the method defines it, in the order of `raters`. */
  readonly raterSkills!: number[];
  /** Raters x true classes x given classes: the probability of a given label; null without a model of it. */
  readonly confusionArray!: Float64Array | null;
  /** The estimated share of each category among the items. */
  readonly classShares!: number[] | null;
  /** How hard each item is (GLAD), in the order of `items`. */
  readonly itemDifficulty!: number[] | null;
  /** What the method maximises, after each iteration; it never falls. */
  readonly logLikelihood!: number[];
  /** Iterations made. */
  readonly iterations!: number;
  /** Did the method reach its tolerance? */
  readonly converged!: boolean;
  /** The items whose first place is shared by several categories. */
  readonly ties!: Label[];

  /** @internal */
  constructor(found: object) {
    Object.assign(this, found);
  }

  /** `{ item: label }`. */
  get labels(): Record<string, Label> {
    return Object.fromEntries(this.items.map((item, i) => [String(item), this.itemLabels[i]!]));
  }

  /** `{ item: { category: probability } }`. */
  get probabilities(): Record<string, Record<string, number>> {
    const k = this.classes.length;
    const row = (i: number) =>
      Object.fromEntries(this.classes.map((label, c) => [String(label), this.probabilityArray[i * k + c]!]));
    return Object.fromEntries(this.items.map((item, i) => [String(item), row(i)]));
  }

  /** `{ rater: skill }`. */
  get skills(): Record<string, number> {
    return Object.fromEntries(this.raters.map((rater, i) => [String(rater), this.raterSkills[i]!]));
  }

  /** `{ rater: matrix }`, true classes x given classes, in the order of `classes`; null without a model of it. */
  get confusion(): Record<string, Float64Array[]> | null {
    const array = this.confusionArray;
    if (!array) return null;
    const k = this.classes.length;
    const matrix = (i: number) =>
      this.classes.map((_, c) => array.subarray(i * k * k + c * k, i * k * k + (c + 1) * k));
    return Object.fromEntries(this.raters.map((rater, i) => [String(rater), matrix(i)]));
  }

  /** What `JSON.stringify` writes: the method, what is true, how sure that is, and how far each rater can be trusted. */
  toJSON(): Record<string, unknown> {
    const confusion = this.confusion;
    const plain = confusion && Object.fromEntries(Object.entries(confusion).map(([rater, rows]) => [rater, rows.map((row) => [...row])]));
    const labels = Object.fromEntries(Object.entries(this.labels).map(([item, label]) => [item, written(label)]));
    return {
      method: this.method,
      labels,
      probabilities: this.probabilities,
      skills: this.skills,
      confusion: plain,
      classes: this.classes.map(written),
      classShares: this.classShares,
      difficulty: this.difficulty,
      logLikelihood: this.logLikelihood,
      iterations: this.iterations,
      converged: this.converged,
      ties: this.ties.map(written),
    };
  }

  /** The same as an object. */
  toDict(): Record<string, unknown> {
    return this.toJSON();
  }

  /** `{ item: difficulty }` (GLAD: `exp(-beta)`). */
  get difficulty(): Record<string, number> | null {
    const hard = this.itemDifficulty;
    return hard && Object.fromEntries(this.items.map((item, i) => [String(item), hard[i]!]));
  }
}

/** What can be said about ratings from which truth is inferred. */
export interface TruthOptions extends RatingsOptions {
  /** The weight of each rater, 1 where not given. */
  weights?: Keyed<number> | null;
}

/** True labels of items, where known. */
export interface Gold {
  gold?: Keyed<Label> | null;
}

/** The options of {@link dawidSkene}. The priors are counts of imagined items and votes. */
export interface EmOptions extends TruthOptions, Gold {
  /** Default 100. */
  maxIter?: number;
  /** Default 1e-5. */
  tol?: number;
  priorClass?: number;
  priorCorrect?: number;
  priorWrong?: number;
}

async function infer(method: string, args: readonly unknown[]): Promise<Truth> {
  return new Truth(await report(method, () => onRatings(args)));
}

/** The label with most votes, each counting as `weights` says of its rater. */
export async function majorityVote(...args: RatingsArguments<TruthOptions>): Promise<Truth> {
  return infer('majorityVote', args);
}

/** Worker agreement with aggregate: votes weighted by each rater's agreement with the majority. */
export async function wawa(...args: RatingsArguments<TruthOptions>): Promise<Truth> {
  return infer('wawa', args);
}

/** A confusion matrix for each rater by expectation maximisation (Dawid and Skene 1979). */
export async function dawidSkene(...args: RatingsArguments<EmOptions>): Promise<Truth> {
  return infer('dawidSkene', args);
}

/** One probability of being right for each rater. */
export async function oneCoin(...args: RatingsArguments<EmOptions>): Promise<Truth> {
  return infer('oneCoin', args);
}

/** The options of {@link glad}. */
export interface GladOptions extends TruthOptions, Gold {
  maxIter?: number;
  tol?: number;
  abilityMean?: number;
  easinessMean?: number;
  classPrior?: ArrayLike<number> | null;
}

/** Abilities of raters and difficulties of items (Whitehill et al. 2009). */
export async function glad(...args: RatingsArguments<GladOptions>): Promise<Truth> {
  return infer('glad', args);
}

/** The options of {@link mace}. */
export interface MaceOptions extends TruthOptions, Gold {
  /** Default 50. */
  maxIter?: number;
  tol?: number;
  /** Default 10. */
  restarts?: number;
  seed?: number;
  /** Default `variational`. */
  method?: 'variational' | 'em';
  /** Starting weights are drawn from [1, 2 + noise). Default 0.5. */
  noise?: number;
  /** Imagined answers of each rater that are guessed (`variational`). Default 0.5. */
  priorGuess?: number;
  /** Imagined answers of each rater that are known (`variational`). Default 0.5. */
  priorKnow?: number;
  /** Imagined guesses of each label by each rater (`variational`). Default 10. */
  priorStrategy?: number;
  /** What `em` adds to each count. Default 0.01 divided by the number of categories. */
  smoothing?: number | null;
}

/** Raters who know, or answer without looking (Hovy et al. 2013). */
export async function mace(...args: RatingsArguments<MaceOptions>): Promise<Truth> {
  return infer('mace', args);
}

/** The options of {@link kos} and {@link mMsr}. */
export interface SeededOptions extends TruthOptions {
  maxIter?: number;
  tol?: number;
  seed?: number;
}

/** Message passing between items and raters, for two categories (Karger, Oh and Shah 2014). */
export async function kos(...args: RatingsArguments<SeededOptions>): Promise<Truth> {
  return infer('kos', args);
}

/** Truth among hostile raters by completing a matrix of rank one (Ma and Olshevsky 2020). */
export async function mMsr(...args: RatingsArguments<SeededOptions>): Promise<Truth> {
  return infer('mMsr', args);
}

/** The options of {@link zeroBasedSkill}; the defaults are those of crowd-kit. */
export interface ZeroBasedSkillOptions extends TruthOptions {
  maxIter?: number;
  learningRate?: number;
  reduceEvery?: number;
  reduceBy?: number;
}

/** Skills learnt step by step from the weighted majority. */
export async function zeroBasedSkill(...args: RatingsArguments<ZeroBasedSkillOptions>): Promise<Truth> {
  return infer('zeroBasedSkill', args);
}

/** The options of an {@link OnlineDawidSkene}; priors of a few imagined right votes keep early estimates sober. */
export interface OnlineOptions extends Gold {
  maxIter?: number;
  tol?: number;
  priorClass?: number;
  priorCorrect?: number;
  priorWrong?: number;
}

/** Dawid and Skene's model, kept up to date vote by vote (incremental EM, Neal and Hinton 1998). */
export class OnlineDawidSkene {
  readonly #native: Native.Online;
  readonly #classes: readonly Label[];

  /** `classes`: the labels that there are. */
  constructor(classes: readonly Label[], options?: OnlineOptions | null) {
    const { gold, ...rest } = options ?? {};
    this.#native = now(() => new native.Online({ ...rest, classes, gold: gold instanceof Map ? [...gold] : gold }));
    this.#classes = [...classes];
  }

  /** Takes one vote into account. Codes: `invalid_argument` (no such class), `duplicate_entry`, `too_large`. */
  add(item: Label, rater: Label, value: Label): void {
    now(() => this.#native.add(item, rater, value));
  }

  /** How likely each class is for an item at present; null for an item without votes. */
  probabilities(item: Label): Record<string, number> | null {
    const row = now(() => this.#native.probabilities(item));
    return row && Object.fromEntries(this.#classes.map((label, i) => [String(label), row[i]!]));
  }

  /** The present matrix true classes x given classes of a rater; null for a rater without votes. */
  confusion(rater: Label): Float64Array[] | null {
    const [k, matrix] = [this.#classes.length, now(() => this.#native.confusion(rater))];
    return matrix && this.#classes.map((_, i) => matrix.subarray(i * k, (i + 1) * k));
  }

  /** How many votes there are. */
  get length(): number {
    return this.#native.length;
  }

  /** Fits the model anew to all votes, as {@link dawidSkene} does, and goes on from there. Codes: `empty_input`, `unknown_id`. */
  async refit(options?: Stoppable | null): Promise<Truth> {
    return new Truth(answered(await abortable(options?.signal, true, (cancel) => this.#native.refit(cancel))));
  }
}
