import type { KendallW } from './agreement.js';
import { type Stoppable } from './data.js';
import type { Numbers, Opinions } from './pooling.js';
/** How an item's ratings moved since the previous round. */
export interface DelphiStability {
    /** Half the summed absolute difference of the shares of each rating: 0 same, 1 nothing in common. */
    change: number;
    medianShift: number;
    iqrShift: number;
    /** Whether `change` is below the limit. */
    stable: boolean;
}
/** One item of a Delphi round. */
export interface DelphiItem {
    /** Experts who rated the item. */
    n: number;
    median: number;
    q1: number;
    q3: number;
    /** `q3 - q1`. */
    iqr: number;
    /** Interpercentile range P70 - P30, on the scale 1 to 9. */
    ipr: number;
    /** Interpercentile range adjusted for symmetry, on the scale 1 to 9. */
    ipras: number;
    /** Whether `ipr > ipras`. */
    disagreement: boolean;
    /** RAND/UCLA: `appropriate`, `uncertain` or `inappropriate`. */
    appropriateness: string;
    /** Whether `iqr` is within the limit and there is no disagreement. */
    consensus: boolean;
    /** Comparison with the previous round, when there was one. */
    stability: DelphiStability | null;
}
/** One value for ratings of one dimension, otherwise one for each item. */
export type Each<T> = T | T[];
/** The verdict on a round. */
export interface DelphiRound {
    items: DelphiItem[];
    /** Kendall's W over the experts who rated every item. */
    kendallW: KendallW;
    /** Whether to stop. */
    stop: boolean;
    /** `consensus`, `stable_dissent`, `first_round` or `still_moving`. */
    reason: string;
    /** The reason in words. */
    why: string;
    median: Each<number>;
    iqr: Each<number>;
    ipr: Each<number>;
    ipras: Each<number>;
    disagreement: Each<boolean>;
    stability: Each<DelphiStability | null>;
}
/** The decision of a honeybee swarm. */
export interface Honeybee {
    /** The option that first reached the quorum; null when none did. */
    decision: number | null;
    /** When it did, in the time of the model. */
    decidedAt: number | null;
    /** The share of the swarm committed to each option at the end. */
    shares: number[];
    uncommitted: number;
    time: number;
    /** Whether the swarm had come to rest. */
    steady: boolean;
    /** Whether it rests without a quorum. */
    deadlock: boolean;
}
/** A pool found by a particle swarm. */
export interface SwarmPool {
    /** The distribution of least objective. */
    pooled: number[];
    /** The objective there. */
    value: number;
    objective: string;
    iterations: number;
    converged: boolean;
    /** How far the particles are apart at the end. */
    spread: number;
    seed: number;
}
/** Answers grouped by meaning. */
export interface SemanticClusters {
    /** The members (positions in the input) of each cluster, the heaviest cluster first. */
    clusters: number[][];
    /** The share of weight of each cluster. */
    shares: number[];
    /** The most central member of each cluster. */
    medoids: number[];
    /** The cluster of each vector. */
    assignment: number[];
    /** Semantic entropy, in nats. */
    entropy: number;
    /** `entropy` divided by its greatest value for so many vectors. */
    normalisedEntropy: number;
}
/** One member of a faction. */
export interface FactionMember {
    voter: string;
    weight: number;
    confidence: number;
    /** `weight * confidence`. */
    strength: number;
    /** Identifier of the rationale. */
    rationale: string | null;
}
/** Those who share a position. */
export interface Faction {
    position: string;
    /** Summed weight of the members. */
    weight: number;
    /** `weight` divided by the weight of all. */
    share: number;
    /** Weighted mean confidence. */
    confidence: number;
    /** Every member, the strongest first. */
    members: FactionMember[];
}
/** Every faction with its members. */
export interface MinorityReport {
    /** The faction or factions of greatest weight. */
    leading: Faction[];
    /** Every other faction above the threshold, the heaviest first. */
    minorities: Faction[];
    threshold: number;
    /** How many factions were below it. */
    below: number;
    /** Their joint share. */
    belowShare: number;
}
/** Agreement among the ballots, raw and corrected for chance. */
export interface PanelAgreement {
    /** The name of the coefficient. */
    coefficient: string;
    /** 1 full agreement, 0 what chance gives; null where it is undefined. */
    value: number | null;
    observed: number | null;
    expected: number | null;
    undefined: string | null;
}
/** An interval for something that the panel estimates. */
export interface PanelInterval {
    of: 'support' | 'number' | 'probability';
    low: number;
    high: number;
    method: string;
}
/** What groups of voters that are not independent do to the effective number of ballots. */
export interface PanelGroups {
    /** Intra-class correlation of ballots within a group: 0 independent, 1 one voter. */
    rho: number;
    /** Whether it was given, estimated from the ballots, or assumed to be 1. */
    rhoIs: 'given' | 'estimated' | 'assumed';
    /** The groups of several voters. */
    groups: {
        name: string;
        voters: string[];
    }[];
}
/** What a panel decides, how firmly, and who differs. */
export declare class PanelScore {
    #private;
    /** The option, the number, or the voter whose vector is most central; null when positions are level (see `tied`). */
    readonly decision: string | number | null;
    /** On the weighted share of the leading position. */
    readonly level: 'unanimous' | 'strong' | 'moderate' | 'weak' | 'no_consensus';
    /** The weighted share of the ballots that hold the leading position. */
    readonly support: number;
    readonly agreement: PanelAgreement;
    /** Every faction with its members. */
    readonly minority: MinorityReport;
    /** How sure the panel is of its decision, 0 to 1. */
    readonly confidence: number;
    /** Intervals, that of the support first. */
    readonly intervals: PanelInterval[];
    /** The leading positions when they are level. */
    readonly tied: string[];
    /** The kind of the ballots. */
    readonly kind: string;
    /** Ballots of positive weight. */
    readonly voters: number;
    /** Their weight. */
    readonly weight: number;
    /** Kish's effective number of ballots; those of one group count for fewer. */
    readonly effectiveVoters: number;
    /** The groups of several ballots; null where each ballot is alone. */
    readonly groups: PanelGroups | null;
    /** The arithmetic behind the score; each line can be recomputed by hand from the ones before and the ballots. */
    explain(): string;
    /** All that is known of it, for `JSON.stringify`. */
    toJSON(): Record<string, unknown>;
}
/** The position that a ballot takes. */
export interface Positions {
    /** One option. */
    choice: string;
    /** Options, best first. */
    ranking: readonly string[];
    /** `{ option: probability }`; they sum to 1. */
    probability: Readonly<Record<string, number>>;
    number: number;
    /** A vector, such as the embedding of an answer. */
    vector: Numbers;
}
/** A position whose kind its type tells: text, list of texts, object of probabilities, number, list of numbers. */
export type Position = Positions[keyof Positions];
/** One member's ballot. Exactly one of the positions is given. */
export interface Ballot extends Partial<Positions> {
    /** Who votes; unique in the panel. */
    voter: string;
    /** In place of the five kinds. */
    position?: Position;
    /** How sure the voter is, 0 to 1. Default 1. */
    confidence?: number;
    /** How much the ballot counts. Default 1. */
    weight?: number;
    /** Identifier of the rationale. */
    rationale?: string | null;
}
/** What {@link delphiRound} may be told. */
export interface DelphiOptions {
    /** Ratings of the previous round. */
    previous?: Numbers | readonly Numbers[] | null;
    /** Lowest and highest rating. Default 1 and 9. */
    scale?: readonly [number, number];
    /** As a share of the width of the scale. Default 0.25. */
    iqrLimit?: number;
    /** Default 0.15. */
    stabilityLimit?: number;
}
/**
 * Judges one round of ratings, experts x items with NaN or null for no answer; one dimension is one item. Answers at once.
 *
 * IPRAS and disagreement by RAND/UCLA (Fitch et al. 2001); stability against the previous round (Scheibe, Skutsch and Schofer
 * 1975).
 */
