/** How far a story has come. */
export type StoryStatus = 'open' | 'measuring' | 'achieved' | 'abandoned';
/** By what a story is measured. */
export interface JobOutcome {
    /** What is measured, such as `days_to_answer`; unique within the story. */
    metric: string;
    /** What it says, for people. */
    description?: string | null;
    /** In what it is counted. */
    unit?: string | null;
    /** What it was before. */
    baseline?: number | null;
    /** What is to be reached. */
    target?: number | null;
    /** Which way is better. Default: from the baseline to the target, and up where there is no baseline. */
    better?: 'higher' | 'lower' | null;
}
/** What a story says. */
export interface JobStoryInput {
    /** What people read. Default: the beginning of the motivation. */
    title?: string | null;
    /** When it is wanted. */
    situation: string;
    /** What is wanted. */
    motivation: string;
    /** What it is wanted for. */
    expectedOutcome: string;
    /** The field that it belongs to. */
    domain?: string | null;
    /** The higher goes first. Default 1. */
    priority?: number | null;
    /** By what it is measured: metrics, or what is known of them. */
    outcomes?: readonly (string | JobOutcome)[] | null;
    /** Who wants it. */
    role?: string | null;
    /** How far it has come. */
    status?: StoryStatus | null;
}
/** A job to be done: a situation, what somebody wants in it, and what for. */
export declare class JobStory {
    readonly title: string;
    readonly situation: string;
    readonly motivation: string;
    readonly expectedOutcome: string;
    readonly domain: string | null;
    readonly priority: number;
    readonly outcomes: readonly JobOutcome[];
    readonly role: string;
    readonly status: StoryStatus;
    /** Codes: `invalid_argument`, `too_large`, `not_finite`, `invalid_text`. */
    constructor(story: JobStoryInput);
    /**
     * Reads the sentence form, in English: `When ..., I want to ..., so I can ...`, also in other orders, and with who wants it before: `As a
     * nurse, ...`. Codes: `story_syntax` names every part that is missing; `too_large`.
     */
    static parse(sentence: string): JobStory;
}
/** A value of the input that a story does not give. */
export interface Unfilled {
    /** Where, as expressions name it: `input.device`. */
    path: string;
    /** What the schema says of it. */
    description: string;
    /** The JSON type; empty where any is possible. */
    type: string;
    /** Whether the workflow does not start without it. */
    required: boolean;
}
/** A template that was compared with a story. */
export interface TemplateCandidate {
    template: string;
    title: string;
    /** Probability, 0 to 1, that it does the job. */
    confidence: number;
    score: number;
    meaning: number;
    /** The words of the story that it has, each with its weight. */
    words: [string, number][];
    nearest: [string, number] | null;
    topic: [string, number] | null;
}
/** Where a draft comes from; `String(...)` of it says it to people. */
export interface DraftExplanation {
    /** Whether the template was named, instead of chosen. */
    named: boolean;
    /** From which confidence on a template is taken that was not named. */
    bound: number;
    /** The templates that were compared, the likeliest first. */
    candidates: TemplateCandidate[];
    /** What the story gave: where, what, by which part, in which words. */
    filled: {
        path: string;
        value: any;
        part: string;
        words: string;
    }[];
    /** What the customization changed. */
    customized: string[];
    toString(): string;
}
/** How a draft is made. */
export interface GenerateOptions {
    /** A template by its id, or the last part of it; or the domain from which one is chosen. */
    type?: string | null;
    /** What is laid over the workflow, as an overlay's `patch`. */
    customization?: Readonly<Record<string, unknown>> | null;
}
/** A workflow that was made for a story. It is a text and nothing else: no run was started, and no engine knows it. */
export declare class Draft {
    #private;
    /** The id of the workflow. */
    readonly id: string;
    /** The workflow as YAML, with everything in it: what `engine.add` takes. */
    readonly workflow: string;
    /** The template that it was made from. */
    readonly template: string;
    /** The version of that. */
    readonly templateVersion: string;
    /** Probability, 0 to 1, that the template does the job. */
    readonly score: number;
    /** What the story gives of the input. */
    readonly input: Record<string, any>;
    /** The values of the input that the story does not give, the required first. */
    readonly unfilled: readonly Unfilled[];
    /** Why this template, and which words gave which value. */
    explain(): DraftExplanation;
}
/** What was measured once. */
export interface Measurement {
    metric: string;
    value: number;
    /** When, in seconds since 1970. */
    time: number;
    /** Whether it reaches the target of the story's outcome; null where that has none. */
    reached: boolean | null;
}
/** A story as it is kept. */
export interface KeptStory {
    /** By which it is named. */
    id: string;
    /** When it was added, in seconds since 1970. */
    added: number;
    /** What it says, with its status as it is now. */
    story: JobStory;
    /** Everything that was measured, the oldest first. */
    measurements: Measurement[];
}
/** The stories of a store, with all that was measured: `store.stories`. */
export declare class Stories {
    #private;
    /** Keeps a story under an id of its own. It is on the disk when this resolves. Codes: those of `JobStory`; `io`, `disk_full`. */
    add(story: JobStory | JobStoryInput): Promise<KeptStory>;
    /** A story with all that was measured. Codes: `unknown_id`, `corrupt`, `io`. */
    get(id: string): Promise<KeptStory>;
    /** All stories, the oldest first; those with a status. Codes: `invalid_argument`, `corrupt`, `io`. */
    list(options?: {
        status?: StoryStatus | null;
    } | null): Promise<KeptStory[]>;
    /** Keeps a measurement beside the earlier ones. Codes: `unknown_id`; `not_found` for a metric that is none of the story's; `not_finite`. */
    outcome(id: string, metric: string, value: number): Promise<KeptStory>;
    /** Says that nobody wants it any more, or that somebody does again. Code: `unknown_id`. */
    abandon(id: string, abandoned?: boolean): Promise<KeptStory>;
    /** Removes a story and all that was measured; no file has a byte of them then. Code: `unknown_id`. */
    remove(id: string): Promise<void>;
}
