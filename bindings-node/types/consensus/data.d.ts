/** An id or a value: text or a number. A BigInt stands for a whole number beyond 2^53. */
export type Label = string | number | bigint;
/** Labels in one dimension. */
export type Column = ArrayLike<Label | boolean | null | undefined> | BigInt64Array;
/** Ratings as three columns of equal length; crowd-kit's names are taken too. */
export type RatingsTable = {
    items: Column;
    raters: Column;
    values: Column;
} | {
    item: Column;
    rater: Column;
    value: Column;
} | {
    task: Column;
    worker: Column;
    label: Column;
};
/** Ratings as one object each. */
export type RatingsRows = readonly ({
    items: Label;
    raters: Label;
    values: Label;
} | {
    item: Label;
    rater: Label;
    value: Label;
} | {
    task: Label;
    worker: Label;
    label: Label;
})[];
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
export type RatingsArguments<O> = [data: RatingsInput, options?: O | null] | [items: Column, raters: Column, values: Column, options?: O | null];
/** Who rated what how, made once by {@link ratings} and used often. */
export declare class Ratings {
    #private;
    /** The ids of the items, in order of first appearance. */
    get items(): Label[];
    /** The ids of the raters, in order of first appearance. */
    get raters(): Label[];
    /** The values, sorted, or in the order of the domain. */
    get categories(): Label[];
    /** How many ratings there are. */
    get length(): number;
}
/** Ratings from any of the forms that are taken, to be made once and used often. */
export declare function ratings(...args: RatingsArguments<Omit<RatingsOptions, 'signal'> & {
    weights?: Keyed<number> | null;
}>): Ratings;
