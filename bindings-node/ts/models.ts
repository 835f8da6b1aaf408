// How are language models asked?

import type * as Native from '../native.js';
import { type Hosting, abortable, admitted, bounded, checkSignal, hosting, now, options as checked, parse, reason, settle } from './call.js';
import type { Abortable } from './embed.js';
import { Cancelled, QuorateError, codeOf, errorOf, invalid } from './errors.js';
import { bases, callers, halfOf, kept, models } from './handles.js';
import type { KnowledgeBase } from './kb.js';
import { neutral, isReply } from './messages.js';
import { native } from './native.js';
import { type JsonSchema, type StandardSchema, check, isStandard, schemaOf } from './schema.js';
import { EventStream, ending } from './streams.js';
import { within } from './tracing.js';

/** What people, models and tools say to one another; {@link messageSchema} is its JSON Schema. */
export interface Message {
  role: 'system' | 'user' | 'assistant' | 'tool';
  /** A text, or parts: `text`, `image`, `tool_call`, `tool_result`, `reasoning`, `refusal`, `opaque`. */
  content?: string | readonly (string | { type: string; [member: string]: unknown })[] | null;
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
export type ModelEvent<T = unknown> =
  | { type: 'text' | 'reasoning' | 'refusal'; delta: string }
  /** For display only; `tool_call` has the arguments whole. */
  | { type: 'tool_input'; index: number; id: string; name: string; delta: string }
  /** A call that may run. */
  | { type: 'tool_call'; id: string; name: string; arguments: Record<string, unknown> }
  | { type: 'warning'; message: string }
  /** Another attempt begins; `keep`: how much of the text given so far holds, in UTF-16 units. */
  | { type: 'retry'; attempt: number; error: QuorateError; wait: number; keep: number }
  | { type: 'end'; result: Reply<T> }
  | { type: 'error'; error: QuorateError; result: Reply<T> }
  | { type: 'cancelled'; result: Reply<T> };

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

function modelOf(of: unknown, what: string): Native.LanguageModel {
  return halfOf(models, of, what, 'a Model');
}

function fallbackOf(given: readonly Model[] | null | undefined): Native.Fallback {
  const out = new native.Fallback();
  if (given === undefined || given === null) return out;
  if (!Array.isArray(given)) throw invalid('fallback is not an array of models');
  bounded(given, 'fallback').forEach((model, i) => out.add(modelOf(model, `fallback[${i}]`)));
  return out;
}

/** The options of a model as the native half takes them, and the models of its resilience, also as they were given. */
function common<T extends CommonModelOptions>(
  given: T | null | undefined,
): [options: Record<string, unknown>, fallback: Native.Fallback, models: readonly Model[]] {
  const { resilience, ...rest } = checked(given);
  const { fallback, ...others } = checked(resilience);
  const options: Record<string, unknown> = { ...rest, resilience: others };
  if (options['baseUrl'] instanceof URL) options['baseUrl'] = options['baseUrl'].href;
  return [options, fallbackOf(fallback), [...(fallback ?? [])]];
}

/** The model whose answers are sentences of a knowledge base, and what it needs; none where another one is meant. */
function extractive(name: string, given: ModelOptions): [opened: Native.LanguageModel, keep: unknown] | undefined {
  const { kb, baseUrl, apiKey, outputWay, threads, ...rest } = given;
  if (name !== 'extractive' && (kb === undefined || kb === null)) return undefined;
  if (name !== 'extractive' || kb === undefined || kb === null) {
    throw invalid("the model 'extractive' is opened with kb, a knowledge base; other models have none");
  }
  if ([baseUrl, apiKey, outputWay, threads].some((option) => option !== undefined && option !== null)) {
    throw invalid('the extractive model takes resilience, price, kb and minConfidence alone');
  }
  const [options, fallback, others] = common(rest);
  const base = halfOf(bases, kb, 'kb', 'a KnowledgeBase');
  return [now(() => native.LanguageModel.extractive(base, options, fallback)), [kb, others]];
}

const MADE = Symbol('made');

/**
 * A language model. Its calls share limits and breaker. `name` is `WIRE:NAME`: `openai:NAME` speaks the chat-completions interface
 * (OpenAI, and every server that speaks it, by `baseUrl`), `anthropic:NAME` the messages interface; `local:PATH` is a GGUF file, or a
 * folder with safetensors, that runs in this process: `await Model.open(...)` reads its files on another thread, and `new Model(...)` on
 * this one, which takes seconds for a large one. `extractive` is no language model: it answers by sentences of the knowledge base `kb`,
 * cited, or says that they are not in the sources. Nothing is sent before the first call.
 */
export class Model {
  /** Codes: `invalid_argument`, `not_finite`; of local models `model_not_found`, `model_invalid`, `model_unsupported`, `too_large`. */
  constructor(name: string, options?: ModelOptions | null);
  /** @internal */
  constructor(made: typeof MADE, opened: Native.LanguageModel, keep: unknown);
  constructor(name: string | typeof MADE, given?: ModelOptions | Native.LanguageModel | null, keep?: unknown) {
    let opened = given as Native.LanguageModel;
    if (name !== MADE) {
      const own = checked(given as ModelOptions | null | undefined);
      [opened, keep] = extractive(name, own) ?? Model.#open(name, own);
    }
    models.set(this, opened);
    kept.set(this, keep);
  }

