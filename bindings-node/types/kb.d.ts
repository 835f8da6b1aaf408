import { type Abortable, CrossEncoder, Embedder } from './embed.js';
import { type Hit, type Metadata, type MetadataValue } from './hits.js';
import { type ProgressFunction } from './progress.js';
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
export type Where = string | {
    [field: string]: MetadataValue;
};
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
    phrase?: string | {
        text: string;
        slop?: number;
    } | readonly (string | {
        text: string;
        slop?: number;
    })[] | null;
    /** Beginnings of words. */
    prefix?: string | readonly string[] | null;
    /** Words with at most one typing error, or up to `distance` (2). */
    fuzzy?: string | {
        word: string;
        distance: number;
    } | readonly (string | {
        word: string;
        distance: number;
    })[] | null;
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
    toJSON(): {
        documents: Document[];
        next: string | null;
    };
}
/** A function that gives each hit a score, larger is better; it may be asynchronous. */
export type RerankFunction = (query: string, hits: Hit[]) => ArrayLike<number> | PromiseLike<ArrayLike<number>>;
/** What {@link KnowledgeBase.context} may be told. */
export interface ContextOptions extends SearchOptions, ContextForm {
}
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
/**
 * Opens the knowledge base in a folder; creates it when it is absent. `null` is an empty knowledge base in memory, which is gone
 * with its handle ({@link KnowledgeBase.backup} keeps a copy).
 *
 * Codes: `locked`, `embedder_mismatch`, `not_found` (read-only and absent), `corrupt`, `format_version`, `io`,
 * `permission_denied`.
 */
export declare function open(place: string | URL | null, options?: OpenOptions | null): Promise<KnowledgeBase>;
/**
 * Documents that are kept and found; made by {@link open}. One handle may be used for any number of calls at a time, and each
 * call runs on a thread of quorate's own.
 */
