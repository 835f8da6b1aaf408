// How do LangChain's chains use quorate? An Embeddings and a VectorStore over them, for @langchain/core.

import { randomUUID } from 'node:crypto';

import { Document, type DocumentInterface } from '@langchain/core/documents';
import { Embeddings, type EmbeddingsParams } from '@langchain/core/embeddings';
import { VectorStore } from '@langchain/core/vectorstores';

import {
  type DocumentInput,
  Embedder,
  type Hit,
  InvalidInput,
  KnowledgeBase,
  type Metadata,
  type OpenOptions,
  type SearchOptions,
  type Where,
  open,
} from './index.js';

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
    const { embedder = 'builtin', ...rest } = params;
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
    super(embeddings, config);
    this.kb = config.kb;
    this.#search = config.search ?? {};
  }

  /** A store over a knowledge base or a folder. Codes: `embedder_mismatch`, `locked`, and those of opening. */
  static async open(embeddings: QuorateEmbeddings, config: QuorateVectorStoreConfig): Promise<QuorateVectorStore> {
    if (!(embeddings instanceof QuorateEmbeddings)) {
      throw new InvalidInput('invalid_argument', 'the embeddings are not QuorateEmbeddings, whose model a knowledge base opens');
    }
    if (config.kb) return new QuorateVectorStore(embeddings, { ...config, kb: config.kb });
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
