// How are embedding models used?

import type * as Native from '../native.js';
import { abortable, hosting, now, options as checked, parse, place, reason, settle } from './call.js';
import { invalid } from './errors.js';
import { native } from './native.js';

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

/** @internal */
export const nativeOf = new WeakMap<object, Native.Embedder>();
const cacheOf = new WeakMap<object, Native.EmbeddingCache>();
/** @internal */
export const encoderOf = new WeakMap<object, Native.CrossEncoder>();

function of<T>(map: WeakMap<object, T>, of: object, what: string): T {
  const found = map.get(of);
  if (!found) throw invalid(`this is not ${what}`);
  return found;
}

function cacheIn(cache: EmbeddingCache | null | undefined): Native.EmbeddingCache | undefined {
  if (cache === undefined || cache === null) return undefined;
  const found = typeof cache === 'object' ? cacheOf.get(cache) : undefined;
  if (!found) throw invalid('cache is not an EmbeddingCache');
  return found;
}

/** Rows of a matrix, as views of one buffer. */
function rows([numbers, dim]: [Float32Array, number]): Float32Array[] {
  const count = dim === 0 ? 0 : numbers.length / dim;
  return Array.from({ length: count }, (_, i) => numbers.subarray(i * dim, (i + 1) * dim));
}

const REMOTE = Symbol('remote');

/**
 * A model that turns texts into vectors of unit length.
 *
 * `new Embedder(...)` returns at once and opens the model on another thread; `await Embedder.open(...)` waits for it, and fails
 * here when it cannot be opened. The getters wait, on this thread, for a model that is not open yet.
 */
export class Embedder {
  /** `source`: `builtin`, a model folder, or a hub id. Codes: `model_not_found`, `model_invalid`, `model_unsupported`. */
  constructor(source: string | URL, options?: EmbedderOptions | null);
  /** @internal */
  constructor(source: typeof REMOTE, made: Native.Embedder);
  constructor(source: string | URL | typeof REMOTE, given?: EmbedderOptions | Native.Embedder | null) {
    if (source === REMOTE) {
      nativeOf.set(this, given as Native.Embedder);
      return;
    }
    const { cache, ...rest } = checked(given as EmbedderOptions | null | undefined);
    nativeOf.set(this, now(() => native.Embedder.local(place(source), rest, cacheIn(cache))));
  }

  /** Opens a model and waits until it is open. */
  static async open(source: string | URL, options?: EmbedderOptions | null): Promise<Embedder> {
    const embedder = new Embedder(source, options);
    await embedder.ready();
    return embedder;
  }