  static #open(name: string, { kb: _, ...given }: ModelOptions): [opened: Native.LanguageModel, keep: unknown] {
    const [options, fallback, others] = common(given);
    return [now(() => native.LanguageModel.open(name, options, fallback)), others];
  }

  /** Opens a model on another thread. Codes: those of the constructor. */
  static async open(name: string, options?: ModelOptions | null): Promise<Model> {
    const { kb: _, ...given } = checked(options);
    const made = extractive(name, checked(options));
    if (made) return new Model(MADE, ...made);
    const [rest, fallback, others] = common(given);
    return new Model(MADE, await settle(() => native.openModel(name, rest, fallback)), others);
  }

  /** `WIRE:NAME`, as prices, recordings and messages name the model. */
  get id(): string {
    return modelOf(this, 'this').id;
  }

  /** What its tokens cost; null where that is unknown. */
  get price(): Price | null {
    return parse(modelOf(this, 'this').price);
  }

  /**
   * Asks, and gives the whole answer. Codes: `offline`, `timeout`, `rate_limited`, `circuit_open`, `remote_failed`,
   * `remote_invalid`, `stream_incomplete`, `model_not_found`, `context_overflow`, `output_invalid`, `model_refused`,
   * `replay_mismatch`, `callback`, `cancelled`, and those of arguments.
   */
  async complete<T = unknown>(messages: Messages, options?: AskOptions<T> | null): Promise<Reply<T>> {
    const of = modelOf(this, 'this');
    const { signal, ...given } = checked(options);
    const request = requestOf(messages, given);
    const check = checkOf(given.output);
    const work = () => abortable(signal, true, (cancel) => of.complete(request, check, cancel));
    const found = await admitted(check !== undefined || callers.has(of), work);
    return replyOf(parse(found), given.output);
  }

  /**
   * Asks, and gives the answer piece by piece: `for await (const event of model.stream(messages))`. What goes wrong after the request
   * was read is the last event, and so is an abort of `signal`. Nothing is sent before the first event is asked for.
   */
  stream<T = unknown>(messages: Messages, options?: AskOptions<T> | null): ModelStream<T> {
    const of = modelOf(this, 'this');
    const { signal, ...given } = checked(options);
    checkSignal(signal);
    const request = requestOf(messages, given);
    return new ModelStream(this, now(() => of.stream(request, checkOf(given.output))), given.output, signal);
  }

  /** The tokens that a request takes before the model writes any. */
  async countTokens(messages: Messages, options?: Pick<AskOptions, 'tools' | 'output' | 'signal'> | null): Promise<TokenCount> {
    const of = modelOf(this, 'this');
    const { signal, ...given } = checked(options, ['tools', 'output', 'signal']);
    const request = requestOf(messages, given);
    return parse(await abortable(signal, true, () => of.countTokens(request)));
  }
}

