// How are documents kept and found?

import type * as Native from '../native.js';
import { abortable, bounded, options as checked, hosting, parse, place as path, settle, shown } from './call.js';
import { type Abortable, CrossEncoder, Embedder, embedderOf, encoderOf, nativeOf } from './embed.js';
import { invalid } from './errors.js';
import { bases } from './handles.js';
import { type Hit, type Metadata, type MetadataValue, hitsOf, picked } from './hits.js';
import { native } from './native.js';
import { type ProgressFunction, type Told, calling, teller } from './progress.js';

/** A vector. */
export type Vector = Float32Array | Float64Array | readonly number[];

/** A document to be added. */
export interface DocumentInput {
  /** Unique within its tenant; 1 to 1024 bytes. */
  id: string;
  /** The text that is cut into pieces, embedded and searched. */
  text: string;
  /** The title. */
  title?: string | null;
  /** Where it came from, such as a path or a URL. */
  source?: string | null;
  /** What is known about it; filters name its members, nested ones by dotted path. */
  metadata?: Metadata | null;
  /** The embedding of the document as a whole, when the caller has one. */
  vector?: Vector | null;
  /** The pieces, when the caller has cut the text; offsets in UTF-16 units, the whole text unless given. */
  chunks?: ChunkInput[] | null;
}

/** A piece of a document that the caller has cut. */
export interface ChunkInput {
  start?: number;
  end?: number;
  /** The headings above it, outermost first. */
  headings?: string[];
  /** Its embedding, when the caller has one; it is brought to unit length. */
  vector?: Vector;
}

/** A document as it is stored. */
export interface Document {
  id: string;
  text: string;
  title: string;
  source: string;
  metadata: Metadata;
  /** Its pieces, where they were asked for. */
  chunks?: StoredChunk[];
}

/** A piece of a document as it is stored. */
export interface StoredChunk {
  /** In UTF-16 units. */
  start: number;
  end: number;
  headings: string[];
  /** Its embedding, of unit length. */
  vector: Float32Array;
}

/**
 * A filter: text such as `year >= 2020 AND kind IN ('label', 'guideline')`, or an object such as `{ year: { $gte: 2020 } }` with
 * `$eq $ne $gt $gte $lt $lte $in $nin $contains $exists $and $or $not`.
 */
export type Where = string | { [field: string]: MetadataValue };

/** Where texts are cut. `auto`: `markdown` for a text with Markdown headings, `recursive` for any other. */
export type ChunkStrategy = 'auto' | 'fixed' | 'sentence' | 'recursive' | 'markdown' | 'semantic' | 'code';

/** How texts are cut. */
export interface ChunkOptions {
  /** Default `auto`. */
  strategy?: ChunkStrategy;
  /** Longest chunk, in tokens of the embedder. Default 512. */
  maxTokens?: number;
  /** Tokens that a chunk repeats of the one before it. Default 0. */
  overlap?: number;
  /** `semantic` cuts where the distance of neighbouring sentences is above this percentile. Default 90. */
  breakpointPercentile?: number;
  /** Embed title and headings before each chunk's text. Default true. */
  contextualHeaders?: boolean;
  /** Pool the token vectors of one pass over the document; only for embedders with token vectors. Default false. */
  late?: boolean;
}

/** How a knowledge base is opened. */
export interface OpenOptions {
  /** A model folder, a hub id, or an Embedder. Default: what it was made with; the built-in model for a new one. */
  embedder?: Embedder | string | URL | null;
  /** The tenant that the handle sees. Default: the one without a name. */
  tenant?: string | null;
  /** Whether the handle only reads; any number of processes may. Default false. */
  readOnly?: boolean;
  /** The language of stemmer and stop words, fixed when it is created, such as `english`. Default English. */
  language?: string | null;
  /** What a write survives: a power cut, or the end of the process alone. Default `power_cut`. */
  durability?: 'power_cut' | 'process';
  /** How texts are cut: a strategy, or all of it. Default: as when it was created; `auto` for a new one. */
  chunking?: ChunkStrategy | ChunkOptions | null;
  /** How many past versions are kept for `at`. Default 100. */
  keepVersions?: number;
  /** Where the indexes of a knowledge base on an object store lie, in builds with object stores. Default: a folder in the user's cache. */
  cacheFolder?: string | null;
  /** Called with how many pieces of how many are indexed where indexes have to be built again, or true to have it written to standard error. */
  progress?: boolean | ProgressFunction | null;
  /** Settings of the object store, such as `aws_region`, in builds with object stores; the package is built without. */
  storageOptions?: Record<string, string> | null;
}

/** How documents are written. */
export interface WriteOptions extends Abortable {
  /** `stop`: a bad document fails all. `skip`: all others are stored, and the report lists the bad ones. Default `stop`. */
  onError?: 'stop' | 'skip';
  /** Called with documents done and documents in all, or true to have it written to standard error. */
  progress?: boolean | ProgressFunction | null;
}

/** How documents are added. */
export interface AddOptions extends WriteOptions {
  /** The embedding of each document as a whole, when the caller has them: one row for each. */
  vectors?: readonly Vector[] | null;
}

/** Reads the text of an image, a PNG file; it may be asynchronous, and is called several times at once when there are several files. */
export type OcrFunction = (png: Buffer) => string | PromiseLike<string>;

/** How a knowledge base is copied or examined. */
export interface CopyOptions extends Abortable {
  /** Called with how many files, documents or tenants of how many are done, or true to have it written to standard error. */
  progress?: boolean | ProgressFunction | null;
}