export declare function delphiRound(ratings: Numbers | readonly ArrayLike<number | null>[], previous?: Numbers | readonly ArrayLike<number | null>[] | DelphiOptions | null, options?: DelphiOptions | null): DelphiRound;
/** What {@link honeybee} may be told. */
export interface HoneybeeOptions extends Stoppable {
    /** Cross-inhibition. Default 4. */
    sigma?: number;
    /** The share that decides. Default 0.5. */
    quorum?: number;
    seed?: number;
    noise?: number;
    maxTime?: number;
}
/** Best-of-n decision of a honeybee swarm (Seeley et al. 2012; Pais et al. 2013). `values`: the quality of each option, 1e-6 to 1e6. */
export declare function honeybee(values: Numbers, sigma?: number | HoneybeeOptions | null, quorum?: number | HoneybeeOptions, seed?: number | HoneybeeOptions): Promise<Honeybee>;
/** What {@link swarmPool} minimises. */
export type Objective = 'kl_to_pool' | 'kl_from_pool' | 'squared_distance' | 'hellinger' | 'total_variation';
/** What {@link swarmPool} may be told. */
export interface SwarmOptions extends Stoppable {
    weights?: Numbers | null;
    /** Default `kl_to_pool`. */
    objective?: Objective;
    seed?: number;
    particles?: number;
    maxIter?: number;
    tol?: number;
}
/** The distribution of least objective, found by a particle swarm on the simplex. */
export declare function swarmPool(p: Opinions, weights?: Numbers | SwarmOptions | null, objective?: Objective | SwarmOptions, seed?: number | SwarmOptions): Promise<SwarmPool>;
/** What {@link semanticClusters} may be told. */
export interface ClusterOptions extends Stoppable {
    /** The least cosine within a cluster. Default 0.8. */
    threshold?: number;
    weights?: Numbers | null;
    linkage?: 'complete' | 'single';
}
/** Clusters vectors by cosine similarity and measures their semantic entropy (Farquhar et al. 2024, discrete form). */
export declare function semanticClusters(vectors: readonly Numbers[], threshold?: number | ClusterOptions | null, options?: ClusterOptions | null): Promise<SemanticClusters>;
/** What {@link scorePanel} may be told. */
export interface PanelScoreOptions extends Stoppable {
    /** All that could be chosen. */
    options?: readonly string[] | null;
    /** Lowest and highest number. */
    scale?: readonly [number, number] | null;
    /** How far numbers that agree may be apart. */
    tolerance?: number | null;
    /** Least cosine of vectors that agree. Default 0.8. */
    similarity?: number;
    /** Share below which a faction is only counted. Default 0. */
    minorityThreshold?: number;
    /** The group of each voter that is in one, such as the model that answers for it: ballots of one group are not independent. */
    groups?: Readonly<Record<string, string>> | null;
    /** Intra-class correlation of ballots of one group, 0 to 1. Default: estimated, and where that cannot be, 1. */
    rho?: number | null;
}
/**
 * One call for a panel: decision, level, support, agreement, factions, confidence, and the arithmetic. `ballots`: one object each,
 * or `{ voter: position }`.
 */
export declare function scorePanel(ballots: readonly Ballot[] | Readonly<Record<string, Position>> | ReadonlyMap<string, Position>, options?: PanelScoreOptions | null): Promise<PanelScore>;
/** One place of texts that were aligned. */
export interface RoverSlot {
    /** What the texts have here (null: nothing), with its share of the weight, the heaviest first. */
    alternatives: [word: string | null, share: number][];
    chosen: string | null;
    /** Whether another alternative had the same share. */
    tied: boolean;
}
/** The one text that several texts vote for. */
export interface Rover {
    /** The chosen words, joined. */
    text: string;
    tokens: string[];
    /** Every place, also those where nothing won. */
    slots: RoverSlot[];
    /** The text that the others were aligned to, by its place from 0. */
    base: number;
    /** The mean share of what was chosen; 1 when all texts are equal. */
    support: number;
}
/** The one text that several texts vote for, word by word, after they were aligned (ROVER, Fiscus 1997). A text is cut at white space, or a list of words. */
export declare function rover(texts: readonly (string | readonly string[])[], options?: ({
    weights?: Numbers | null;
} & Stoppable) | null): Promise<Rover>;
