import type { Abortable } from './embed.js';
import { QuorateError } from './errors.js';
import type { KnowledgeBase } from './kb.js';
import { type JsonSchema, type StandardSchema } from './schema.js';
import { EventStream } from './streams.js';
/** What people, models and tools say to one another; {@link messageSchema} is its JSON Schema. */
export interface Message {
    role: 'system' | 'user' | 'assistant' | 'tool';
    /** A text, or parts: `text`, `image`, `tool_call`, `tool_result`, `reasoning`, `refusal`, `opaque`. */
    content?: string | readonly (string | {
        type: string;
        [member: string]: unknown;
    })[] | null;
    /** The tool calls of an assistant's message. */
    toolCalls?: readonly Pick<ToolCall, 'id' | 'name' | 'arguments'>[];
    /** The call that a tool's message answers. */
    toolCallId?: string;
    /** Whether the tool failed. */
    error?: boolean;
    [member: string]: unknown;
}
/** The conversation: a text, or messages; a {@link Reply} can stand among them. */
export type Messages = string | readonly (Message | Reply)[];
/** A tool as a model sees it. */
export interface Tool {
    /** Letters, digits, `_` and `-`, at most 64. */
    name: string;
    /** What it does and when to use it. */
    description?: string;
    /** The form of its arguments. */
    schema?: JsonSchema | StandardSchema;
}
/** Why an answer ended. */
export type Finish = 'stop' | 'tool_calls' | 'length' | 'refusal' | 'filtered';
/** Tokens, as the service counted them. What it did not tell is 0. */
export interface Usage {
    /** All that the model read, cached or not. */
    input: number;
    /** All that it wrote, reasoning included. */
    output: number;
    /** Of the input: read from the service's cache. */
    cached: number;
    /** Of the input: written to the service's cache for minutes. */
    cacheWritten: number;
    /** Of the input: written to the service's cache for an hour. */
    cacheWritten1h: number;
    /** Of the output: reasoning. */
    reasoning: number;
}
/** A tool that the model wants to have run. */
export interface ToolCall {
    /** Names the call; its result says it as `toolCallId`. */
    id: string;
    name: string;
    /** Empty in a call that is broken. */
    arguments: Record<string, unknown>;
    /** What the model wrote where that is no JSON object. */
    broken?: string;
}
/** An answer, or as much of it as came. */
export interface Reply<T = unknown> {
    text: string;
    /** The tool calls that may run: strictly valid, and the answer ended in order to have them run. */
    toolCalls: ToolCall[];
    /** The tool calls that must not run: their arguments are no JSON object, or the answer was cut. */
    brokenCalls: ToolCall[];
    /** The answer as data, where a form was asked for; else null. */
    output: T | null;
    /** Tokens over all requests of the call. */
    usage: Usage;
    /** US dollars over all requests of the call; null where the price is unknown, or what one of them used. */
    cost: number | null;
    /** Requests that were sent for it, fallbacks and repairs included. */
    attempts: number;
    /** The model that answered, as the service calls it. */
    model: string;
    /** Why it ended; null where the call failed. */
    finish: Finish | null;
    /** The words by which the model declined. */
    refusal: string | null;
    /** What can be read of its reasoning. */
    reasoning: string;
    /** What the model said, for the messages of the next request. */
    message: Message;
    /** What was odd, but no error. */
    warnings: string[];
}
/** One event of a stream. Exactly one of `end`, `error` and `cancelled` comes, and comes last. */
export type ModelEvent<T = unknown> = {
    type: 'text' | 'reasoning' | 'refusal';
    delta: string;
}
/** For display only; `tool_call` has the arguments whole. */
 | {
    type: 'tool_input';
    index: number;
    id: string;
    name: string;
    delta: string;
}
/** A call that may run. */
 | {
    type: 'tool_call';
    id: string;
    name: string;
    arguments: Record<string, unknown>;
} | {
    type: 'warning';
    message: string;
}
/** Another attempt begins; `keep`: how much of the text given so far holds, in UTF-16 units. */
 | {
    type: 'retry';
    attempt: number;
    error: QuorateError;
    wait: number;
    keep: number;
} | {
    type: 'end';
    result: Reply<T>;
} | {
    type: 'error';
    error: QuorateError;
    result: Reply<T>;
} | {
    type: 'cancelled';
    result: Reply<T>;
};
/** How calls of one model are retried and bounded. Times are in seconds. */
export interface Resilience {
    /** Most attempts of one call at this model, 1 to 10. Default 3. */
    attempts?: number;
    /** For one attempt that answers as a whole. Default 60. */
    attemptTimeout?: number;
    /** Until the first byte of a stream. Default 30. */
    firstByteTimeout?: number;
    /** From one piece of a stream to the next. Default 20. */
    stallTimeout?: number;
    /** For a whole call with all its attempts, waits, repairs and fallbacks. Default: no other limit than theirs. */
    deadline?: number | null;
    /** Most requests a minute; further ones wait. */
    requestsPerMinute?: number | null;
    /** Most tokens a minute, read and written; further requests wait. */
    tokensPerMinute?: number | null;
    /** Most calls under way at once; others wait. Default 8. */
    maxConcurrent?: number;
    /** So many failures in a row, and the model is not asked for so many seconds; null: never. Default [5, 30]. */
    breaker?: readonly [failures: number, seconds: number] | null;
    /** Models to ask, in this order, when this one fails for a reason that may not hold for them. */
    fallback?: readonly Model[];
    /** Fixes the jitter of the waits. */
    seed?: number | null;
}
/** US dollars per million tokens; a rate may rise with the tokens that are read: `[[from, rate], ...]`. */
export interface Price {
    input: number | [from: number, rate: number][];
    output: number | [from: number, rate: number][];
    cached?: number | [from: number, rate: number][];
    cacheWritten?: number | [from: number, rate: number][];
    cacheWritten1h?: number | [from: number, rate: number][];
    reasoning?: number | [from: number, rate: number][];
}
/** The options that every kind of model takes. */
export interface CommonModelOptions {
    resilience?: Resilience | null;
    /** What tokens cost. Default: as in the file that ships; a cost is null where they are not there. */
    price?: Price | null;
}
/** The options of a {@link Model}. */
export interface ModelOptions extends CommonModelOptions {
    /** Where the service is. Default: where its interface's own provider is. */
    baseUrl?: string | URL | null;
    /** The key. Default: from the environment. It shows in no log, error or recording. */
    apiKey?: string | null;
    /** How answers in a given form are asked for. Default: the best way that the service takes. */
    outputWay?: 'native' | 'tool' | 'prompt' | null;
    /** Threads of a model that runs in this process (`local:PATH`). Default: as many as other work of quorate has. */
    threads?: number | null;
    /** The knowledge base of the model `extractive`. */
    kb?: KnowledgeBase | null;
    /** How likely it must be, 0 to 1, that the sentences of `kb` answer; below it `extractive` says that they do not. Default .5. */
    minConfidence?: number | null;
}
/** The options of a question. */
export interface AskOptions<T = unknown> extends Abortable {
    tools?: readonly Tool[] | null;
    /** `auto`, `none`, `required`, or a tool's name. */
    toolChoice?: 'auto' | 'none' | 'required' | (string & {}) | null;
    /** The form of the answer. */
    output?: JsonSchema | StandardSchema<T> | null;
    /** How often the model is told at most what of its output does not fit, 0 to 5. Default 2. */
    repairs?: number | null;
    /** Most tokens of the answer, reasoning included. */
    maxTokens?: number | null;
    temperature?: number | null;
    /** Texts that end the answer. */
    stop?: string | readonly string[] | null;
    /** For services that repeat themselves on request. */
    seed?: number | null;
    /** Ask the service to keep the conversation in its cache. */
    cache?: boolean;
    /** Fields of the service's own interface. */
    extra?: Record<string, unknown> | null;
}
/** A count of tokens. */
export interface TokenCount {
    tokens: number;
    /** Whether they were counted with the model's own tokenizer. */
    exact: boolean;
}
/**
 * A language model. Its calls share limits and breaker. `name` is `WIRE:NAME`: `openai:NAME` speaks the chat-completions interface
 * (OpenAI, and every server that speaks it, by `baseUrl`), `anthropic:NAME` the messages interface; `local:PATH` is a GGUF file, or a
 * folder with safetensors, that runs in this process: `await Model.open(...)` reads its files on another thread, and `new Model(...)` on
 * this one, which takes seconds for a large one. `extractive` is no language model: it answers by sentences of the knowledge base `kb`,
 * cited, or says that they are not in the sources. Nothing is sent before the first call.
 */
