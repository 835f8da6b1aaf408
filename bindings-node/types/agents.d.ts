import { type Abortable, Embedder } from './embed.js';
import { type Where } from './kb.js';
/** An expert that can be asked. Fields are in camelCase here; in catalogue files they are in snake_case, which is taken too. */
export interface Agent {
    /** Unique within its tenant: 1 to 128 letters, digits and `-_.:`. */
    id: string;
    /** The name that people read. */
    name: string;
    /** What the agent does, in a sentence or two. */
    summary: string;
    /** The field of work as a path, such as `regulatory/us/devices`. */
    domain?: string;
    /** What the agent is able to do, by names of the taxonomy. */
    capabilities?: {
        name: string;
        level?: 'basic' | 'proficient' | 'expert';
        evidence?: string[];
    }[];
    /** What the agent can be asked, with example questions. */
    skills?: {
        id: string;
        name?: string;
        description?: string;
        examples?: string[];
        tags?: string[];
    }[];
    /** What the agent is asked about: drugs, conditions, kinds of devices, documents, authorities. */
    topics?: string[];
    /** Who is consulted together with the agent, and why. */
    worksWith?: {
        agent: string;
        why: string;
    }[];
    /** What the agent does not answer, and who does. */
    boundaries?: {
        topic: string;
        referTo?: string;
    }[];
    /** How the agent is to answer: the first of the words that the model reads. */
    instructions?: string | null;
    /** Names of the tools that the agent uses. */
    tools?: string[];
    /** Languages that the agent answers in, as BCP 47 tags. */
    languages?: string[];
    /** What the agent needs to be given. */
    inputs?: {
        name: string;
        mediaType?: string;
    }[];
    /** What the agent hands back. */
    outputs?: {
        name: string;
        mediaType?: string;
    }[];
    /** How large a model the agent needs. */
    modelTier?: 'small' | 'medium' | 'large';
    /** Expected cost of one call, in US dollars. */
    costPerCall?: number;
    /** How soon an answer can be expected. */
    latency?: 'interactive' | 'standard' | 'batch';
    /** The tenant that owns the agent; absent when all share it. */
    tenant?: string | null;
    /** Who can see an agent that a tenant owns. */
    visibility?: 'private' | 'public';
    /** Permissions that a caller needs to use the agent. */
    permissions?: string[];
    /** Free words for filtering. */
    tags?: string[];
    /** The version of this definition. */
    version?: string;
    /** Whether the agent is in use; only active agents are matched. */
    status?: 'draft' | 'active' | 'deprecated';
    /** Whether the agent can be called at present. */
    available?: boolean;
    /** Preference among equals, 0 to 10. */
    weight?: number;
    /** Where the agent is reached, when it runs elsewhere. */
    url?: string | null;
    /** The A2A card that the agent was imported from, as JSON text. */
    card?: string | null;
}
/** How a registry is opened. */
export interface RegistryOptions {
    /** The file that keeps it. Default: none, it lives in memory. */
    path?: string | URL | null;
    /** A model folder, a hub id, or an Embedder. Default `builtin`. */
    embedder?: Embedder | string | URL | null;
    /** `healthcare`, `service`, the path of a catalogue file, or null for none. Default `healthcare`. */
    catalog?: string | URL | null;
    /** How scores are mixed: any of the numbers. */
    tuning?: {
        centroidShare?: number;
        nearest?: number;
        descriptionPull?: number;
        lexical?: number;
        lexicalLift?: number;
        topicWords?: number;
        topicNearest?: number;
        weightStep?: number;
        learning?: number;
        learningPace?: number;
    } | null;
    /** How outcomes are learnt from; `alpha` (0.1) is how far it explores. Default `lin_ucb`. */
    policy?: 'lin_ucb' | 'thompson' | {
        kind: 'lin_ucb' | 'thompson';
        alpha?: number;
        seed?: number;
    } | null;
}
/** What a match must and may do. */
export interface MatchOptions extends Abortable {
    /** How many agents to return at most. Default 5. */
    k?: number;
    /** A condition on the agents' fields, in snake_case, such as `latency = 'interactive' AND tags CONTAINS 'ecg'`. */
    where?: Where | null;
    /** Capabilities that an agent must have, each itself or by a descendant. */
    require?: readonly string[] | null;
    /** Largest cost of a call, in US dollars. */
    maxCost?: number | null;
    /** A language range (RFC 4647) that the agent must answer in: `zh-Hant` is met by `zh-Hant-TW` and `zh`, not by `zh-Hans`. */
    language?: string | null;
    /** The permissions that the caller holds. Default: all. */
    permissions?: readonly string[] | null;
    /** On whose behalf. Default: shared and public agents only. */
    tenant?: string | null;
    /** Return nothing, never a guess, when nothing is confident. Default false. */
    abstain?: boolean;
    /** With `abstain`: the least sum of the confidences of those returned. Default 0.5. */
    minConfidence?: number;
    /** Whether outcomes take part in the ranking. Default true. */
    learn?: boolean;
    /** The question's embedding by the registry's embedder, when the caller has it. */
    vector?: Float32Array | Float64Array | readonly number[] | null;
}
/** What a panel must be like. */
export interface PanelOptions extends Omit<MatchOptions, 'k' | 'abstain' | 'minConfidence' | 'vector'> {
    /** How many members, 1 to 64. Default 5. */
    size?: number;
    /** The least fit of a member, 0 to 1: rather a smaller panel than one with strangers. Default 0, 0.75 is a good value. */
    minFit?: number;
    /** What counts beside relevance, 0 to 1. Default 0.3. */
    diversity?: number;
    /** How much a low cost of calls counts, 0 to 1. Default 0.05. */
    thrift?: number;
    /** How many of the most relevant agents are considered. Default 32. */
    pool?: number;
}
/** A term of a weighted sum. */
export interface Part {
    value: number;
    weight: number;
}
/** Where a match's score comes from: `dense + lexical + topics + weight + learning`. As a string it is the same for people. */
export interface MatchExplanation {
    dense: number;
    description: Part;
    centroid: Part;
    nearest: Part;
    /** The example question that is nearest, and its cosine. */
    bestExample: [string, number] | null;
    lexical: number;
    coverage: Part;
    /** The words of the question that the agent uses, each with its part of the coverage. */
    words: [string, number][];
    topics: number;
    topicWords: Part;
    topicNearest: Part;
    /** The topic that is nearest to the question, and its cosine. */
    bestTopic: [string, number] | null;
    weight: number;
    learning: number;
    outcomes: number;
    /** What is known of the best agent, from which `inScope` is computed. */
    evidence: Record<string, number | null>;
    inScope: number;
    share: number;
    admitted: number;
    toString(): string;
}
/** An agent that fits a question. */
export declare class Match {
    #private;
    /** The agent. */
    readonly agent: Agent;
    /** What the ranking goes by. Comparable within one answer. */
    readonly score: number;
    /** Probability, 0 to 1, that this agent is the right one. */
    readonly confidence: number;
    /** Where the score comes from. */
    explain(): MatchExplanation;
    /** All that is known of it, for `JSON.stringify`. */
    toJSON(): Record<string, unknown>;
}
/** Why a member sits in a panel. */
export interface Seat {
    by: 'match' | 'works_with' | 'refer_to';
    /** The other agent, where it sits there for that one's sake. */
    agent: string | null;
    /** The same in words. */
    why: string;
}
/** A member of a panel: how it fits the question, and what it adds. */
export declare class Member extends Match {
    /** How well it fits together with those that it is consulted with, 0 to 1: 1 for the best match. */
    readonly fit: number;
    /** Why it sits there: it matched, or another who did works with it or refers to it. */
    readonly seat: Seat;
    /** What the member added to the panel's value. */
    readonly gain: number;
    /** The parts of the question that this member covers best, with its fit to each. */
    readonly facets: [string, number][];
    /** Capabilities that no earlier member had. */
    readonly capabilities: string[];
}
/** What a panel covers: each part lies in 0 to 1. */
export interface Coverage {
    facets: number;
    capabilities: number;
    diversity: number;
    relevance: number;
    thrift: number;
    /** The value that was maximised. */
    value: number;
    /** Each part of the question with the best fit of a member. */
    byFacet: [string, number][];
}
/** Agents that complement each other, in the order in which they were chosen. */
export declare class Panel {
    #private;
    /** The members. */
    readonly members: Member[];
    /** What they cover together. */
    readonly coverage: Coverage;
    /** Why there are fewer members than were asked for, in words; null where there are as many. */
    readonly smaller: string | null;
    /** Why these members: what each added. */
    explain(): string;
    /** All that is known of it, for `JSON.stringify`. */
    toJSON(): Record<string, unknown>;
}
/** A change of a registry. */
export interface AgentEvent {
    /** The registry's revision after the change. */
    revision: number;
    /** What happened, as the handle sees it; `missed`: the listener did not keep up, and older events were dropped. */
    kind: 'added' | 'updated' | 'removed' | 'outcome' | 'missed' | 'other';
    /** The agent's tenant. */
    tenant: string | null;
    /** The agent's id. */
    id: string;
}
/** Changes of a registry, from the moment of subscribing on: `for await (const event of await registry.subscribe())`. */
export declare class AgentEvents implements AsyncIterableIterator<AgentEvent> {
    #private;
    /** The next change; done when the registry is closed. It keeps the process alive while it waits. */
    next(): Promise<IteratorResult<AgentEvent, undefined>>;
    /** Stops listening; `break` does it too. */
    return(): Promise<IteratorResult<AgentEvent, undefined>>;
    [Symbol.asyncIterator](): this;
    [Symbol.asyncDispose](): Promise<void>;
}
/** A version of an agent. */
export interface AgentVersion {
    /** The registry's revision that made it. */
    revision: number;
    /** The definition; null where the agent was removed. */
    agent: Agent | null;
}
/** A question, and the id of the agent that answers it; null where nobody does. */
export type Answered = readonly [question: string, agentId: string | null];
/** The numbers that turn scores into confidence. They belong to the embedder that they were fitted for. */
export interface Calibration {
    /** Of the log-odds of being in scope: the intercept, then slopes. */
    intercept: number;
    dense: number;
    lexical: number;
    few: number;
    fewDense: number;
    fewCompany: number;
    /** Added where questions out of scope are stated. */
    stated: number;
    outside: number;
    /** Of the softmax over scores. */
    temperature: number;
    /** How much the temperature grows with the weight of the description. */
    widening: number;
}
/**
 * Agents, found by what they can do.
 *
 * `new AgentRegistry(...)` returns at once and opens on another thread; `await AgentRegistry.open(...)` waits for it, and fails
 * here when it cannot be opened.
 */
