// What was said before, and what is known about a user?

import type * as Native from '../native.js';
import { type Abortable } from './embed.js';
import { abortable, bounded, options as checked, parse, settle } from './call.js';
import { invalid } from './errors.js';
import { kept } from './handles.js';
import { neutral } from './messages.js';
import type { Message, Messages } from './models.js';
import { native } from './native.js';

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

/** @internal The native halves of conversations. */
export const conversations = new WeakMap<object, Native.Conversation>();

/** What was said before; made by `Runtime.conversation`. It is kept in the runtime's store, and questions asked in it join it. */
export class Conversation {
  /** Names it. */
  readonly id: string;
  /** Whom it is with. */
  readonly user: string | null;
  /** The most tokens of what a question takes along. */
  readonly maxTokens: number;
  /** What happens to what does not fit. */
  readonly keep: 'window' | 'summary' | 'recall';
  readonly #native: Native.Conversation;

  /** @internal */
  constructor(of: Native.Conversation, runtime: object) {
    if (!(of instanceof native.Conversation)) throw invalid('a conversation is made by the conversation of a Runtime');
    this.#native = of;
    this.id = of.id;
    const { user, maxTokens, keep } = parse<Required<ConversationOptions>>(of.options);
    this.user = user;
    this.maxTokens = maxTokens as number;
    this.keep = keep as 'window';
    conversations.set(this, of);
    kept.set(this, runtime);
  }

  /** The turns, the oldest first. */
  async turns(): Promise<Turn[]> {
    return parse(await settle(() => this.#native.turns()));
  }

  /** All that was said. */
  async messages(): Promise<Message[]> {
    return (await this.turns()).flatMap((turn) => turn.messages);
  }

  /** Adds what was said elsewhere, as one turn. Codes: `empty_input`, `invalid_argument`. */
  async add(messages: Messages): Promise<void> {
    const read = Array.isArray(messages) ? bounded(messages as Exclude<Messages, string>, 'messages').map(neutral) : messages;
    await settle(() => this.#native.add(read));
  }

  /**
   * Forgets the turns with these ids, or of these runs; all of them without. They are gone from the disk too; the journals of their
   * runs are not. Gives how many there were. Code: `invalid_argument`.
   */
  async forget(which?: string | readonly string[] | null): Promise<number> {
    return settle(() => this.#native.forget(which));
  }

  /** All of it, for `JSON.stringify`. */
  async export(): Promise<ConversationExport> {
    return { id: this.id, user: this.user, turns: await this.turns() };
  }
}

/** What is known about users, of one tenant; it is kept in the store of the runtime. */
export class Memory {
  readonly #native: Native.Runtime;

  /** @internal */
  constructor(of: Native.Runtime, runtime: object) {
    if (!(of instanceof native.Runtime)) throw invalid('a memory is that of a Runtime');
    this.#native = of;
    kept.set(this, runtime);
  }

  /** Keeps a fact about a user; `source`: from where. Codes: `empty_input`, `too_large`, `invalid_argument`. */
  async remember(user: string, fact: string, options?: { source?: string | null } | null): Promise<UserFact> {
    const { source } = checked(options, ['source']);
    return parse(await settle(() => this.#native.remember(user, fact, source)));
  }

  /** The `k` facts about a user that a query is about, the best first. `k`: 5. */
  async recall(user: string, query: string, options?: ({ k?: number | null } & Abortable) | null): Promise<UserFact[]> {
    const { k, signal } = checked(options, ['k', 'signal']);
    return parse(await abortable(signal, true, (cancel) => this.#native.recall(user, query, k ?? 5, cancel)));
  }

  /** All facts about a user, the oldest first. */
  async facts(user: string): Promise<UserFact[]> {
    return parse(await settle(() => this.#native.facts(user)));
  }

  /** Forgets one fact about a user, or all; they are gone from the disk too. Gives how many there were. Code: `unknown_id`. */
  async forget(user: string, id?: string | null): Promise<number> {
    return settle(() => this.#native.forget(user, id));
  }
}
