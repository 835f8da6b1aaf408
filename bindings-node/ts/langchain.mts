// How do LangChain's chains use quorate? Embeddings, a VectorStore over them and a chat model, for @langchain/core.

import { randomUUID } from 'node:crypto';

import type { CallbackManagerForLLMRun } from '@langchain/core/callbacks/manager';
import { Document, type DocumentInterface } from '@langchain/core/documents';
import { Embeddings, type EmbeddingsParams } from '@langchain/core/embeddings';
import type { BaseLanguageModelInput } from '@langchain/core/language_models/base';
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BaseChatModelParams,
  type BindToolsInput,
  type LangSmithParams,
} from '@langchain/core/language_models/chat_models';
import { type AIMessage, AIMessageChunk, type BaseMessage, type InvalidToolCall, ToolMessage, type UsageMetadata } from '@langchain/core/messages';
import { ChatGenerationChunk, type ChatResult } from '@langchain/core/outputs';
import type { Runnable } from '@langchain/core/runnables';
import { convertToOpenAITool } from '@langchain/core/utils/function_calling';
import { VectorStore } from '@langchain/core/vectorstores';

import { options as checked } from './call.js';
import {
  type AskOptions,
  Cancelled,
  type DocumentInput,
  Embedder,
  type Hit,
  InvalidInput,
  KnowledgeBase,
  type Message,
  type Metadata,
  Model,
  type ModelEvent,
  type ModelOptions,
  type OpenOptions,
  type Reply,
  type SearchOptions,
  type Tool,
  type ToolCall,
  type Where,
  open,
} from './index.js';

/** The names of an options object, all of them: what is not among them is refused. */
type Names<T> = Record<keyof T, true>;

const OF_EMBEDDINGS: Names<QuorateEmbeddingsParams> = { embedder: true, maxConcurrency: true, maxRetries: true, onFailedAttempt: true };
const OF_STORES: Names<QuorateVectorStoreConfig> = { kb: true, folder: true, open: true, search: true };
const OF_MODELS: Names<ModelOptions> = {
  baseUrl: true,
  apiKey: true,
  resilience: true,
  price: true,
  outputWay: true,
  threads: true,
  kb: true,
  minConfidence: true,
};
const OF_CALLS: Names<Asked> = { temperature: true, maxTokens: true, seed: true, extra: true };
const OF_LANGCHAIN: Names<BaseChatModelParams> = {
  cache: true,
  callbacks: true,
  callbackManager: true,
  disableStreaming: true,
  maxConcurrency: true,
  maxRetries: true,
  metadata: true,
  onFailedAttempt: true,
  outputVersion: true,
  tags: true,
  verbose: true,
};
const OF_CHAT: Names<ChatQuorateParams> = { ...OF_LANGCHAIN, ...OF_MODELS, ...OF_CALLS, model: true, stop: true };

/** The members of an object that have these names and a value. */
function pick<T extends object>(given: object, names: Names<T>): Partial<T> {
  const found = Object.entries(given).filter(([name, value]) => Object.hasOwn(names, name) && value !== undefined && value !== null);
  return Object.fromEntries(found) as Partial<T>;
}

/** What {@link QuorateEmbeddings} are made of. */
export interface QuorateEmbeddingsParams extends EmbeddingsParams {
  /** The model. Default: the one inside the library, which needs no download. */
  embedder?: Embedder | string | URL;
}

/** LangChain's embeddings by a model of quorate. */
export class QuorateEmbeddings extends Embeddings {
  /** The model. */
  readonly embedder: Embedder;

  constructor(params: QuorateEmbeddingsParams = {}) {
    const { embedder = 'builtin', ...rest } = checked(params, Object.keys(OF_EMBEDDINGS));
    super(rest);
    this.embedder = embedder instanceof Embedder ? embedder : new Embedder(embedder);
  }

  async embedDocuments(documents: string[]): Promise<number[][]> {
    return (await this.embedder.embed(documents)).map((row) => Array.from(row));
  }

  async embedQuery(document: string): Promise<number[]> {
    return Array.from(await this.embedder.embedQuery(document));
  }
}