  get #native(): Native.Embedder {
    return of(nativeOf, this, 'an Embedder');
  }

  /** Resolves when the model is open. */
  async ready(): Promise<void> {
    await settle(() => this.#native.ready());
  }

  /** Embeds documents: one row of `dim` components for each text, views of one buffer. No texts, no rows. */
  async embed(texts: readonly string[], options?: Abortable | null): Promise<Float32Array[]> {
    const { signal } = checked(options, ['signal']);
    return rows(await abortable(signal, true, (cancel) => this.#native.embed(texts, false, cancel)));
  }

  /** Embeds queries: one row of `dim` components for each text. */
  async embedQueries(texts: readonly string[], options?: Abortable | null): Promise<Float32Array[]> {
    const { signal } = checked(options, ['signal']);
    return rows(await abortable(signal, true, (cancel) => this.#native.embed(texts, true, cancel)));
  }

  /** Embeds one query: `dim` components. */
  async embedQuery(text: string, options?: Abortable | null): Promise<Float32Array> {
    const { signal } = checked(options, ['signal']);
    return abortable(signal, true, () => this.#native.embedQuery(text));
  }

  /** One vector for each token, for late interaction. Code: `unsupported` where the model has none. */
  async embedTokens(text: string, options?: Abortable | null): Promise<Float32Array[]> {
    const { signal } = checked(options, ['signal']);
    return rows(await abortable(signal, true, () => this.#native.embedTokens(text)));
  }

  /** Components of a vector. */
  get dim(): number {
    return now(() => this.#native.dim);
  }

  /** The longest text that is embedded whole, in tokens, special tokens included. */
  get maxTokens(): number {
    return now(() => this.#native.maxTokens);
  }

  /** Fingerprint of weights and settings, stored in each knowledge base. */
  get id(): string {
    return now(() => this.#native.id);
  }
}

/** A model behind a service with OpenAI's interface for embeddings. */
export class RemoteEmbedder extends Embedder {
  /** Codes of its work: `offline`, `remote_failed`, `remote_invalid`, `timeout`. */
  constructor(url: string | URL, options: RemoteEmbedderOptions) {
    const { cache, ...rest } = checked(options);
    const address = url instanceof URL ? url.href : url;
    super(REMOTE, now(() => native.Embedder.remote(address, rest, cacheIn(cache))));
  }
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
export type EmbedFunction = (
  texts: string[],
) => ArrayLike<ArrayLike<number>> | PromiseLike<ArrayLike<ArrayLike<number>>>;

/** An embedder that the host has written. What the function gives is checked, and brought to unit length. */
export class CallbackEmbedder extends Embedder {
  /** Codes of its work: `callback` when the function fails or gives another shape, `not_finite`. */
  constructor(embed: EmbedFunction, options: CallbackEmbedderOptions) {
    if (typeof embed !== 'function') throw invalid('the first argument of a CallbackEmbedder is a function of a list of texts');
    const { cache, ...rest } = checked(options);
    const host = hosting();
    const call = (reply: Native.Reply, texts: string[]): void => {
      host(() => embed(texts)).then(
        (vectors) => reply.answer(vectors),
        (error: unknown) => reply.fail(`the embedder's function failed: ${reason(error)}`),
      );
    };
    super(REMOTE, now(() => native.Embedder.callback(call, rest, cacheIn(cache))));
  }
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
export class EmbeddingCache {
  /** Opens the cache on another thread; `maxBytes` is its limit, 1 GiB by default. */
  constructor(folder: string | URL, options?: { maxBytes?: number } | null) {
    cacheOf.set(this, now(() => native.EmbeddingCache.open(place(folder), checked(options))));
  }

  /** Opens a cache and waits until it is open. */
  static async open(folder: string | URL, options?: { maxBytes?: number } | null): Promise<EmbeddingCache> {
    const cache = new EmbeddingCache(folder, options);
    await settle(() => of(cacheOf, cache, 'an EmbeddingCache').ready());
    return cache;
  }

  /** What the cache holds and how often it helped. */
  async stats(): Promise<CacheStats> {
    return parse(await settle(() => of(cacheOf, this, 'an EmbeddingCache').stats()));
  }
}

/** The options of a {@link CrossEncoder}. */
export type CrossEncoderOptions = Pick<
  EmbedderOptions,
  'precision' | 'threads' | 'batchSize' | 'maxTokens' | 'download'
>;

/** A model that reads a query and a passage together and scores the pair. */
export class CrossEncoder {
  /** Opens the model on another thread. */
  constructor(source: string | URL, options?: CrossEncoderOptions | null) {
    encoderOf.set(this, now(() => native.CrossEncoder.open(place(source), checked(options))));
  }

  /** Opens a model and waits until it is open. */
  static async open(source: string | URL, options?: CrossEncoderOptions | null): Promise<CrossEncoder> {
    const encoder = new CrossEncoder(source, options);
    await settle(() => of(encoderOf, encoder, 'a CrossEncoder').ready());
    return encoder;
  }

  /** The score of each passage for the query, higher for more relevant. */
  async score(query: string, passages: readonly string[], options?: Abortable | null): Promise<Float32Array> {
    const { signal } = checked(options, ['signal']);
    const encoder = of(encoderOf, this, 'a CrossEncoder');
    return abortable(signal, true, (cancel) => encoder.score(query, passages, cancel));
  }

  /** The longest pair that is read whole, in tokens, special tokens included. */
  get maxTokens(): number {
    return now(() => of(encoderOf, this, 'a CrossEncoder').maxTokens);
  }
}

/** @internal The embedder of a native one that is open. */
export function embedderOf(made: Native.Embedder): Embedder {
  return new Embedder(REMOTE, made);
}