export declare class AgentRegistry {
    #private;
    /** Codes: `locked`, `corrupt`, `format_version`, `embedder_mismatch`, and those of the catalogue and of the embedder. */
    constructor(options?: RegistryOptions | null);
    /** Opens a registry and waits until it is open. */
    static open(options?: RegistryOptions | null): Promise<AgentRegistry>;
    /** A handle for one tenant: it sees its own, shared and public agents, and changes only its own. */
    tenant(name: string): Promise<AgentRegistry>;
    /** Adds an agent and gives it back with all its defaults. Codes: `duplicate_id`, `unknown_capability`, `tenant_violation`. */
    add(agent: Agent): Promise<Agent>;
    /** Adds many agents at once: all or none. Codes: as {@link add}. */
    addAll(agents: readonly Agent[], options?: Abortable | null): Promise<Agent[]>;
    /** Replaces the definition of an agent. Codes: `unknown_id`, otherwise as {@link add}. */
    update(agent: Agent): Promise<Agent>;
    /** Removes an agent and what was learnt about it. Codes: `unknown_id`, `tenant_violation`. */
    remove(id: string): Promise<void>;
    /** The agent with this id. Code: `unknown_id`. */
    get(id: string): Promise<Agent>;
    /** The agents that this handle sees, by id: those that match a filter or `{ where: filter }`, else all. */
    list(where?: Where | {
        where?: Where | null;
    } | null): Promise<Agent[]>;
    /** How many agents this handle sees. */
    count(): Promise<number>;
    /**
     * The best agents for a question, best first; of equals the one with the lower id, then the one without a tenant. None, never
     * a guess, when nothing is confident and `abstain` is set. Codes: `empty_input`, `unknown_capability`, `filter_type`.
     */
    match(query: string, options?: MatchOptions | null): Promise<Match[]>;
    /**
     * Agents that complement each other on a question: not the top ones alike. With `require`, all together have all, wherever
     * `size` agents can. Codes: `empty_input`, `not_found`, `invalid_argument`, `too_large`.
     */
    selectPanel(question: string, options?: PanelOptions | null): Promise<Panel>;
    /** Records how well an agent did on a question: `reward` from 0 (useless) to 1. Matches learn from it. */
    recordOutcome(agentId: string, query: string, reward: number): Promise<void>;
    /** Adds the agent that an A2A card describes: an object, or its JSON. */
    importCard(card: string | object): Promise<Agent>;
    /** The A2A card of an agent. Code: `unknown_id`. */
    exportCard(id: string): Promise<Record<string, unknown>>;
    /** Adds the agents of a catalogue file, replacing those that are there already; says how many it has. */
    load(path: string | URL, options?: Abortable | null): Promise<number>;
    /** Writes what this handle can load again to a catalogue file, a tenant's its own: JSON when its name ends in `.json`, else YAML. */
    save(path: string | URL): Promise<void>;
    /** The questions that are stated to be nobody's: those for all tenants, then this handle's tenant's own. */
    outOfScope(): Promise<string[]>;
    /**
     * States which questions are nobody's, instead of those that this handle stated before: a tenant's for the tenant, the
     * administrator's for all. A question that is like one of them finds nobody confidently. Codes: `invalid_argument` for an empty
     * question, `too_large` for more than 10,000 or more than 8 MiB of them, and those of the embedder.
     */
    setOutOfScope(questions: readonly string[], options?: Abortable | null): Promise<void>;
    /** The numbers that turn scores into confidence here. */
    calibration(): Promise<Calibration>;
    /**
     * Fits confidence to this registry and keeps it: to questions with the id of the agent that answers them (null: nobody), and to
     * the registry's own, which are the agents' examples and the questions {@link outOfScope}. A few questions change the numbers a
     * little, many a lot. The administrator's handle alone can. Codes: `empty_input` unless there are questions in scope and out of
     * scope, `unknown_id`, `tenant_violation`, and those of the embedder.
     */
    calibrate(questions?: Answered[] | Record<string, string | null> | Map<string, string | null> | null, options?: Abortable | null): Promise<Calibration>;
    /** The capabilities that agents may name, with their titles; empty when any may be named. */
    taxonomy(): Promise<Record<string, string>>;
    /** Changes from now on. A tenant's handle hears of what it sees. */
    subscribe(): Promise<AgentEvents>;
    /** Every version of an agent, oldest first, also when it was removed; of another tenant's those that were public. Code: `unknown_id`. */
    versions(id: string): Promise<AgentVersion[]>;
    /** Lets go of the file, once the handles of tenants are closed too. Further calls fail with code `closed`. */
    close(): Promise<void>;
    /** Closes at the end of an `await using` block. */
    [Symbol.asyncDispose](): Promise<void>;
}
/** The JSON Schema (draft 2020-12) of an agent's definition. */
export declare function agentSchema(): Record<string, unknown>;