/** What a {@link QuorateVectorStore} keeps its documents in, and how it searches. */
export interface QuorateVectorStoreConfig {
  /** An open knowledge base. */
  kb?: KnowledgeBase;
  /** Or the folder of one, which is made when it is absent. */
  folder?: string | URL;
  /** How the folder is opened; the embedder is that of the embeddings. */
  open?: Omit<OpenOptions, 'embedder'>;
  /** How texts are searched for. Default: hybrid, by words and by meaning. */
  search?: Omit<SearchOptions, 'k' | 'where' | 'signal'>;
}

/**
 * LangChain's vector store over a knowledge base. Texts are searched for by words and by meaning, vectors by meaning alone; filters
 * are those of quorate.
 *
 * ```js
 * const store = await QuorateVectorStore.fromTexts(texts, metadatas, new QuorateEmbeddings(), { folder: 'kb/' });
 * const documents = await store.similaritySearch('metformin in renal failure', 4, "year >= 2020");
 * ```
 */
export class QuorateVectorStore extends VectorStore {
  declare FilterType: Where;
  /** The knowledge base. */
  readonly kb: KnowledgeBase;
  readonly #search: SearchOptions;

  /** `embeddings`: those of the knowledge base's own model. */
  constructor(embeddings: QuorateEmbeddings, config: QuorateVectorStoreConfig & { kb: KnowledgeBase }) {
    super(embeddings, checked(config, Object.keys(OF_STORES)));
    this.kb = config.kb;
    this.#search = config.search ?? {};
  }

  /** A store over a knowledge base or a folder. Codes: `embedder_mismatch`, `locked`, and those of opening. */
  static async open(embeddings: QuorateEmbeddings, config: QuorateVectorStoreConfig): Promise<QuorateVectorStore> {
    if (!(embeddings instanceof QuorateEmbeddings)) {
      throw new InvalidInput('invalid_argument', 'the embeddings are not QuorateEmbeddings, whose model a knowledge base opens');
    }
    checked(config, Object.keys(OF_STORES));
    if (config.kb) {
      if (config.folder || config.open) throw new InvalidInput('invalid_argument', 'kb is open; folder and open are for one that is not');
      return new QuorateVectorStore(embeddings, { ...config, kb: config.kb });
    }
    if (!config.folder) throw new InvalidInput('invalid_argument', 'give a knowledge base (kb) or a folder');
    const kb = await open(config.folder, { ...config.open, embedder: embeddings.embedder });
    return new QuorateVectorStore(embeddings, { ...config, kb });
  }

  static override async fromTexts(
    texts: string[],
    metadatas: object[] | object,
    embeddings: QuorateEmbeddings,
    config: QuorateVectorStoreConfig,
  ): Promise<QuorateVectorStore> {
    const documents = texts.map((pageContent, i) => {
      const metadata = (Array.isArray(metadatas) ? metadatas[i] : metadatas) as Record<string, unknown> | undefined;
      return new Document({ pageContent, metadata: metadata ?? {} });
    });
    return QuorateVectorStore.fromDocuments(documents, embeddings, config);
  }

  static override async fromDocuments(
    documents: DocumentInterface[],
    embeddings: QuorateEmbeddings,
    config: QuorateVectorStoreConfig,
  ): Promise<QuorateVectorStore> {
    const store = await QuorateVectorStore.open(embeddings, config);
    await store.addDocuments(documents);
    return store;
  }

  _vectorstoreType(): string {
    return 'quorate';
  }

  /** Adds documents, or replaces those of the same ids: `options.ids`, else their own, else new ones. All or none. */
  async addDocuments(documents: DocumentInterface[], options?: { ids?: string[] }): Promise<string[]> {
    return this.#add(documents, options?.ids);
  }

  /** The same with vectors that were computed before, one for each document. Code: `invalid_shape`. */
  async addVectors(
    vectors: number[][],
    documents: DocumentInterface[],
    options?: { ids?: string[] },
  ): Promise<string[]> {
    return this.#add(documents, options?.ids, vectors);
  }