/** How {@link KnowledgeBase.reembed} makes another knowledge base. */
export interface ReembedOptions extends CopyOptions {
  /** The model of the new one: a model folder, a hub id, or an Embedder. */
  embedder: Embedder | string | URL;
  /** Whether the pieces stay as they are, those that callers have cut above all. Default false: texts are cut anew. */
  keepChunks?: boolean;
}

/** What was copied. */
export interface CopyReport {
  /** Tenants with a name that have documents or had some. */
  tenants: number;
  /** Documents of all tenants. */
  documents: number;
  /** Their pieces. */
  chunks: number;
}

/** What was examined, and what is not as it was written. */
export interface VerifyReport {
  /** Whether no problem was found. */
  ok: boolean;
  /** Tenants that were examined, the one without a name included. */
  tenants: number;
  documents: number;
  chunks: number;
  /** Versions that can be shown. */
  versions: number;
  /** What is wrong; at most 100 a tenant. */
  problems: Problem[];
}

/** Something that is not as it was written. */
export interface Problem {
  /** Null for the tenant without a name. */
  tenant: string | null;
  /** `documents`: some may be lost. `version`: a past one cannot be shown. `index`: built again at the next opening; nothing is lost. */
  part: 'documents' | 'version' | 'index';
  /** The code of the error that whoever uses it gets. */
  code: string;
  message: string;
}

/** A document that was left out. */
export interface Skipped {
  /** Its place in what was given, from 0. */
  index: number;
  /** Its id; may be empty. */
  id: string;
  code: string;
  message: string;
}

/** What a write did. */
export interface WriteReport {
  /** New documents. */
  added: number;
  /** Documents that were there before. */
  replaced: number;
  /** With `upsert` and of files: documents that are stored as they were given already, and were not written again. */
  unchanged: number;
  /** Documents that their file no longer holds. */
  deleted: number;
  /** Pieces that were stored. */
  chunks: number;
  /** With `onError: 'skip'`, what was left out and why. */
  skipped: Skipped[];
  /** The version that holds the write. */
  version: number;
}

/** How tables in text form are read; `id`, `title`, `text` and `metadata` of JSONL too. */
export interface CsvOptions {
  /** One character. Default: a tab for `.tsv`; a comma, or where the first line has none what it has most of. */
  delimiter?: string;
  /** One character. Default `"`. */
  quote?: string;
  /** Whether the first row names the columns, or their names. Default true. */
  header?: boolean | string[];
  /** The column of the ids. Default `id`, `_id` or `doc_id`. */
  id?: string;
  /** The column of the titles. Default `title`, `name` or `headline`; such a synonym stays in the metadata too. */
  title?: string;
  /**
   * The column of the texts, or several. Default `text`, `content`, `body`, `abstract`, `passage`, `document` or `description`;
   * such a synonym stays in the metadata too.
   */
  text?: string | string[];
  /** The columns that become metadata. Default all others. */
  metadata?: string[];
}

/** How files are added. */
export interface FileOptions extends WriteOptions {
  /** The largest file, in bytes. Default 256 MiB. */
  maxBytes?: number;
  /** How long one file may take, in seconds. Default 60. */
  timeout?: number;
  /** How tables in text form are read. */
  csv?: CsvOptions | null;
  /** The encoding of text files, as a label of the Encoding Standard. Default: what the file declares, else what it looks like. */
  encoding?: string;
  /** Of web pages only the main text. Default false. */
  mainText?: boolean;
  /** The folder that ids begin below. Default: ids are made of absolute paths. */
  root?: string | URL | null;
  /** What is known of all the documents. */
  metadata?: Metadata | null;
  /**
   * Reads pages of PDFs that have no text of their own: it is given the image of a page as a PNG file and gives, or promises, its
   * text. What it throws or rejects with ends the call (code `callback`). Default none: such pages have no text.
   */
  ocr?: OcrFunction | null;
  /** Whether symbolic links in a folder lead on, also out of it. Default false. */
  followLinks?: boolean;
  /** After so many documents there is a commit. Default 1000. */
  batch?: number;
}

/** How files are synchronised. */
export interface SyncOptions extends FileOptions {
  /** Whether documents are deleted whose files are gone. Default true. */
  deleteMissing?: boolean;
}

/** What {@link KnowledgeBase.syncFiles} did, in documents. */
export interface SyncReport {
  /** New documents. */
  added: number;
  /** Documents that say something else than before. */
  updated: number;
  /** Documents that were not written again. */
  unchanged: number;
  /** Documents whose file is gone, or no longer holds them. */
  deleted: number;
  /** Pieces that were stored. */
  chunks: number;
  /** What could not be read or stored, and why. */
  skipped: Skipped[];
  /** The version that says what the files say. */
  version: number;
}

/** One step of {@link KnowledgeBase.addStream}: a batch that is stored and searchable. */
export interface StreamStep extends WriteReport {
  /** Documents that were given so far, those left out included. */
  done: number;
}

/** What a search by vector may be told. */
export interface VectorSearchOptions extends Abortable {
  /** The most hits to return. Default 10. */
  k?: number;
  /** How many of the best to leave out. Default 0. */
  offset?: number;
  /** Only documents that match. */
  where?: Where | null;
  /** Whether a filter that names a field of no document is an error (code `filter_field`). Default false. */
  strict?: boolean;
  /** `doc`: the best piece of each document. */
  groupBy?: 'doc' | null;
  /** Only hits with at least this score. */
  minScore?: number | null;
  /** Only hits that are about the question with at least this probability, 0 to 1 (`hit.relevance`); there may be none. */
  minRelevance?: number | null;
  /** The share of the nearest vectors that graphs are to find on the whole, above 0 to 1; 1 is `exact`. */
  recall?: number | null;
  /** How wide graphs are searched, instead of `recall`. */
  efSearch?: number | null;
  /** Whether every vector is compared with the query. Default false. */
  exact?: boolean;
  /** How many candidates each leg brings to begin with; 100 at least. */
  depth?: number | null;
  /** `mmr` (maximal marginal relevance) puts the best candidates in another order; other rerankers read the text of a query. Default nothing. */
  rerank?: 'mmr' | null;
  /** How many candidates are put in order at a time. Default 50. */
  rerankDepth?: number;
  /** The weight of the reranker's score against the one before, 0 to 1. Default 1. */
  blend?: number;
  /** Of `mmr`: the weight of relevance against variety, 0 to 1. Default 0.5. */
  mmrLambda?: number;
}