/** What a {@link ScriptedModel} says: a text, an answer, an error, or an object. */
export type ScriptedReply =
  | string
  | Reply
  | QuorateError
  | {
      text?: string;
      content?: Message['content'];
      toolCalls?: readonly { id?: string; name: string; arguments?: Record<string, unknown> | string }[];
      refusal?: string;
      finish?: Finish;
      usage?: Partial<Usage>;
      model?: string;
    };

/** A request as a function of a {@link ScriptedModel} gets it: what was not given is not there. */
export interface ScriptedRequest {
  messages: Message[];
  tools?: { name: string; description: string; schema: JsonSchema }[];
  output?: JsonSchema;
  [member: string]: unknown;
}

/** A function that answers in the place of a model. */
type Answerer = (request: ScriptedRequest) => ScriptedReply | PromiseLike<ScriptedReply>;

/** A model for tests: replies in their order, one for each call, or a function of the request. Streams come word by word. */
export class ScriptedModel extends Model {
  /** Codes: `invalid_argument`, also for a call after the last reply; `callback` when the function fails. */
  constructor(replies: readonly ScriptedReply[] | Answerer, options?: (CommonModelOptions & { id?: string | null }) | null) {
    const { id, ...given } = { ...checked(options) };
    if (id !== undefined && id !== null && typeof id !== 'string') throw invalid('id is not a string');
    const [rest, fallback, others] = common(given);
    const name = id ?? undefined;
    if (typeof replies !== 'function') {
      if (!Array.isArray(replies)) throw invalid('replies are no array of replies and no function of the request');
      super(MADE, now(() => native.LanguageModel.script(bounded(replies, 'replies').map(scripted), name, rest, fallback)), others);
      return;
    }
    const host = hosting();
    const answer = answering(new WeakRef(replies), new WeakRef(host));
    const made = now(() => native.LanguageModel.callback(answer, name, rest, fallback));
    callers.add(made);
    super(MADE, made, [replies, host, others]);
  }
}

/** What the native half calls to have a request answered. It does not hold the function: the model does. */
function answering(replies: WeakRef<Answerer>, hosts: WeakRef<Hosting>): (reply: Native.Reply, request: string, span?: number) => void {
  return (reply, request, span) => {
    const [answer, host] = [replies.deref(), hosts.deref()];
    if (!answer || !host) return reply.fail('the model is gone');
    host(() => within(span, async () => scripted(await answer(parse(request))))).then(
      (said) => reply.answer(said),
      (error: unknown) => {
        const known = codeOf(error);
        if (known) reply.answer({ error: known });
        else reply.fail(`the model's function failed: ${reason(error)}`);
      },
    );
  };
}

/** A scripted reply as the native half takes it. */
function scripted(given: unknown): unknown {
  if (given instanceof QuorateError) return { error: { code: given.code, message: given.message } };
  if (typeof given !== 'object' || given === null) return given;
  if (isReply(given)) return { content: given.message.content, finish: given.finish, usage: usageIn(given.usage), model: given.model };
  const { toolCalls, usage, ...rest } = given as { toolCalls?: unknown; usage?: Partial<Usage> };
  return { ...rest, ...(toolCalls !== undefined && { tool_calls: toolCalls }), usage: usageIn(usage) };
}

