import { type Abortable } from './embed.js';
import type { Message, Messages } from './models.js';
/** How a conversation is kept. */
export interface ConversationOptions {
    /** Names it; with an id that is known it goes on as it was begun. Default: a new one. */
    id?: string | null;
    /** Whom it is with: facts about this user that a question is about are taken along. */
    user?: string | null;
    /** The most tokens of what a question takes along. Default 4,000. */
    maxTokens?: number | null;
    /** What happens to what does not fit: it is left out, summed up, or taken along where the question is about it. Default `window`. */
    keep?: 'window' | 'summary' | 'recall' | null;
}
/** A question and its answer. */
export interface Turn {
    /** Names it, to be forgotten. */
    id: string;
    /** The run that answered; empty for what was added by hand. */
    runId: string;
    /** When, in seconds since 1970. */
    time: number;
    /** What was said. */
    messages: Message[];
}
/** All of a conversation. */
export interface ConversationExport {
    /** The conversation's id. */
    id: string;
    /** Whom it is with. */
    user: string | null;
    /** The turns, the oldest first. */
    turns: Turn[];
}
/** Something that is known about a user. */
export interface UserFact {
    /** Names it, to be forgotten. */
    id: string;
    /** What is known. */
    text: string;
    /** From where. */
    source: string | null;
    /** Since when, in seconds since 1970. */
    time: number;
}
/** What was said before; made by `Runtime.conversation`. It is kept in the runtime's store, and questions asked in it join it. */
export declare class Conversation {
    #private;
    /** Names it. */
    readonly id: string;
    /** Whom it is with. */
    readonly user: string | null;
    /** The most tokens of what a question takes along. */
    readonly maxTokens: number;
    /** What happens to what does not fit. */
    readonly keep: 'window' | 'summary' | 'recall';
    /** The turns, the oldest first. */
    turns(): Promise<Turn[]>;
    /** All that was said. */
    messages(): Promise<Message[]>;
    /** Adds what was said elsewhere, as one turn. Codes: `empty_input`, `invalid_argument`. */
    add(messages: Messages): Promise<void>;
    /**
     * Forgets the turns with these ids, or of these runs; all of them without. They are gone from the disk too; the journals of their
     * runs are not. Gives how many there were. Code: `invalid_argument`.
     */
    forget(which?: string | readonly string[] | null): Promise<number>;
    /** All of it, for `JSON.stringify`. */
    export(): Promise<ConversationExport>;
}
/** What is known about users, of one tenant; it is kept in the store of the runtime. */
export declare class Memory {
    #private;
    /** Keeps a fact about a user; `source`: from where. Codes: `empty_input`, `too_large`, `invalid_argument`. */
    remember(user: string, fact: string, options?: {
        source?: string | null;
    } | null): Promise<UserFact>;
    /** The `k` facts about a user that a query is about, the best first. `k`: 5. */
    recall(user: string, query: string, options?: ({
        k?: number | null;
    } & Abortable) | null): Promise<UserFact[]>;
    /** All facts about a user, the oldest first. */
    facts(user: string): Promise<UserFact[]>;
    /** Forgets one fact about a user, or all; they are gone from the disk too. Gives how many there were. Code: `unknown_id`. */
    forget(user: string, id?: string | null): Promise<number>;
}