/** Words, or a further query. */
export type LexicalWords = string | Lexical | readonly (string | Lexical)[] | null;

/**
 * Which words the hits of a search must, may and must not have. What has to match (`must`, `phrase`, `prefix`, `fuzzy`) and what
 * must not holds for the whole search, the dense leg included. Where nothing is said but what must not match, the words of the
 * search are looked for. Stop words alone say nothing.
 */
export interface Lexical {
  /** Each has to match: all words of a text, in any order, or a further query. */
  must?: LexicalWords;
  /** Adds to the score: any word of a text, or a further query. Where nothing has to match, at least one has to. */
  should?: LexicalWords;
  /** None may match: all words of a text, or a further query. */
  mustNot?: LexicalWords;
  /** Words one after the other, with up to `slop` others between them. */
  phrase?: string | { text: string; slop?: number } | readonly (string | { text: string; slop?: number })[] | null;
  /** Beginnings of words. */
  prefix?: string | readonly string[] | null;
  /** Words with at most one typing error, or up to `distance` (2). */
  fuzzy?: string | { word: string; distance: number } | readonly (string | { word: string; distance: number })[] | null;
}

/** What a search may be told. */
export interface SearchOptions extends Omit<VectorSearchOptions, 'rerank'> {
  /** Which legs run. Default `hybrid`. */
  mode?: 'hybrid' | 'dense' | 'lexical';
  /**
   * How the legs are brought together: `convex` (each score divided by the best of its leg, with `alpha`), `rrf` (with `rrfK`) or
   * `dbsf`. Default `convex`.
   */
  fusion?: 'convex' | 'rrf' | 'dbsf';
  /** The weight of the dense leg in `convex`, 0 to 1. Default 0.5. */
  alpha?: number;
  /** The constant of `rrf`. Default 60. */
  rrfK?: number;
  /**
   * What gives the best candidates a better order: `mmr` (maximal marginal relevance), `late` (late interaction by the embedder's
   * token vectors), a model, or a function. Default nothing.
   */
  rerank?: 'mmr' | 'late' | CrossEncoder | RerankFunction | null;
  /** Which words must, may and must not occur, instead of the words of the query. */
  lexical?: Lexical | null;
  /** The parameters [k1, b] of BM25. Default [1.2, 0.75]. */
  bm25?: readonly [k1: number, b: number] | null;
  /** What a word in the title counts on top. Default 0. */
  titleBoost?: number | null;
}

/** Which documents {@link KnowledgeBase.documents} lists, and in which order. */
export interface ListOptions extends Abortable {
  /** Only documents that match. */
  where?: Where | null;
  /** A field, with `-` before it for the greatest first; documents without a value come last. Default by id. */
  sort?: string | null;
  /** The most documents of one page. Default 100. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  after?: string | null;
}

/** A page of documents. */
export interface DocumentPage extends Array<Document> {
  /** What `after` of the next page is; null when this page is the last. */
  next: string | null;
  /** The documents and `next`, for `JSON.stringify`. */
  toJSON(): { documents: Document[]; next: string | null };
}

/** A function that gives each hit a score, larger is better; it may be asynchronous. */
export type RerankFunction = (query: string, hits: Hit[]) => ArrayLike<number> | PromiseLike<ArrayLike<number>>;

/** What {@link KnowledgeBase.context} may be told. */
export interface ContextOptions extends SearchOptions, ContextForm {}

/** What {@link KnowledgeBase.contextOf} may be told. */
export interface ContextForm extends Abortable {
  /** The most tokens of the whole text, as the embedder counts. Default 2000. */
  maxTokens?: number;
  /** In which order the passages stand. Default `score`: the best first. */
  order?: 'score' | 'document' | 'lost_in_the_middle';
  /** How many chunks before and after each passage are joined to it while the budget lasts. Default 1. */
  neighbours?: number;
  /** A passage that is at least so similar to a better one is left out, 0 to 1. Default 0.85. */
  dedupe?: number;
  /** What counts tokens: an Embedder, or a function from text to number; it may be asynchronous. Default the embedder of the knowledge base. */
  tokenizer?: Embedder | ((text: string) => number | PromiseLike<number>) | null;
}

/** Where a passage comes from: `(await kb.get(docId)).text.slice(start, end)` is the passage. */
export interface Citation {
  /** What stands before the passage in the text: `[1]`, `[2]` and so on. */
  marker: string;
  docId: string;
  /** The best chunk in it. */
  chunkId: string;
  /** In UTF-16 units. */
  start: number;
  /** In UTF-16 units. */
  end: number;
  title: string;
  /** The score of the best chunk in it. */
  score: number;
}

/** Passages of documents in one text, each under its marker. */
export interface Context {
  /** Empty when nothing was found or nothing fits. */
  text: string;
  /** One for each passage, in the order of the text. */
  citations: Citation[];
  /** The tokens of the text; at most `maxTokens`. */
  tokens: number;
  /**
   * Why the text is empty, null where it is not: the search found nothing, or nothing that reaches `minRelevance` or `minScore`, or
   * not even the beginning of a passage fits into `maxTokens`.
   */
  reason: 'nothing_found' | 'nothing_relevant' | 'budget_too_small' | null;
}

/** What a knowledge base holds, of one tenant. */
export interface Stats {
  documents: number;
  chunks: number;
  /** The newest version that this handle sees. */
  version: number;
  /** The fingerprint of the embedder. */
  embedder: string;
  /** Components of a vector. */
  dim: number;
  language: string;
  /** Pieces that the indexes consist of. */
  segments: number;
  /** Bytes on disk of the tenant's documents; 0 on an object store. */
  truthBytes: number;
  /** Bytes on disk of the tenant's indexes. */
  indexBytes: number;
}

/** A version that `at` can show. */
export interface Version {
  version: number;
  /** When it was made, in milliseconds since 1970. */
  timestamp: number;
}

/** How many documents are copied at once, and for how many milliseconds before other work gets its turn. */
const SLICE = 64;
const TURN = 4;

const MADE = Symbol('made');

/**
 * Opens the knowledge base in a folder; creates it when it is absent. `null` is an empty knowledge base in memory, which is gone
 * with its handle ({@link KnowledgeBase.backup} keeps a copy).
 *
 * Codes: `locked`, `embedder_mismatch`, `not_found` (read-only and absent), `corrupt`, `format_version`, `io`,
 * `permission_denied`.
 */
export async function open(place: string | URL | null, options?: OpenOptions | null): Promise<KnowledgeBase> {
  const { embedder, progress, ...rest } = checked(options);
  const tell = teller(progress, 'pieces');
  const model = embedder instanceof Embedder ? undefined : embedder;
  const own = embedder instanceof Embedder ? nativeOf.get(embedder) : undefined;
  const settings = { ...rest, model: model === undefined || model === null ? model : path(model) };
  const opened = await calling(tell, () => settle(() => native.open(place === null ? null : path(place), own, settings, tell.call)));
  return new KnowledgeBase(MADE, opened);
}

/**
 * Documents that are kept and found; made by {@link open}. One handle may be used for any number of calls at a time, and each
 * call runs on a thread of quorate's own.
 */
export class KnowledgeBase {
  readonly #native: Native.KnowledgeBase;

