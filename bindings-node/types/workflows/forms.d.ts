/** The place where a graph begins. */
export declare const START = "__start__";
/** The place where a graph ends. */
export declare const END = "__end__";
/** A task of its own for a node, with a state of its own: one for each part of something. */
export declare class Send {
    readonly node: string;
    readonly state: unknown;
    /** `node`: its name; `state`: what it sees in the place of the graph's state. */
    constructor(node: string, state: unknown);
}
/** Where to go next, beside where edges lead, with what is written first. */
export declare class Goto {
    readonly to: string | Send | readonly (string | Send)[];
    /** What is written, by channel. */
    readonly update: Readonly<Record<string, unknown>> | null;
    /** `to`: the name of a node, {@link END}, a {@link Send}, or several of them. */
    constructor(to: string | Send | readonly (string | Send)[], options?: {
        update?: Readonly<Record<string, unknown>> | null;
    } | null);
}
/** How often and when a node that has failed is tried again. */
export interface RetryOptions {
    /** How often it is tried in all. Default 3. */
    maxAttempts?: number | null;
    /** Seconds before the second try. Default 0.5. */
    initial?: number | null;
    /** By what each wait is longer than the one before. Default 2. */
    factor?: number | null;
    /** The longest wait, in seconds. Default 60. */
    longest?: number | null;
    /** Whether an error is worth another try; it may be asynchronous. Default: all but those of wrong arguments. */
    on?: ((error: {
        code: string;
        message: string;
    }) => boolean | PromiseLike<boolean>) | null;
}
/** How often and when a node that has failed is tried again: `new Retry({ maxAttempts: 3 })`, or a plain object. */
export declare class Retry implements RetryOptions {
    maxAttempts?: number | null;
    initial?: number | null;
    factor?: number | null;
    longest?: number | null;
    on?: RetryOptions['on'];
    /** Code: `invalid_argument`, where it is given to a node. */
    constructor(options?: RetryOptions | null);
}
/** Where a node or a route leads: names of nodes, and tasks of their own. */
export type Targets = string | Send | readonly (string | Send)[] | null | undefined;
/** What a node gives: what it writes, and where it goes. */
export type NodeResult = Readonly<Record<string, unknown>> | Goto | Send | readonly (Readonly<Record<string, unknown>> | Goto | Send)[] | null | undefined | void;