export declare class KnowledgeBase {
    #private;
    /**
     * Adds documents: all or, with an error, none. They are durable and searchable when the Promise is resolved. A large array is
     * copied part by part, so do not change the documents before then.
     *
     * Codes: `duplicate_id`, `invalid_document`, `too_large`, `read_only`, `closed`, `cancelled`, `callback`, and those of the
     * embedder and of files.
     */
    add(documents: Iterable<DocumentInput>, options?: AddOptions | null): Promise<WriteReport>;
    /** Adds documents and replaces those whose id exists. Otherwise as {@link add}. */
    upsert(documents: Iterable<DocumentInput>, options?: AddOptions | null): Promise<WriteReport>;
    /**
     * Adds the documents of files: a file, a folder or a glob, or several, such as `docs/**\/*`. Takes `.txt .md .html .pdf .docx
     * .xlsx .pptx .epub .rtf .eml .csv .tsv .jsonl` and kinds like them; `progress` counts files. There is a commit after each `batch` of documents, so what was stored before an
     * error stays, and adding the same files again goes on: what is stored as its file says is `unchanged`. Codes: `not_found`,
     * `permission_denied`, `load_failed`, and as {@link add}.
     */
    addFiles(patterns: string | URL | readonly (string | URL)[], options?: FileOptions | null): Promise<WriteReport>;
    /**
     * Adds the documents of files and replaces those whose id exists; what has not changed is not written again. Rows and pages
     * that such a file no longer holds are deleted.
     */
    upsertFiles(patterns: string | URL | readonly (string | URL)[], options?: FileOptions | null): Promise<WriteReport>;
    /**
     * Makes the knowledge base say what files say: as {@link upsertFiles}, and documents whose files are gone are deleted, as far
     * as the patterns mean those files.
     */
    syncFiles(patterns: string | URL | readonly (string | URL)[], options?: SyncOptions | null): Promise<SyncReport>;
    /**
     * Adds documents as they come, batch by batch: each batch is atomic, durable and searchable when its step is yielded.
     * `upsert`: replace documents whose id exists.
     *
     * ```js
     * for await (const step of kb.addStream(readLines(), { batchSize: 500 })) console.log(step.done);
     * ```
     */
    addStream(documents: Iterable<DocumentInput> | AsyncIterable<DocumentInput>, options?: (Omit<WriteOptions, 'progress'> & {
        batchSize?: number;
        upsert?: boolean;
    }) | null): AsyncGenerator<StreamStep, void, undefined>;
    /** Gives a document other metadata, without embedding it again. Codes: `unknown_id`, `invalid_document`. */
    updateMetadata(id: string, metadata: Metadata): Promise<void>;
    /**
     * Deletes documents by id or by filter, and says how many. A filter that says nothing, as `{}`, is refused unless `all` says
     * that every document is meant; `{ all: true }` alone deletes every document of the tenant.
     *
     * Codes: `filter_syntax`, `filter_type`, `invalid_argument`, `read_only`.
     */
    delete(which: {
        ids: readonly string[];
    } | {
        where: Where;
        all?: boolean;
    } | {
        all: true;
    } | readonly string[]): Promise<number>;
    /**
     * The `k` best pieces for a query, best first. `vector`: the query's embedding, when the caller has it.
     *
     * Codes: `filter_syntax`, `filter_type`, `filter_field`, `invalid_argument`, `cancelled`, `closed`, and those of the embedder.
     */
    search(query: string, options?: (SearchOptions & {
        vector?: Vector | null;
    }) | null): Promise<Hit[]>;
    /** The hits of several queries, in parallel. */
    searchBatch(queries: readonly string[], options?: SearchOptions | null): Promise<Hit[][]>;
    /** The best pieces for one question in several wordings, the question itself first: each is searched for, then fused. */
    searchMany(queries: readonly string[], options?: SearchOptions | null): Promise<Hit[]>;
    /** Cited text for a question, within a budget of tokens. Codes: as {@link search}. */
    context(question: string, options?: ContextOptions | null): Promise<Context>;
    /** The same of hits that were found already, the best first. */
    contextOf(hits: Iterable<Hit>, options?: ContextForm | null): Promise<Context>;
    /**
     * The hits of queries as they come, in their order, at most `concurrency` (16) searches ahead.
     *
     * ```js
     * for await (const { query, hits } of kb.searchStream(queries, { k: 3 })) console.log(query, hits[0]?.docId);
     * ```
     */
    searchStream(queries: Iterable<string> | AsyncIterable<string>, options?: (SearchOptions & {
        concurrency?: number;
    }) | null): AsyncGenerator<{
        index: number;
        query: string;
        hits: Hit[];
    }, void, undefined>;
    /** The pieces whose vectors are most similar to this one, of `dim` components. Codes as in {@link search}, `invalid_shape`. */
    searchVector(vector: Vector, options?: VectorSearchOptions | null): Promise<Hit[]>;
    /** The document with this id; with `chunks` also its pieces. Codes: `unknown_id`, `closed`. */
    get(id: string, options?: {
        chunks?: boolean;
    } | null): Promise<Document>;
    /** The ids of the documents that match, oldest first: a filter, or `{ where: filter }`. All of them without one. */
    ids(where?: Where | {
        where?: Where | null;
    } | null, options?: Abortable | null): Promise<string[]>;
    /** How many documents match: a filter, or `{ where: filter }`. All of them without one. */
    count(where?: Where | {
        where?: Where | null;
    } | null, options?: Abortable | null): Promise<number>;
    /**
     * The values of a field with the number of documents that have each: those of most documents first, of equally many the lesser
     * first. Each member of a list is a value. `limit`: 20.
     */
    facets(field: string, options?: ({
        where?: Where | null;
        limit?: number;
    } & Abortable) | null): Promise<[value: string | number | bigint | boolean, count: number][]>;
    /**
     * The least and the greatest value of a field, members of lists included; null where no document has one. Texts that are all
     * times compare as such. Code: `filter_type` (numbers and texts in one field, booleans).
     */
    minMax(field: string, options?: ({
        where?: Where | null;
    } & Abortable) | null): Promise<[least: string | number | bigint, greatest: string | number | bigint] | null>;
    /** A page of documents; `next` of it is `after` of the next one. Codes: `filter_syntax`, `filter_type`, `invalid_argument`. */
    documents(options?: ListOptions | null): Promise<DocumentPage>;
    /** What the knowledge base holds. */
    stats(): Promise<Stats>;
    /** The versions that {@link at} can show, oldest first. */
    versions(): Promise<Version[]>;
    /** The knowledge base as it was at a version, a number or one of {@link versions}. Codes: `unknown_id`, `closed`. */
    at(version: number | Version): Opening;
    /**
     * A handle that can neither see nor write anything but this tenant's documents. It can be awaited, or used at once:
     * `kb.tenant('acme').search(query)`. Codes: `tenant_violation`, `invalid_argument`.
     */
    tenant(name: string): Opening;
    /**
     * The names of the tenants that have written something, sorted; not the one without a name.
     * Codes: `tenant_violation` on a tenant's handle, `closed`.
     */
    tenants(): Promise<string[]>;
    /**
     * Removes a tenant: its documents with all their versions, and its indexes. It is durable when the Promise is resolved, and
     * cannot be undone. Handles of the tenant are empty from then on and may write again; readers in other processes see it when
     * they refresh. Codes: `not_found` when there is no such tenant, `tenant_violation` on a tenant's handle, `read_only`, `closed`;
     * `io` and `permission_denied`, also when the tenant is gone and some of its files could not be removed from the disk: the
     * message says so, and the next opening for writing removes them.
     */
    dropTenant(name: string): Promise<void>;
    /**
     * Copies the knowledge base, all tenants and versions, to a place where nothing is, while it is used. The copy has what was
     * acknowledged when the call began, and is there whole when the Promise is resolved, or not at all. From memory, from and to an
     * object store, and of a past version ({@link at}), it has no past versions. Codes: `invalid_argument` when something is there,
     * `tenant_violation` on a tenant's handle, `closed`, `corrupt`, `version_conflict` (try again), and those of files.
     */
    backup(to: string | URL, options?: CopyOptions | null): Promise<CopyReport>;
    /**
     * Reads everything that is stored and compares it with its checksums, and the indexes with the documents. What is wrong is
     * listed, not thrown; nothing is changed. All tenants, on a tenant's handle its own. It takes the time to read all files, and the
     * memory of the documents and vectors of the largest tenant. Codes: `closed`, `io`, `permission_denied`.
     */
    verify(options?: CopyOptions | null): Promise<VerifyReport>;
    /**
     * Makes a knowledge base at a place where nothing is, with all documents embedded by another model. This one stays as it is and
     * can be used meanwhile; what is written to it after the call began may be missing there. Texts are cut anew, as the settings and
     * the length of the model say. Codes: `invalid_argument` when something is there, `tenant_violation` on a tenant's handle, `closed`,
     * and those of the embedder and of files.
     */
    reembed(to: string | URL, options: ReembedOptions): Promise<CopyReport>;
    /** The model that embeds. Codes: `unsupported` when nothing says how to open it, and those of opening. */
    embedder(): Promise<Embedder>;
    /** The tenant that the handle sees; null for the one without a name. */
    get tenantName(): string | null;
    /** Takes over what other processes wrote since; says whether there was anything. */
    refresh(): Promise<boolean>;
    /** Rewrites what many small writes have left. Searching goes on meanwhile. */
    compact(): Promise<void>;
    /** Gives the writer's lock back. Further calls, of tenants' handles too, fail with code `closed`. */
    close(): Promise<void>;
    /** Closes at the end of an `await using` block. */
    [Symbol.asyncDispose](): Promise<void>;
}
type Callable = Exclude<keyof KnowledgeBase, 'tenantName' | typeof Symbol.asyncDispose>;
/** A handle that is being opened: a Promise of it, with its methods, which wait for it. */
export type Opening = Promise<KnowledgeBase> & Pick<KnowledgeBase, Callable>;
export {};