  /** @internal */
  constructor(made: typeof MADE, opened: Native.KnowledgeBase) {
    if (made !== MADE) throw invalid('a KnowledgeBase is made by open');
    this.#native = opened;
    bases.set(this, opened);
  }

  /**
   * Adds documents: all or, with an error, none. They are durable and searchable when the Promise is resolved. A large array is
   * copied part by part, so do not change the documents before then.
   *
   * Codes: `duplicate_id`, `invalid_document`, `too_large`, `read_only`, `closed`, `cancelled`, `callback`, and those of the
   * embedder and of files.
   */
  async add(documents: Iterable<DocumentInput>, options?: AddOptions | null): Promise<WriteReport> {
    return this.#write(documents, false, options);
  }

  /** Adds documents and replaces those whose id exists. Otherwise as {@link add}. */
  async upsert(documents: Iterable<DocumentInput>, options?: AddOptions | null): Promise<WriteReport> {
    return this.#write(documents, true, options);
  }

  async #write(
    documents: Iterable<DocumentInput>,
    replace: boolean,
    options: AddOptions | null | undefined,
  ): Promise<WriteReport> {
    const { vectors, ...rest } = checked(options);
    const { skip, teller, signal } = writing(rest);
    const batch = new native.Documents(skip);
    await fill(batch, documents, signal);
    const write = (cancel?: Native.Cancel) => this.#native.write(batch, replace, vectors, teller.call, cancel);
    return parse(await calling(teller, () => abortable(signal, false, write)));
  }

  /**
   * Adds the documents of files: a file, a folder or a glob, or several, such as `docs/**\/*`. Takes `.txt .md .html .pdf .docx
   * .xlsx .pptx .epub .rtf .eml .csv .tsv .jsonl` and kinds like them; `progress` counts files. There is a commit after each `batch` of documents, so what was stored before an
   * error stays, and adding the same files again goes on: what is stored as its file says is `unchanged`. Codes: `not_found`,
   * `permission_denied`, `load_failed`, and as {@link add}.
   */
  async addFiles(patterns: string | URL | readonly (string | URL)[], options?: FileOptions | null): Promise<WriteReport> {
    return this.#writeFiles(patterns, 'add', options);
  }

  /**
   * Adds the documents of files and replaces those whose id exists; what has not changed is not written again. Rows and pages
   * that such a file no longer holds are deleted.
   */
  async upsertFiles(patterns: string | URL | readonly (string | URL)[], options?: FileOptions | null): Promise<WriteReport> {
    return this.#writeFiles(patterns, 'upsert', options);
  }

  /**
   * Makes the knowledge base say what files say: as {@link upsertFiles}, and documents whose files are gone are deleted, as far
   * as the patterns mean those files.
   */
  async syncFiles(patterns: string | URL | readonly (string | URL)[], options?: SyncOptions | null): Promise<SyncReport> {
    return this.#writeFiles(patterns, 'sync', options);
  }

