import type { CallbackManagerForLLMRun } from '@langchain/core/callbacks/manager';
import { type DocumentInterface } from '@langchain/core/documents';
import { Embeddings, type EmbeddingsParams } from '@langchain/core/embeddings';
import type { BaseLanguageModelInput } from '@langchain/core/language_models/base';
import { BaseChatModel, type BaseChatModelCallOptions, type BaseChatModelParams, type BindToolsInput, type LangSmithParams } from '@langchain/core/language_models/chat_models';
import { AIMessageChunk, type BaseMessage } from '@langchain/core/messages';
import { ChatGenerationChunk, type ChatResult } from '@langchain/core/outputs';
import type { Runnable } from '@langchain/core/runnables';
import { VectorStore } from '@langchain/core/vectorstores';
import { Embedder, KnowledgeBase, Model, type ModelOptions, type OpenOptions, type SearchOptions, type Where } from './index.js';
/** What {@link QuorateEmbeddings} are made of. */
export interface QuorateEmbeddingsParams extends EmbeddingsParams {
    /** The model. Default: the one inside the library, which needs no download. */
    embedder?: Embedder | string | URL;
}
/** LangChain's embeddings by a model of quorate. */
export declare class QuorateEmbeddings extends Embeddings {
    /** The model. */
    readonly embedder: Embedder;
    constructor(params?: QuorateEmbeddingsParams);
    embedDocuments(documents: string[]): Promise<number[][]>;
    embedQuery(document: string): Promise<number[]>;
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
export declare class QuorateVectorStore extends VectorStore {
    #private;
    FilterType: Where;
    /** The knowledge base. */
    readonly kb: KnowledgeBase;
    /** `embeddings`: those of the knowledge base's own model. */
    constructor(embeddings: QuorateEmbeddings, config: QuorateVectorStoreConfig & {
        kb: KnowledgeBase;
    });
    /** A store over a knowledge base or a folder. Codes: `embedder_mismatch`, `locked`, and those of opening. */
    static open(embeddings: QuorateEmbeddings, config: QuorateVectorStoreConfig): Promise<QuorateVectorStore>;
    static fromTexts(texts: string[], metadatas: object[] | object, embeddings: QuorateEmbeddings, config: QuorateVectorStoreConfig): Promise<QuorateVectorStore>;
    static fromDocuments(documents: DocumentInterface[], embeddings: QuorateEmbeddings, config: QuorateVectorStoreConfig): Promise<QuorateVectorStore>;
    _vectorstoreType(): string;
    /** Adds documents, or replaces those of the same ids: `options.ids`, else their own, else new ones. All or none. */
    addDocuments(documents: DocumentInterface[], options?: {
        ids?: string[];
    }): Promise<string[]>;
    /** The same with vectors that were computed before, one for each document. Code: `invalid_shape`. */
    addVectors(vectors: number[][], documents: DocumentInterface[], options?: {
        ids?: string[];
    }): Promise<string[]>;
    /** Deletes documents by `ids` or by `filter`. */
    delete(params: {
        ids?: string[];
        filter?: Where;
    }): Promise<void>;
    similaritySearchVectorWithScore(query: number[], k: number, filter?: this['FilterType']): Promise<[DocumentInterface, number][]>;
    similaritySearchWithScore(query: string, k?: number, filter?: this['FilterType']): Promise<[DocumentInterface, number][]>;
    similaritySearch(query: string, k?: number, filter?: this['FilterType']): Promise<DocumentInterface[]>;
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
export declare class ChatQuorate extends BaseChatModel<ChatQuorateCallOptions> {
    #private;
    /** The model. */
    readonly model: Model;
    constructor(params: ChatQuorateParams);
    static lc_name(): string;
    _llmType(): string;
    getLsParams(options: this['ParsedCallOptions']): LangSmithParams;
    invocationParams(): Record<string, unknown>;
    /** The model with tools; `tool_choice`: `auto`, `none`, `any`, or a tool's name. */
    bindTools(tools: BindToolsInput[], kwargs?: Partial<ChatQuorateCallOptions>): Runnable<BaseLanguageModelInput, AIMessageChunk, ChatQuorateCallOptions>;
    _generate(messages: BaseMessage[], options: this['ParsedCallOptions']): Promise<ChatResult>;
    _streamResponseChunks(messages: BaseMessage[], options: this['ParsedCallOptions'], runManager?: CallbackManagerForLLMRun): AsyncGenerator<ChatGenerationChunk>;
}
export {};
