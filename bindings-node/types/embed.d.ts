/** The options of a local {@link Embedder}. */
export interface EmbedderOptions {
    /** Arithmetic of the matrix products. Default `f32`. */
    precision?: 'f32' | 'int8';
    /** Threads of this model alone. Default: the threads that all share. */
    threads?: number | null;
    /** Texts that go through the model together; it changes speed and memory, not vectors. Default 32. */
    batchSize?: number;
    /** Tokens after which a text is cut. Default: the model's own limit. */
    maxTokens?: number | null;
    /** What is put before each query. Default: the model's own prompt, if it has one. */
    queryPrefix?: string | null;
    /** What is put before each document. Default: the model's own prompt, if it has one. */
    documentPrefix?: string | null;
    /** Components that are kept of each vector. Default all. */
    dimensions?: number | null;
    /** Whether a model named by hub id is downloaded when it is not there. Default true. */
    download?: boolean;
    /** Where vectors that were computed before are kept. */
    cache?: EmbeddingCache | null;
}
/** The options of a {@link RemoteEmbedder}. */
export interface RemoteEmbedderOptions {
    /** The model's name at the service. */
    model: string;
    /** The key, sent as a bearer token. */
    apiKey?: string | null;
    /** Components that are asked for. Default: the model's own. */
    dimensions?: number | null;
    /** Texts in one request. Default 128. */
    batchSize?: number;
    /** Requests at the same time. Default 4. */
    concurrency?: number;
    /** Seconds that one request may take. Default 60. */
    timeout?: number;
    /** How often a request that failed is made again. Default 5. */
    retries?: number;
    /** The longest text, in tokens. Default 8191. */
    maxTokens?: number;
    /** What is put before each query. */
    queryPrefix?: string;
    /** What is put before each document. */
    documentPrefix?: string;
    /** Where vectors that were computed before are kept. */
    cache?: EmbeddingCache | null;
}
/** What a call can be stopped with. */
export interface Abortable {
    /** Stops the work; the Promise is rejected with `Cancelled`. */
    signal?: AbortSignal | null;
}
/**
 * A model that turns texts into vectors of unit length.
 *
 * `new Embedder(...)` returns at once and opens the model on another thread; `await Embedder.open(...)` waits for it, and fails
 * here when it cannot be opened. The getters wait, on this thread, for a model that is not open yet.
 */
export declare class Embedder {
    #private;
    /** `source`: `builtin`, a model folder, or a hub id. Codes: `model_not_found`, `model_invalid`, `model_unsupported`. */
    constructor(source: string | URL, options?: EmbedderOptions | null);
    /** Opens a model and waits until it is open. */
    static open(source: string | URL, options?: EmbedderOptions | null): Promise<Embedder>;
    /** Resolves when the model is open. */
    ready(): Promise<void>;
    /** Embeds documents: one row of `dim` components for each text, views of one buffer. No texts, no rows. */
    embed(texts: readonly string[], options?: Abortable | null): Promise<Float32Array[]>;
    /** Embeds queries: one row of `dim` components for each text. */
    embedQueries(texts: readonly string[], options?: Abortable | null): Promise<Float32Array[]>;
    /** Embeds one query: `dim` components. */
    embedQuery(text: string, options?: Abortable | null): Promise<Float32Array>;
    /** One vector for each token, for late interaction. Code: `unsupported` where the model has none. */
    embedTokens(text: string, options?: Abortable | null): Promise<Float32Array[]>;
    /** Components of a vector. */
    get dim(): number;
    /** The longest text that is embedded whole, in tokens, special tokens included. */
    get maxTokens(): number;
    /** Fingerprint of weights and settings, stored in each knowledge base. */
    get id(): string;
}
/** A model behind a service with OpenAI's interface for embeddings. */
export declare class RemoteEmbedder extends Embedder {
    /** Codes of its work: `offline`, `remote_failed`, `remote_invalid`, `timeout`. */
    constructor(url: string | URL, options: RemoteEmbedderOptions);
}
/** The options of a {@link CallbackEmbedder}. */
export interface CallbackEmbedderOptions {
    /** Components of a vector. */
    dim: number;
    /** Names the function and its version, such as `mine-v1`; stored in each knowledge base. */
    id: string;
    /** Longest text, in tokens by estimate, that chunking aims for. Default 512. */
    maxTokens?: number;
    /** Where vectors that were computed before are kept. */
    cache?: EmbeddingCache | null;
}
/** One vector of `dim` numbers for each text, or a Promise of them. */
export type EmbedFunction = (texts: string[]) => ArrayLike<ArrayLike<number>> | PromiseLike<ArrayLike<ArrayLike<number>>>;
/** An embedder that the host has written. What the function gives is checked, and brought to unit length. */
export declare class CallbackEmbedder extends Embedder {
    /** Codes of its work: `callback` when the function fails or gives another shape, `not_finite`. */
    constructor(embed: EmbedFunction, options: CallbackEmbedderOptions);
}
/** How much an {@link EmbeddingCache} holds and helps. */
export interface CacheStats {
    entries: number;
    bytes: number;
    hits: number;
    misses: number;
    hitRate: number;
}
/** Vectors that were computed before, in a folder. */
export declare class EmbeddingCache {
    /** Opens the cache on another thread; `maxBytes` is its limit, 1 GiB by default. */
    constructor(folder: string | URL, options?: {
        maxBytes?: number;
    } | null);
    /** Opens a cache and waits until it is open. */
    static open(folder: string | URL, options?: {
        maxBytes?: number;
    } | null): Promise<EmbeddingCache>;
    /** What the cache holds and how often it helped. */
    stats(): Promise<CacheStats>;
}
/** The options of a {@link CrossEncoder}. */
export type CrossEncoderOptions = Pick<EmbedderOptions, 'precision' | 'threads' | 'batchSize' | 'maxTokens' | 'download'>;
/** A model that reads a query and a passage together and scores the pair. */
export declare class CrossEncoder {
    /** Opens the model on another thread. */
    constructor(source: string | URL, options?: CrossEncoderOptions | null);
    /** Opens a model and waits until it is open. */
    static open(source: string | URL, options?: CrossEncoderOptions | null): Promise<CrossEncoder>;
    /** The score of each passage for the query, higher for more relevant. */
    score(query: string, passages: readonly string[], options?: Abortable | null): Promise<Float32Array>;
    /** The longest pair that is read whole, in tokens, special tokens included. */
    get maxTokens(): number;
}