function usageIn(usage: Partial<Usage> | null | undefined): Record<string, unknown> | undefined {
  if (typeof usage !== 'object' || usage === null) return usage ?? undefined;
  const { cacheWritten, cacheWritten1h, ...rest } = usage;
  const found = { ...rest, cache_written: cacheWritten, cache_written_1h: cacheWritten1h };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

/** A request as the native half takes it. */
function requestOf<T>(messages: Messages, given: AskOptions<T>): object {
  const { tools, output, extra, ...rest } = given;
  const read = Array.isArray(messages) ? bounded(messages as (Message | Reply)[], 'messages').map(neutral) : messages;
  return {
    ...rest,
    extra,
    messages: read,
    tools: Array.isArray(tools) ? bounded(tools as Tool[], 'tools').map(toolOf) : tools,
    output: output === undefined || output === null ? undefined : schemaOf(output, 'output'),
  };
}

/** What the native half calls to have an output checked beyond its schema; none where nothing does. */
function checkOf<T>(output: AskOptions<T>['output']): ((reply: Native.Reply, value: string) => void) | undefined {
  if (!isStandard(output)) return undefined;
  const host = hosting();
  return (reply, value) => {
    host(() => check(output, parse(value))).then(
      () => reply.answer(undefined),
      (error: unknown) => {
        const known = codeOf(error);
        if (known) reply.answer(known);
        else reply.fail(reason(error));
      },
    );
  };
}

function toolOf(tool: Tool, i: number): unknown {
  if (typeof tool !== 'object' || tool === null || tool.schema === undefined) return tool;
  return { ...tool, schema: schemaOf(tool.schema, `the schema of tools[${i}]`) };
}

/** @internal An answer as the native half gives it. */
interface Found {
  tool_calls: ToolCall[];
  broken_calls: ToolCall[];
  usage: { cache_written: number; cache_written_1h: number } & Omit<Usage, 'cacheWritten' | 'cacheWritten1h'>;
  finish: Finish | null;
  output: unknown;
}

/** An answer, and as much of it as came. */
function plainReply<T>(found: Found): Reply<T> {
  const { tool_calls, broken_calls, usage, ...rest } = found;
  const { cache_written, cache_written_1h, ...counted } = usage;
  return {
    ...(rest as unknown as Reply<T>),
    toolCalls: tool_calls,
    brokenCalls: broken_calls,
    usage: { ...counted, cacheWritten: cache_written, cacheWritten1h: cache_written_1h },
  };
}

/** The same with its output as the form makes it. Code: `output_invalid`. */
async function replyOf<T>(found: Found, output: AskOptions<T>['output']): Promise<Reply<T>> {
  const reply = plainReply<T>(found);
  if (output && found.finish === 'stop') reply.output = (await check(output, found.output)) as T;
  return reply;
}

type RawEvent = { type: string; error?: { code: string; message: string }; result?: Found };

/** An event as users see it, and whether it is the last. */
async function eventOf<T>(raw: RawEvent, output: AskOptions<T>['output']): Promise<[event: ModelEvent<T>, last: boolean]> {
  const error = raw.error && errorOf(raw.error.code, raw.error.message);
  if (!raw.result) return [{ ...raw, ...(error && { error }) } as unknown as ModelEvent<T>, false];
  try {
    const result = raw.type === 'end' ? await replyOf(raw.result, output) : plainReply<T>(raw.result);
    return [{ type: raw.type, ...(error && { error }), result } as unknown as ModelEvent<T>, true];
  } catch (refused) {
    // The answer fits the schema, and the form refuses it all the same.
    if (!(refused instanceof QuorateError)) throw refused;
    return [{ type: 'error', error: refused, result: { ...plainReply<T>(raw.result), finish: null, output: null } }, true];
  }
}

/** The events of one answer, as they come. The connection closes when the stream ends, is left or is forgotten. */
export class ModelStream<T = unknown> extends EventStream<ModelEvent<T>> {
  /** @internal */
  constructor(model: Model, of: Native.ModelFlow, output: AskOptions<T>['output'], signal: AbortSignal | null | undefined) {
    super(of, model, signal, (raw) => eventOf(raw as RawEvent, output));
  }

  /** Reads what is left, and gives the whole answer. Codes: those of {@link Model.complete}. */
  async result(): Promise<Reply<T>> {
    const last = await ending<ModelEvent<T>>(this);
    if (last?.type === 'error') throw last.error;
    if (last?.type !== 'end') throw new Cancelled('cancelled', 'the stream was cancelled before its end');
    return last.result;
  }
}

/** The JSON Schema (draft 2020-12) of one message in the neutral form. */
export function messageSchema(): JsonSchema {
  return parse(native.messageSchema());
}