  async #add(documents: DocumentInterface[], ids?: string[], vectors?: number[][]): Promise<string[]> {
    for (const [what, list] of Object.entries({ ids, vectors })) {
      if (list && list.length !== documents.length) {
        throw new InvalidInput('invalid_shape', `there are ${documents.length} documents and ${list.length} ${what}`);
      }
    }
    const inputs = documents.map(({ pageContent, metadata, id }, i): DocumentInput => {
      const input: DocumentInput = { id: ids?.[i] ?? id ?? randomUUID(), text: pageContent, metadata: metadata as Metadata };
      const vector = vectors?.[i];
      return vector ? { ...input, chunks: [{ vector }] } : input;
    });
    await this.kb.upsert(inputs);
    return inputs.map((input) => input.id);
  }

  /** Deletes documents by `ids` or by `filter`. */
  override async delete(params: { ids?: string[]; filter?: Where }): Promise<void> {
    const { ids, filter } = params ?? {};
    if (filter !== undefined && ids === undefined) await this.kb.delete({ where: filter });
    else await this.kb.delete({ ids: ids ?? [] });
  }

  async similaritySearchVectorWithScore(
    query: number[],
    k: number,
    filter?: this['FilterType'],
  ): Promise<[DocumentInterface, number][]> {
    return (await this.kb.searchVector(query, { k, where: filter ?? null })).map(scored);
  }

  override async similaritySearchWithScore(
    query: string,
    k = 4,
    filter?: this['FilterType'],
  ): Promise<[DocumentInterface, number][]> {
    return (await this.kb.search(query, { ...this.#search, k, where: filter ?? null })).map(scored);
  }

  override async similaritySearch(query: string, k = 4, filter?: this['FilterType']): Promise<DocumentInterface[]> {
    return (await this.similaritySearchWithScore(query, k, filter)).map(([document]) => document);
  }
}

function scored(hit: Hit): [DocumentInterface, number] {
  const { docId, title, source, start, end } = hit;
  const quorate = { docId, title, source, start, end };
  return [new Document({ id: hit.chunkId, pageContent: hit.text, metadata: { ...hit.metadata, quorate } }), hit.score];
}

/** What is asked for with every question, or with one. */
interface Asked {
  temperature?: number;
  /** Most tokens of an answer. */
  maxTokens?: number;
  /** For services that repeat themselves on request. */
  seed?: number;
  /** Fields of the service's own interface. */
  extra?: Record<string, unknown>;
}

/** What a {@link ChatQuorate} asks, and how. */
export interface ChatQuorateParams extends BaseChatModelParams, ModelOptions, Asked {
  /** A model, or the name of one, which is opened with the other options. `await Model.open(...)` opens one of this machine on another thread. */
  model: Model | string;
  /** Texts that end an answer. */
  stop?: string[];
}

/** The options of a call of {@link ChatQuorate}. */
export interface ChatQuorateCallOptions extends BaseChatModelCallOptions, Asked {
  tools?: BindToolsInput[];
}

/**
 * A {@link Model} as LangChain's chat model. A tool call comes whole, once it is sure that it may run. When an attempt at a stream
 * breaks off after text was given that the next attempt does not say again, the stream fails with that attempt's error: LangChain
 * cannot take text back. Calls that must not run are `additional_kwargs.invalid_tool_calls`, and `invalid_tool_calls` of a whole answer:
 * LangChain's chunks hold none. Whole numbers beyond 2^53 in the arguments of a call are texts of their digits.
 */
export class ChatQuorate extends BaseChatModel<ChatQuorateCallOptions> {
  /** The model. */
  readonly model: Model;
  readonly #asked: AskOptions;

  constructor(params: ChatQuorateParams) {
    const { model, stop, ...rest } = checked(params, Object.keys(OF_CHAT));
    const options = pick(rest, OF_MODELS);
    const [beside] = Object.keys(options);
    if (model instanceof Model && beside) {
      throw new InvalidInput('invalid_argument', `the model is open; '${beside}' is for one that is named`);
    }
    // Not the key, which LangChain would show.
    super(pick(rest, OF_LANGCHAIN));
    this.model = model instanceof Model ? model : new Model(model, options);
    this.#asked = { ...pick(rest, OF_CALLS), stop };
  }

  static override lc_name(): string {
    return 'ChatQuorate';
  }

  _llmType(): string {
    return 'quorate';
  }

  override getLsParams(options: this['ParsedCallOptions']): LangSmithParams {
    const [wire, ...name] = this.model.id.split(':');
    const { temperature, maxTokens, stop } = { ...this.#asked, ...pick(options, OF_CALLS) };
    return {
      ls_provider: wire,
      ls_model_name: name.join(':'),
      ls_model_type: 'chat',
      ls_temperature: temperature ?? undefined,
      ls_max_tokens: maxTokens ?? undefined,
      ls_stop: options.stop ?? (stop as string[] | undefined),
    };
  }

  override invocationParams(): Record<string, unknown> {
    return { model: this.model.id, ...this.#asked };
  }

  /** The model with tools; `tool_choice`: `auto`, `none`, `any`, or a tool's name. */
  override bindTools(
    tools: BindToolsInput[],
    kwargs?: Partial<ChatQuorateCallOptions>,
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, ChatQuorateCallOptions> {
    return this.withConfig({ tools, ...kwargs });
  }

  #options(options: this['ParsedCallOptions']): AskOptions {
    const tools = options.tools?.map((tool): Tool => {
      const { name, description, parameters } = convertToOpenAITool(tool as Parameters<typeof convertToOpenAITool>[0]).function;
      return { name, ...(description !== undefined && { description }), ...(parameters && { schema: parameters as Tool['schema'] }) };
    });
    const stop = options.stop ?? this.#asked.stop;
    const toolChoice = choice(options.tool_choice);
    return { ...this.#asked, ...pick(options, OF_CALLS), stop, tools, toolChoice, signal: options.signal };
  }

  async _generate(messages: BaseMessage[], options: this['ParsedCallOptions']): Promise<ChatResult> {
    const reply = await this.model.complete(messages.map(neutral), this.#options(options));
    // A chunk, since the base class takes no other in `withStructuredOutput`.
    const message = new AIMessageChunk({
      content: reply.text,
      tool_calls: reply.toolCalls.map((call) => ({ type: 'tool_call' as const, id: call.id, name: call.name, args: JSON.parse(written(call)) })),
      ...told(reply),
    });
    // Its constructor takes none.
    message.invalid_tool_calls = invalid(reply);
    return { generations: [{ text: reply.text, message }] };
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const given = { text: 0, calls: 0 };
    for await (const event of this.model.stream(messages.map(neutral), this.#options(options))) {
      const message = chunk(event, given);
      if (!message) continue;
      const text = event.type === 'text' ? event.delta : '';
      const generation = new ChatGenerationChunk({ text, message });
      yield generation;
      await runManager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk: generation });
    }
  }
}

/** What LangChain is told of an event. What cannot be taken back is an error. */
function chunk(event: ModelEvent, given: { text: number; calls: number }): AIMessageChunk | undefined {
  switch (event.type) {
    case 'text':
      given.text += event.delta.length;
      return new AIMessageChunk({ content: event.delta });
    case 'tool_call': {
      const { id, name } = event;
      const call = { type: 'tool_call_chunk' as const, id, name, args: written(event), index: given.calls++ };
      return new AIMessageChunk({ content: '', tool_call_chunks: [call] });
    }
    case 'retry':
      if (event.keep < given.text) throw event.error;
      return undefined;
    case 'error':
      throw event.error;
    case 'cancelled':
      throw new Cancelled('cancelled', 'the stream was cancelled');
    case 'end':
      return new AIMessageChunk({ content: '', ...told(event.result) });
    default:
      return undefined;
  }
}

/** The arguments of a call as JSON; whole numbers beyond 2^53 as texts of their digits. */
const written = (call: Pick<ToolCall, 'arguments'>): string => JSON.stringify(call.arguments);

/** The calls of an answer that must not run. */
function invalid(reply: Reply): InvalidToolCall[] {
  const error = 'the arguments are no JSON object, or the answer was cut';
  return reply.brokenCalls.map((call) => ({ type: 'invalid_tool_call', id: call.id, name: call.name, args: call.broken ?? written(call), error }));
}

/** What stands beside the text and the tool calls of an answer. */
function told(reply: Reply) {
  const { usage } = reply;
  const usage_metadata: UsageMetadata = {
    input_tokens: usage.input,
    output_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    input_token_details: { cache_read: usage.cached, cache_creation: usage.cacheWritten + usage.cacheWritten1h },
    output_token_details: { reasoning: usage.reasoning },
  };
  const kept = parts(reply.message).filter(({ type }) => type === 'reasoning' || type === 'opaque');
  return {
    usage_metadata,
    response_metadata: {
      model_name: reply.model,
      finish_reason: reply.finish,
      cost: reply.cost,
      attempts: reply.attempts,
      ...(reply.refusal !== null && { refusal: reply.refusal }),
      ...(reply.warnings.length > 0 && { warnings: reply.warnings }),
    },
    additional_kwargs: {
      // What the service wants back as it was.
      ...(kept.length > 0 && { quorate: kept }),
      ...(reply.brokenCalls.length > 0 && { invalid_tool_calls: invalid(reply) }),
    },
  };
}

type Part = { type: string; [member: string]: unknown };

function parts(message: Message): Part[] {
  return Array.isArray(message.content) ? (message.content as Part[]) : [];
}

function choice(given: BaseChatModelCallOptions['tool_choice']): string | undefined {
  if (given === undefined || given === null) return undefined;
  const named = (typeof given === 'object' ? ((given['function'] ?? given)['name'] ?? given['type']) : given) as string;
  return named === 'any' ? 'required' : named;
}

const ROLES: Record<string, Message['role']> = {
  system: 'system',
  developer: 'system',
  human: 'user',
  user: 'user',
  ai: 'assistant',
  assistant: 'assistant',
};

/** A message of LangChain in the neutral form. */
function neutral(message: BaseMessage): Message {
  const type = message.getType();
  if (type === 'tool') {
    const { tool_call_id, status, content } = message as ToolMessage;
    const text = typeof content === 'string' ? content : (content as unknown as Part[]).map((part) => (part.type === 'text' ? String(part['text']) : JSON.stringify(part))).join('\n');
    return { role: 'tool', toolCallId: tool_call_id, content: text, error: status === 'error' };
  }
  const role = ROLES[type === 'generic' ? ((message as { role?: string }).role ?? '') : type];
  if (!role) throw new InvalidInput('invalid_argument', `quorate knows no messages of type ${type}`);
  const said = contentOf(message.content, role === 'assistant');
  if (role !== 'assistant') return { role, content: said };
  const { tool_calls = [], invalid_tool_calls = [], additional_kwargs = {} } = message as AIMessage;
  const { quorate: kept = [], invalid_tool_calls: told = [] } = additional_kwargs as { quorate?: Part[]; invalid_tool_calls?: InvalidToolCall[] };
  const calls = tool_calls.map(({ id, name, args }): Part => ({ type: 'tool_call', id: id ?? '', name, arguments: args }));
  const broken = (invalid_tool_calls.length > 0 ? invalid_tool_calls : told).map(
    ({ id, name, args }): Part => ({ type: 'tool_call', id: id ?? '', name: name ?? '', arguments: {}, broken: args ?? '' }),
  );
  return { role, content: [...kept, ...said, ...calls, ...broken] };
}

/** Parts of an assistant's message that stand elsewhere too, or that no other service reads. */
const ELSEWHERE = new Set(['tool_use', 'tool_call', 'tool_call_chunk', 'invalid_tool_call', 'function_call', 'reasoning', 'thinking', 'redacted_thinking']);

function contentOf(content: BaseMessage['content'], assistant: boolean): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  return (content as unknown as Part[]).flatMap((part): Part[] => {
    if (part.type === 'text') return [{ type: 'text', text: part['text'] }];
    if (part.type === 'image_url' || part.type === 'image') return [image(part)];
    if (assistant && ELSEWHERE.has(part.type)) return [];
    throw new InvalidInput('invalid_argument', `a part of type '${String(part.type).slice(0, 60)}' cannot be sent; text and images can`);
  });
}

/** An image in any of the forms that LangChain knows. */
function image(part: Part): Part {
  if (part.type === 'image_url') {
    const given = part['image_url'];
    return typeof given === 'string' ? { type: 'image', url: given } : { type: 'image', ...(given as object) };
  }
  const source = part['source'] as { url?: string; data?: string; media_type?: string } | undefined;
  const { url, data, mimeType } = (
    source ? { url: source.url, data: source.data, mimeType: source.media_type } : { mimeType: part['mime_type'], ...part }
  ) as { url?: string; data?: string; mimeType?: string };
  return { type: 'image', url: url ?? `data:${mimeType ?? 'image/png'};base64,${data}` };
}
