// What does a search find?

import type * as Native from '../native.js';
import { builtin } from './builtin.js';
import { now, parse } from './call.js';
import { invalid } from './errors.js';
import { native } from './native.js';

const { inspect } = builtin('node:util');

/** A value of metadata. */
export type MetadataValue =
  | string
  | number
  | boolean
  | null
  | undefined
  | bigint
  | Date
  | MetadataValue[]
  | { [key: string]: MetadataValue };

/** What is known about a document: strings, numbers, booleans, null, dates, arrays and objects of them. */
export type Metadata = { [key: string]: MetadataValue };

/** What one term of the query adds to the lexical score. */
export interface TermScore {
  /** The term, as it stands in the index. */
  term: string;
  /** Where it was found: `content` (title and text) or `title`. */
  field: string;
  /** What it adds. */
  score: number;
  /** How often it stands there. */
  frequency: number;
  /** How often it stands in the pieces before and after, of the same document, where these count. */
  nearby: number;
  /** In how many pieces it stands. */
  rowsWithTerm: number;
  /** Its inverse document frequency. */
  idf: number;
  [more: string]: unknown;
}

/** Every step from the query to a hit's score. As a string it is the same for people. */
export interface Explanation {
  /** The hit's score. */
  score: number;
  /** The part of the words; null where the lexical leg did not run. */
  lexical: { rank: number | null; score: number; terms: TermScore[] } | null;
  /** The part of the meaning; null where the dense leg did not run. */
  dense: { rank: number | null; similarity: number } | null;
  /** How both were brought together; null for a single leg. */
  fusion: { lexical: number; dense: number; score: number; [parameter: string]: unknown } | null;
  /** What the reranker made of it; null where none ran. `blend`: how its score and the one before were brought together. */
  rerank: { name: string; before: number; score: number; blend: { weight: number; score: number; before: number } | null } | null;
  /** What each query of `searchMany` adds; empty for a single query. */
  queries: { query: string; rank: number | null; score: number }[];
  /** The explanation in words and numbers. */
  toString(): string;
}

/** A hit as a plain object. */
export type HitData = Pick<
  Hit,
  'score' | 'relevance' | 'similarity' | 'text' | 'docId' | 'chunkId' | 'title' | 'source' | 'metadata' | 'headings' | 'start' | 'end'
>;

/** @internal Hits of whatever searches, together. */
export let picked: (hits: Iterable<Hit>) => Native.Hits;

/** A piece of a document that was found. It shows the state that was searched, whatever is written later. */
export class Hit {
  readonly #hits: Native.Hits;
  readonly #at: number;

  /** @internal */
  constructor(hits: Native.Hits, at: number) {
    this.#hits = hits;
    this.#at = at;
  }

  static {
    picked = (hits) => {
      const out = new native.Hits();
      for (const hit of hits) {
        if (typeof hit !== 'object' || hit === null || !(#hits in hit)) throw invalid('hits has something else than a Hit');
        now(() => out.push(hit.#hits, hit.#at));
      }
      return out;
    };
  }

  /** How good it is; larger is better. What it means depends on mode and fusion. */
  get score(): number {
    return this.#hits.score(this.#at);
  }

  /**
   * How likely the piece is about the question at all, 0 to 1, whatever the mode and the other hits are: calibrated for the
   * built-in model and all-MiniLM-L6-v2, by the words alone with others and in a lexical search. Null where there are neither
   * words nor a known model. Code: `corrupt`.
   */
  get relevance(): number | null {
    return now(() => this.#hits.relevance(this.#at));
  }

  /** The cosine of the query and the piece; null in a lexical search and where the query means nothing to the model. */
  get similarity(): number | null {
    return this.#hits.similarity(this.#at);
  }

  /** The text of the piece. */
  get text(): string {
    return this.#hits.text(this.#at);
  }

  /** The id of its document. */
  get docId(): string {
    return this.#hits.docId(this.#at);
  }

  /** The id of the piece. */
  get chunkId(): string {
    return this.#hits.chunkId(this.#at);
  }

  /** The title of its document; empty when there is none. */
  get title(): string {
    return this.#hits.title(this.#at);
  }

  /** The source of its document; empty when unknown. */
  get source(): string {
    return this.#hits.source(this.#at);
  }

  /** The metadata of its document. */
  get metadata(): Metadata {
    return parse(this.#hits.metadata(this.#at));
  }

  /** The headings above it, outermost first. */
  get headings(): string[] {
    return this.#hits.headings(this.#at);
  }

  /** Where it starts in its document's text, in UTF-16 units: `(await kb.get(hit.docId)).text.slice(hit.start, hit.end) === hit.text`. */
  get start(): number {
    return this.#hits.start(this.#at);
  }

  /** Where it ends in the document's text, in UTF-16 units. */
  get end(): number {
    return this.#hits.end(this.#at);
  }

  /** The vector of the piece, of unit length. */
  get vector(): Float32Array {
    return this.#hits.vector(this.#at);
  }

  /** How the score came about: what the lexical leg, the dense leg, the fusion and the reranker gave. Code: `corrupt`. */
  explain(): Explanation {
    const [json, text] = now(() => this.#hits.explain(this.#at));
    const explanation = parse<Explanation>(json);
    Object.defineProperty(explanation, 'toString', { value: () => text });
    return explanation;
  }

  /** The hit as a plain object, for JSON. */
  toJSON(): HitData {
    const { score, relevance, similarity, text, docId, chunkId, title, source, metadata, headings, start, end } = this;
    return { score, relevance, similarity, text, docId, chunkId, title, source, metadata, headings, start, end };
  }

  [inspect.custom](_depth: number, options: import('node:util').InspectOptions): string {
    return `Hit ${inspect(this.toJSON(), options)}`;
  }
}

/** @internal */
export function hitsOf(found: Native.Hits): Hit[] {
  return Array.from({ length: found.length }, (_, at) => new Hit(found, at));
}