export declare class Model {
    #private;
    /** Codes: `invalid_argument`, `not_finite`; of local models `model_not_found`, `model_invalid`, `model_unsupported`, `too_large`. */
    constructor(name: string, options?: ModelOptions | null);
    /** Opens a model on another thread. Codes: those of the constructor. */
    static open(name: string, options?: ModelOptions | null): Promise<Model>;
    /** `WIRE:NAME`, as prices, recordings and messages name the model. */
    get id(): string;
    /** What its tokens cost; null where that is unknown. */
    get price(): Price | null;
    /**
     * Asks, and gives the whole answer. Codes: `offline`, `timeout`, `rate_limited`, `circuit_open`, `remote_failed`,
     * `remote_invalid`, `stream_incomplete`, `model_not_found`, `context_overflow`, `output_invalid`, `model_refused`,
     * `replay_mismatch`, `callback`, `cancelled`, and those of arguments.
     */
    complete<T = unknown>(messages: Messages, options?: AskOptions<T> | null): Promise<Reply<T>>;
    /**
     * Asks, and gives the answer piece by piece: `for await (const event of model.stream(messages))`. What goes wrong after the request
     * was read is the last event, and so is an abort of `signal`. Nothing is sent before the first event is asked for.
     */
    stream<T = unknown>(messages: Messages, options?: AskOptions<T> | null): ModelStream<T>;
    /** The tokens that a request takes before the model writes any. */
    countTokens(messages: Messages, options?: Pick<AskOptions, 'tools' | 'output' | 'signal'> | null): Promise<TokenCount>;
}
/** What a {@link ScriptedModel} says: a text, an answer, an error, or an object. */
export type ScriptedReply = string | Reply | QuorateError | {
    text?: string;
    content?: Message['content'];
    toolCalls?: readonly {
        id?: string;
        name: string;
        arguments?: Record<string, unknown> | string;
    }[];
    refusal?: string;
    finish?: Finish;
    usage?: Partial<Usage>;
    model?: string;
};
/** A request as a function of a {@link ScriptedModel} gets it: what was not given is not there. */
export interface ScriptedRequest {
    messages: Message[];
    tools?: {
        name: string;
        description: string;
        schema: JsonSchema;
    }[];
    output?: JsonSchema;
    [member: string]: unknown;
}
/** A function that answers in the place of a model. */
type Answerer = (request: ScriptedRequest) => ScriptedReply | PromiseLike<ScriptedReply>;
/** A model for tests: replies in their order, one for each call, or a function of the request. Streams come word by word. */
export declare class ScriptedModel extends Model {
    /** Codes: `invalid_argument`, also for a call after the last reply; `callback` when the function fails. */
    constructor(replies: readonly ScriptedReply[] | Answerer, options?: (CommonModelOptions & {
        id?: string | null;
    }) | null);
}
/** The events of one answer, as they come. The connection closes when the stream ends, is left or is forgotten. */
export declare class ModelStream<T = unknown> extends EventStream<ModelEvent<T>> {
    /** Reads what is left, and gives the whole answer. Codes: those of {@link Model.complete}. */
    result(): Promise<Reply<T>>;
}
/** The JSON Schema (draft 2020-12) of one message in the neutral form. */
export declare function messageSchema(): JsonSchema;
export {};