  async #writeFiles<T>(
    patterns: string | URL | readonly (string | URL)[],
    task: 'add' | 'upsert' | 'sync',
    options: SyncOptions | null | undefined,
  ): Promise<T> {
    const { progress, ocr, signal, root, ...rest } = checked(options);
    const settings = { ...rest, root: root === undefined || root === null ? undefined : path(root) };
    const [tell, read] = [teller(progress, 'files'), reader(ocr)];
    const list = Array.isArray(patterns) ? bounded(patterns as readonly (string | URL)[], 'patterns') : [patterns as string | URL];
    const write = (cancel?: Native.Cancel) =>
      this.#native.writeFiles(list.map(path), task, settings, tell.call, read.call, cancel);
    return parse(await calling(tell, () => abortable(signal, false, write), read));
  }

  /**
   * Adds documents as they come, batch by batch: each batch is atomic, durable and searchable when its step is yielded.
   * `upsert`: replace documents whose id exists.
   *
   * ```js
   * for await (const step of kb.addStream(readLines(), { batchSize: 500 })) console.log(step.done);
   * ```
   */
  async *addStream(
    documents: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
    options?: (Omit<WriteOptions, 'progress'> & { batchSize?: number; upsert?: boolean }) | null,
  ): AsyncGenerator<StreamStep, void, undefined> {
    const { batchSize = 256, upsert = false, ...rest } = checked(options);
    if (!Number.isInteger(batchSize) || batchSize < 1) throw invalid(`batchSize is ${shown(batchSize)}; 1 or more is expected`);
    let done = 0;
    const store = async (batch: DocumentInput[]): Promise<StreamStep> => {
      const report = await this.#write(batch, upsert, rest);
      for (const one of report.skipped) one.index += done;
      done += batch.length;
      return { ...report, done };
    };
    let batch: DocumentInput[] = [];
    for await (const document of iterated(documents)) {
      batch.push(document);
      if (batch.length === batchSize) {
        yield await store(batch);
        batch = [];
      }
    }
    if (batch.length > 0) yield await store(batch);
  }

  /** Gives a document other metadata, without embedding it again. Codes: `unknown_id`, `invalid_document`. */
  async updateMetadata(id: string, metadata: Metadata): Promise<void> {
    await settle(() => this.#native.updateMetadata(id, metadata));
  }

  /**
   * Deletes documents by id or by filter, and says how many. A filter that says nothing, as `{}`, is refused unless `all` says
   * that every document is meant; `{ all: true }` alone deletes every document of the tenant.
   *
   * Codes: `filter_syntax`, `filter_type`, `invalid_argument`, `read_only`.
   */
  async delete(
    which: { ids: readonly string[] } | { where: Where; all?: boolean } | { all: true } | readonly string[],
  ): Promise<number> {
    return settle(() => this.#native.delete(Array.isArray(which) ? { ids: which } : which));
  }

  /**
   * The `k` best pieces for a query, best first. `vector`: the query's embedding, when the caller has it.
   *
   * Codes: `filter_syntax`, `filter_type`, `filter_field`, `invalid_argument`, `cancelled`, `closed`, and those of the embedder.
   */
  async search(query: string, options?: (SearchOptions & { vector?: Vector | null }) | null): Promise<Hit[]> {
    const { signal, rerank, ...rest } = checked(options);
    const second = reranker(rerank);
    const search = (cancel?: Native.Cancel) =>
      this.#native.search(query, { ...rest, rerank: second.name }, cancel, second.encoder, second.call);
    return hitsOf(await calling(second, () => abortable(signal, true, search)));
  }

  /** The hits of several queries, in parallel. */
  async searchBatch(queries: readonly string[], options?: SearchOptions | null): Promise<Hit[][]> {
    const { signal, rerank, ...rest } = checked(options);
    const second = reranker(rerank);
    const search = (cancel?: Native.Cancel) =>
      this.#native.searchBatch(queries, { ...rest, rerank: second.name }, cancel, second.encoder, second.call);
    return (await calling(second, () => abortable(signal, true, search))).map(hitsOf);
  }

  /** The best pieces for one question in several wordings, the question itself first: each is searched for, then fused. */
  async searchMany(queries: readonly string[], options?: SearchOptions | null): Promise<Hit[]> {
    const { signal, rerank, ...rest } = checked(options);
    const second = reranker(rerank);
    const search = (cancel?: Native.Cancel) =>
      this.#native.searchMany(queries, { ...rest, rerank: second.name }, cancel, second.encoder, second.call);
    return hitsOf(await calling(second, () => abortable(signal, true, search)));
  }

  /** Cited text for a question, within a budget of tokens. Codes: as {@link search}. */
  async context(question: string, options?: ContextOptions | null): Promise<Context> {
    const { signal, rerank, tokenizer, ...rest } = checked(options);
    const [second, counts] = [reranker(rerank), counter(tokenizer)];
    const build = (cancel?: Native.Cancel) =>
      this.#native.context(question, { ...rest, rerank: second.name }, cancel, second.encoder, second.call, counts.embedder, counts.call);
    return parse(await calling(second, () => abortable(signal, true, build), counts));
  }

  /** The same of hits that were found already, the best first. */
  async contextOf(hits: Iterable<Hit>, options?: ContextForm | null): Promise<Context> {
    const { signal, tokenizer, ...rest } = checked(options);
    const [counts, found] = [counter(tokenizer), picked(iterable(hits))];
    const build = (cancel?: Native.Cancel) => this.#native.contextOf(found, rest, cancel, counts.embedder, counts.call);
    return parse(await calling(counts, () => abortable(signal, true, build)));
  }

  /**
   * The hits of queries as they come, in their order, at most `concurrency` (16) searches ahead.
   *
   * ```js
   * for await (const { query, hits } of kb.searchStream(queries, { k: 3 })) console.log(query, hits[0]?.docId);
   * ```
   */
  async *searchStream(
    queries: Iterable<string> | AsyncIterable<string>,
    options?: (SearchOptions & { concurrency?: number }) | null,
  ): AsyncGenerator<{ index: number; query: string; hits: Hit[] }, void, undefined> {
    const { concurrency = 16, ...rest } = checked(options);
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      throw invalid(`concurrency is ${shown(concurrency)}; 1 or more is expected`);
    }
    const ahead: Promise<{ index: number; query: string; hits: Hit[] }>[] = [];
    let index = 0;
    for await (const query of iterated(queries)) {
      const at = index++;
      const search = this.search(query, rest).then((hits) => ({ index: at, query, hits }));
      // It is awaited in its turn; until then its failure is not an unhandled one.
      search.catch(() => {});
      ahead.push(search);
      if (ahead.length >= concurrency) yield await ahead.shift()!;
    }
    while (ahead.length > 0) yield await ahead.shift()!;
  }

  /** The pieces whose vectors are most similar to this one, of `dim` components. Codes as in {@link search}, `invalid_shape`. */
  async searchVector(vector: Vector, options?: VectorSearchOptions | null): Promise<Hit[]> {
    const { signal, ...rest } = checked(options);
    if ((rest.rerank ?? 'mmr') !== 'mmr') throw invalid("rerank reads the text of the query; searchVector has 'mmr' alone");
    return hitsOf(await abortable(signal, true, (cancel) => this.#native.searchVector(vector, rest, cancel)));
  }

  /** The document with this id; with `chunks` also its pieces. Codes: `unknown_id`, `closed`. */
  async get(id: string, options?: { chunks?: boolean } | null): Promise<Document> {
    const { chunks } = checked(options, ['chunks']);
    const found = await settle(() => this.#native.get(id, chunks));
    if (typeof found === 'string') return parse(found);
    const document = parse<Document>(found[0]);
    document.chunks?.forEach((chunk, i) => (chunk.vector = found[1][i]!));
    return document;
  }

  /** The ids of the documents that match, oldest first: a filter, or `{ where: filter }`. All of them without one. */
  async ids(where?: Where | { where?: Where | null } | null, options?: Abortable | null): Promise<string[]> {
    const { signal } = checked(options, ['signal']);
    return abortable(signal, true, (cancel) => this.#native.ids(filterIn(where), cancel));
  }

  /** How many documents match: a filter, or `{ where: filter }`. All of them without one. */
  async count(where?: Where | { where?: Where | null } | null, options?: Abortable | null): Promise<number> {
    const { signal } = checked(options, ['signal']);
    return abortable(signal, true, (cancel) => this.#native.count(filterIn(where), cancel));
  }

  /**
   * The values of a field with the number of documents that have each: those of most documents first, of equally many the lesser
   * first. Each member of a list is a value. `limit`: 20.
   */
  async facets(
    field: string,
    options?: ({ where?: Where | null; limit?: number } & Abortable) | null,
  ): Promise<[value: string | number | bigint | boolean, count: number][]> {
    const { signal, ...rest } = checked(options);
    return parse(await abortable(signal, true, (cancel) => this.#native.facets(field, rest, cancel)));
  }

  /**
   * The least and the greatest value of a field, members of lists included; null where no document has one. Texts that are all
   * times compare as such. Code: `filter_type` (numbers and texts in one field, booleans).
   */
  async minMax(
    field: string,
    options?: ({ where?: Where | null } & Abortable) | null,
  ): Promise<[least: string | number | bigint, greatest: string | number | bigint] | null> {
    const { signal, ...rest } = checked(options);
    return parse(await abortable(signal, true, (cancel) => this.#native.minMax(field, rest, cancel)));
  }

  /** A page of documents; `next` of it is `after` of the next one. Codes: `filter_syntax`, `filter_type`, `invalid_argument`. */
  async documents(options?: ListOptions | null): Promise<DocumentPage> {
    const { signal, ...rest } = checked(options);
    const list = (cancel?: Native.Cancel) => this.#native.documents(rest, cancel);
    const found = parse<{ documents: Document[]; next: string | null }>(await abortable(signal, false, list));
    const page = Object.assign(found.documents, { next: found.next });
    // JSON knows an array's items alone.
    const toJSON = () => ({ documents: [...page], next: page.next });
    return Object.defineProperty(page, 'toJSON', { value: toJSON }) as DocumentPage;
  }

  /** What the knowledge base holds. */
  async stats(): Promise<Stats> {
    return parse(await settle(() => this.#native.stats()));
  }

  /** The versions that {@link at} can show, oldest first. */
  async versions(): Promise<Version[]> {
    return parse(await settle(() => this.#native.versions()));
  }

  /** The knowledge base as it was at a version, a number or one of {@link versions}. Codes: `unknown_id`, `closed`. */
  at(version: number | Version): Opening {
    const number = typeof version === 'object' && version !== null ? version.version : version;
    return opening(settle(() => this.#native.at(number)).then((made) => new KnowledgeBase(MADE, made)));
  }

  /**
   * A handle that can neither see nor write anything but this tenant's documents. It can be awaited, or used at once:
   * `kb.tenant('acme').search(query)`. Codes: `tenant_violation`, `invalid_argument`.
   */
  tenant(name: string): Opening {
    return opening(settle(() => this.#native.tenant(name)).then((made) => new KnowledgeBase(MADE, made)));
  }

  /**
   * The names of the tenants that have written something, sorted; not the one without a name.
   * Codes: `tenant_violation` on a tenant's handle, `closed`.
   */
  async tenants(): Promise<string[]> {
    return settle(() => this.#native.tenants());
  }

  /**
   * Removes a tenant: its documents with all their versions, and its indexes. It is durable when the Promise is resolved, and
   * cannot be undone. Handles of the tenant are empty from then on and may write again; readers in other processes see it when
   * they refresh. Codes: `not_found` when there is no such tenant, `tenant_violation` on a tenant's handle, `read_only`, `closed`;
   * `io` and `permission_denied`, also when the tenant is gone and some of its files could not be removed from the disk: the
   * message says so, and the next opening for writing removes them.
   */
  async dropTenant(name: string): Promise<void> {
    await settle(() => this.#native.dropTenant(name));
  }

  /**
   * Copies the knowledge base, all tenants and versions, to a place where nothing is, while it is used. The copy has what was
   * acknowledged when the call began, and is there whole when the Promise is resolved, or not at all. From memory, from and to an
   * object store, and of a past version ({@link at}), it has no past versions. Codes: `invalid_argument` when something is there,
   * `tenant_violation` on a tenant's handle, `closed`, `corrupt`, `version_conflict` (try again), and those of files.
   */
  async backup(to: string | URL, options?: CopyOptions | null): Promise<CopyReport> {
    const { teller, signal } = copying(options, 'files');
    const copy = (cancel?: Native.Cancel) => this.#native.backup(path(to), teller.call, cancel);
    return parse(await calling(teller, () => abortable(signal, false, copy)));
  }

  /**
   * Reads everything that is stored and compares it with its checksums, and the indexes with the documents. What is wrong is
   * listed, not thrown; nothing is changed. All tenants, on a tenant's handle its own. It takes the time to read all files, and the
   * memory of the documents and vectors of the largest tenant. Codes: `closed`, `io`, `permission_denied`.
   */
  async verify(options?: CopyOptions | null): Promise<VerifyReport> {
    const { teller, signal } = copying(options, 'tenants');
    return parse(
      await calling(teller, () => abortable(signal, true, (cancel) => this.#native.verify(teller.call, cancel))),
    );
  }

  /**
   * Makes a knowledge base at a place where nothing is, with all documents embedded by another model. This one stays as it is and
   * can be used meanwhile; what is written to it after the call began may be missing there. Texts are cut anew, as the settings and
   * the length of the model say. Codes: `invalid_argument` when something is there, `tenant_violation` on a tenant's handle, `closed`,
   * and those of the embedder and of files.
   */
  async reembed(to: string | URL, options: ReembedOptions): Promise<CopyReport> {
    const { embedder, keepChunks, ...rest } = checked(options);
    const { teller, signal } = copying(rest, 'documents');
    const own = embedder instanceof Embedder ? nativeOf.get(embedder) : undefined;
    const model = own === undefined && embedder !== undefined && embedder !== null ? path(embedder as string | URL) : undefined;
    const copy = (cancel?: Native.Cancel) =>
      this.#native.reembed(path(to), own, { model, keepChunks }, teller.call, cancel);
    return parse(await calling(teller, () => abortable(signal, false, copy)));
  }

  /** The model that embeds. Codes: `unsupported` when nothing says how to open it, and those of opening. */
  async embedder(): Promise<Embedder> {
    return embedderOf(await settle(() => this.#native.embedder()));
  }

  /** The tenant that the handle sees; null for the one without a name. */
  get tenantName(): string | null {
    return this.#native.tenantName;
  }

  /** Takes over what other processes wrote since; says whether there was anything. */
  async refresh(): Promise<boolean> {
    return settle(() => this.#native.refresh());
  }

  /** Rewrites what many small writes have left. Searching goes on meanwhile. */
  async compact(): Promise<void> {
    await settle(() => this.#native.compact());
  }

  /** Gives the writer's lock back. Further calls, of tenants' handles too, fail with code `closed`. */
  async close(): Promise<void> {
    await settle(() => this.#native.close());
  }

  /** Closes at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

type Callable = Exclude<keyof KnowledgeBase, 'tenantName' | typeof Symbol.asyncDispose>;

/** A handle that is being opened: a Promise of it, with its methods, which wait for it. */
export type Opening = Promise<KnowledgeBase> & Pick<KnowledgeBase, Callable>;

const STREAMS: readonly string[] = ['addStream', 'searchStream'];
const HANDLES: readonly string[] = ['at', 'tenant'];

function opening(handle: Promise<KnowledgeBase>): Opening {
  type Any = (...args: unknown[]) => unknown;
  const method = (kb: KnowledgeBase, name: string): Any => ((kb as unknown) as Record<string, Any>)[name]!.bind(kb);
  const own: Record<string, Any> = {};
  for (const name of Object.getOwnPropertyNames(KnowledgeBase.prototype)) {
    if (name === 'constructor' || name === 'tenantName') continue;
    if (STREAMS.includes(name)) {
      own[name] = async function* (...args) {
        yield* method(await handle, name)(...args) as AsyncGenerator;
      };
    } else if (HANDLES.includes(name)) {
      own[name] = (...args) => opening(handle.then((kb) => method(kb, name)(...args) as Opening));
    } else {
      own[name] = (...args) => handle.then((kb) => method(kb, name)(...args));
    }
  }
  return Object.assign(handle, own) as unknown as Opening;
}

/** @internal */
export function filterIn(where: Where | { where?: Where | null } | null | undefined): Where | null | undefined {
  if (typeof where === 'object' && where !== null && Object.keys(where).length === 1 && 'where' in where) {
    return where.where as Where | null | undefined;
  }
  return where as Where | null | undefined;
}

/** Copies documents, giving way to other work of this thread in between. */
async function fill(
  batch: Native.Documents,
  documents: Iterable<DocumentInput>,
  signal: AbortSignal | null | undefined,
): Promise<void> {
  const isIterable = typeof documents === 'object' && documents !== null && iterates(documents, Symbol.iterator);
  if (!isIterable || documents instanceof Map) {
    throw invalid(`documents are ${documents === null ? 'null' : `a ${typeof documents}`}; an array is expected`);
  }
  if (Array.isArray(documents)) bounded(documents, 'documents');
  const slices = Array.isArray(documents) ? slicesOf(documents as DocumentInput[]) : gather(documents);
  let since = performance.now();
  for (const slice of slices) {
    await settle(async () => batch.push(slice));
    if (performance.now() - since > TURN) {
      await new Promise(setImmediate);
      if (signal?.aborted) return;
      since = performance.now();
    }
  }
}

function* slicesOf(documents: DocumentInput[]): Generator<DocumentInput[]> {
  for (let i = 0; i < documents.length; i += SLICE) yield documents.slice(i, i + SLICE);
}

/** Whether something can be iterated so, and holds more than numbers. */
function iterates(of: object, name: symbol): boolean {
  return !ArrayBuffer.isView(of) && typeof (of as Record<symbol, unknown>)[name] === 'function';
}

function* gather(documents: Iterable<DocumentInput>): Generator<DocumentInput[]> {
  let slice: DocumentInput[] = [];
  for (const document of documents) {
    slice.push(document);
    if (slice.length === SLICE) {
      yield slice;
      slice = [];
    }
  }
  if (slice.length > 0) yield slice;
}

async function* iterated<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T> {
  const isIterable =
    typeof items === 'object' && items !== null && (iterates(items, Symbol.iterator) || iterates(items, Symbol.asyncIterator));
  if (!isIterable) throw invalid(`${typeof items} is given; something to iterate over is expected`);
  yield* items;
}

/** The options of a write, checked. */
function writing(options: WriteOptions | null | undefined, what = 'documents') {
  const { onError = 'stop', progress, signal, ...unknown } = checked(options);
  for (const name of Object.keys(unknown)) throw invalid(`options of add have no option '${name}'`);
  if (onError !== 'stop' && onError !== 'skip') throw invalid(`onError is ${shown(onError)}; it is one of stop, skip`);
  return { skip: onError === 'skip', teller: teller(progress, what), signal };
}

/** The options of a copy, checked. */
function copying(options: CopyOptions | null | undefined, what: string) {
  const { progress, signal, ...unknown } = checked(options);
  for (const name of Object.keys(unknown)) throw invalid(`there is no option '${name}'`);
  return { teller: teller(progress, what), signal };
}

type Reader = (reply: Native.Reply, png: Buffer) => void;

/** What reads images for the native half. */
function reader(ocr: FileOptions['ocr']): Told<Reader> {
  if (ocr === undefined || ocr === null) return { call: undefined };
  if (typeof ocr !== 'function') throw invalid(`ocr is ${shown(ocr)}; a function from the PNG file of an image to its text is expected`);
  const host = hosting();
  const told: Told<Reader> = {
    call: (reply, png) => {
      const failed = (error: unknown) => {
        told.failed = { error };
        reply.fail('the ocr callback failed');
      };
      const given = (text: unknown) => {
        if (typeof text === 'string') reply.answer(text);
        else failed(invalid(`ocr gave ${shown(text)}; the text of the image, a string, is expected`));
      };
      host(() => ocr(png)).then(given, failed);
    },
  };
  return told;
}

type Tokens = (reply: Native.Reply, text: string) => void;

/** What counts tokens, as the native half takes it: nothing, an embedder, or a function. */
function counter(tokenizer: ContextForm['tokenizer']): Told<Tokens> & { embedder?: Native.Embedder | undefined } {
  if (tokenizer === undefined || tokenizer === null) return { call: undefined };
  if (tokenizer instanceof Embedder) return { call: undefined, embedder: nativeOf.get(tokenizer) };
  if (typeof tokenizer !== 'function') throw invalid(`tokenizer is ${shown(tokenizer)}; an Embedder or a function from text to a number is expected`);
  const host = hosting();
  const told: Told<Tokens> = {
    call: (reply, text) => {
      const failed = (error: unknown) => {
        told.failed = { error };
        reply.fail('the tokenizer callback failed');
      };
      const given = (count: unknown) => {
        if (Number.isSafeInteger(count) && (count as number) >= 0) reply.answer(count);
        else failed(invalid(`the tokenizer gave ${shown(count)}; a number of tokens from 0 is expected`));
      };
      host(() => tokenizer(text)).then(given, failed);
    },
  };
  return told;
}

/** Something that can be iterated over, and is no text. */
function iterable<T>(given: Iterable<T>): Iterable<T> {
  if (typeof given !== 'object' || given === null || !iterates(given, Symbol.iterator)) throw invalid(`hits are ${shown(given)}; an array is expected`);
  return given;
}

type Scorer = (reply: Native.Reply, query: string, hits: Native.Hits) => void;

/** A reranker as the native half takes it: by name, or the model or the function beside it. */
interface Second extends Told<Scorer> {
  name: string | undefined;
  encoder?: Native.CrossEncoder | undefined;
}

function reranker(rerank: SearchOptions['rerank']): Second {
  if (rerank === undefined || rerank === null) return { name: undefined, call: undefined };
  if (rerank instanceof CrossEncoder) return { name: undefined, encoder: encoderOf.get(rerank), call: undefined };
  if (typeof rerank === 'string') {
    if (rerank !== 'mmr' && rerank !== 'late') throw invalid(`rerank is ${shown(rerank)}; it is one of mmr, late`);
    return { name: rerank, call: undefined };
  }
  if (typeof rerank !== 'function') {
    throw invalid(`rerank is a ${typeof rerank}; 'mmr', 'late', a CrossEncoder or a function is expected`);
  }
  const host = hosting();
  const second: Second = {
    name: undefined,
    call: (reply, query, hits) => {
      const failed = (error: unknown) => {
        second.failed = { error };
        reply.fail('the reranking callback threw');
      };
      host(() => rerank(query, hitsOf(hits))).then((scores) => {
        reply.answer(scores);
      }, failed);
    },
  };
  return second;
}
