// How fast is quorate from Node beside the Node packages of zvec and LanceDB, and what does the way through Node cost?
//
//     node compare.js DATA [SEARCH_TIMES]
//
// DATA holds `scifact`: the sentences of its abstracts, embedded once by the built-in model, are the rows, and the claims the
// queries; every library gets the same vectors. SEARCH_TIMES is the built example `search_times`, which does the same searches in
// Rust. One process, one library after the other.

import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

import * as lancedb from '@lancedb/lancedb';
import { ZVecCollectionSchema, ZVecCreateAndOpen, ZVecDataType, ZVecIndexType, ZVecMetricType } from '@zvec/zvec';
import { Field, FixedSizeList, Float32, Int32, Schema } from 'apache-arrow';
import { Embedder, loadBeir, open } from 'quorate';

const ROWS = 40_000;
const K = 10;
const ROUNDS = 3;
const AT_ONCE = 1000;

const [data = 'data', searchTimes] = process.argv.slice(2);
const { corpus, queries } = await loadBeir(join(data, 'scifact'));
const embedder = await Embedder.open('builtin');
const dim = embedder.dim;
const sentences = corpus.flatMap(({ text }) => text.split(/(?<=[.!?])\s+/)).filter((s) => s.length > 20).slice(0, ROWS);
const vectors = await embedder.embed(sentences);
const asked = await embedder.embedQueries(Object.values(queries));
/** The group of a row: one percent of the rows each. */
const group = (i) => i % 100;

const folder = await mkdtemp(join(tmpdir(), 'quorate-compare-'));
const results = [];
try {
  console.log(`${vectors.length} rows x ${dim}, ${asked.length} queries, k = ${K}, ${cpus().length} cores, Node ${process.version}\n`);
  results.push(await measure('quorate', await quorate()));
  results.push(await measure('zvec', await zvec()));
  results.push(await measure('LanceDB', await lance()));
  const heads = ['', 'ingest s', 'search us', 'recall', 'at once, us each', '1% filter us', 'filter recall'];
  console.log(`| ${heads.join(' | ')} |\n|---|${heads.slice(1).map(() => '---:').join('|')}|`);
  for (const r of results) {
    const cells = [r.ingest.toFixed(2), r.search.toFixed(0), r.recall.toFixed(4), r.atOnce.toFixed(0), r.filtered.toFixed(0), r.filterRecall.toFixed(4)];
    console.log(`| ${r.name} | ${cells.join(' | ')} |`);
  }
  if (searchTimes) await overhead();
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Times one library. `search(vector, group?)` resolves to the numbers of rows. */
async function measure(name, { ingest, search, close }) {
  const found = await each((vector) => search(vector));
  const filtered = await each((vector, i) => search(vector, group(i)));
  const start = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => search(asked[i % asked.length])));
  const atOnce = ((performance.now() - start) * 1000) / AT_ONCE;
  await close();
  const recall = (lists, exact) =>
    lists.reduce((sum, list, i) => sum + list.filter((row) => exact[i].includes(row)).length / exact[i].length, 0) / lists.length;
  return {
    name,
    ingest,
    search: found.time,
    recall: recall(found.lists, exactly((_, i) => true)),
    atOnce,
    filtered: filtered.time,
    filterRecall: recall(filtered.lists, exactly((row, i) => group(row) === group(i))),
  };
}

/** The best rounds' mean microseconds of an awaited search, and what the last round found. */
async function each(search) {
  let time = Infinity;
  let lists = [];
  for (let round = 0; round <= ROUNDS; round++) {
    lists = [];
    const start = performance.now();
    for (let i = 0; i < asked.length; i++) lists.push(await search(asked[i], i));
    const took = ((performance.now() - start) * 1000) / asked.length;
    // The first round warms up.
    if (round > 0) time = Math.min(time, took);
  }
  return { time, lists };
}

/** The true nearest rows of each query among those that `keep` keeps. */
function exactly(keep) {
  return asked.map((query, i) => {
    const best = [];
    vectors.forEach((vector, row) => {
      if (!keep(row, i)) return;
      let score = 0;
      for (let d = 0; d < dim; d++) score += vector[d] * query[d];
      if (best.length < K || score > best[K - 1][0]) {
        best.push([score, row]);
        best.sort((a, b) => b[0] - a[0]);
        best.length = Math.min(best.length, K);
      }
    });
    return best.map(([, row]) => row);
  });
}

async function quorate() {
  const kb = await open(join(folder, 'quorate'), { embedder });
  const documents = sentences.map((text, i) => ({ id: String(i), text, metadata: { group: group(i) }, chunks: [{ vector: vectors[i] }] }));
  const start = performance.now();
  await kb.add(documents);
  await kb.compact();
  return {
    ingest: (performance.now() - start) / 1000,
    search: async (vector, g) => {
      const hits = await kb.searchVector(vector, { k: K, where: g === undefined ? undefined : { group: g } });
      return hits.map((hit) => Number(hit.docId));
    },
    close: () => kb.close(),
  };
}

async function zvec() {
  const schema = new ZVecCollectionSchema({
    name: 'compare',
    vectors: {
      name: 'vector',
      dataType: ZVecDataType.VECTOR_FP32,
      dimension: dim,
      indexParams: { indexType: ZVecIndexType.HNSW, metricType: ZVecMetricType.IP },
    },
    fields: [{ name: 'group', dataType: ZVecDataType.INT64, indexParams: { indexType: ZVecIndexType.INVERT } }],
  });
  const collection = ZVecCreateAndOpen(join(folder, 'zvec'), schema);
  const start = performance.now();
  for (let i = 0; i < vectors.length; i += 1000) {
    const rows = vectors.slice(i, i + 1000).map((vector, j) => ({ id: String(i + j), vectors: { vector: Array.from(vector) }, fields: { group: group(i + j) } }));
    for (const status of collection.insertSync(rows)) if (!status.ok) throw new Error(`zvec: ${status.message}`);
  }
  await collection.optimize();
  const lists = asked.map((query) => [query, Array.from(query)]);
  const plain = new Map(lists);
  return {
    ingest: (performance.now() - start) / 1000,
    search: async (vector, g) => {
      const filter = g === undefined ? {} : { filter: `group = ${g}` };
      const found = await collection.query({ fieldName: 'vector', vector: plain.get(vector), topk: K, outputFields: [], ...filter });
      return found.map((doc) => Number(doc.id));
    },
    close: async () => collection.closeSync?.(),
  };
}

async function lance() {
  const database = await lancedb.connect(join(folder, 'lancedb'));
  const start = performance.now();
  const rows = vectors.map((vector, i) => ({ id: i, group: group(i), vector: Array.from(vector) }));
  const schema = new Schema([
    new Field('id', new Int32()),
    new Field('group', new Int32()),
    new Field('vector', new FixedSizeList(dim, new Field('item', new Float32(), true))),
  ]);
  const table = await database.createTable('compare', rows, { schema });
  await table.createIndex('vector', { config: lancedb.Index.hnswSq({ distanceType: 'dot' }) });
  await table.createIndex('group', { config: lancedb.Index.bitmap() });
  return {
    ingest: (performance.now() - start) / 1000,
    search: async (vector, g) => {
      let query = table.vectorSearch(vector).distanceType('dot').select(['id', '_distance']).limit(K);
      if (g !== undefined) query = query.where(`group = ${g}`);
      return (await query.toArray()).map((row) => Number(row.id));
    },
    close: async () => table.close(),
  };
}

/** What an awaited call costs above the same search in Rust: the best of some rounds of each, on the same knowledge base. */
async function overhead() {
  const file = join(folder, 'queries.f32');
  const numbers = new Float32Array(asked.length * dim);
  asked.forEach((query, i) => numbers.set(query, i * dim));
  await writeFile(file, Buffer.from(numbers.buffer));
  const kb = await open(join(folder, 'quorate'), { readOnly: true });
  const rounds = 5;
  const inRust = () => {
    const lines = execFileSync(searchTimes, [join(folder, 'quorate'), file, String(dim), String(K), String(rounds)], { encoding: 'utf8' });
    return Math.min(...lines.trim().split('\n').map((line) => Number(line.split(' ')[0])));
  };
  const inNode = async () => {
    let best = Infinity;
    for (let round = 0; round <= rounds; round++) {
      const start = performance.now();
      for (const query of asked) await kb.searchVector(query, { k: K });
      if (round > 0) best = Math.min(best, ((performance.now() - start) * 1000) / asked.length);
    }
    return best;
  };
  const [node, rust] = [Math.min(await inNode(), await inNode()), Math.min(inRust(), inRust())];
  const start = performance.now();
  for (let i = 0; i < AT_ONCE; i++) await kb.searchVector(asked[i % asked.length], { k: K });
  const middle = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => kb.searchVector(asked[i % asked.length], { k: K })));
  const end = performance.now();
  await kb.close();
  console.log(`\nsearchVector: ${rust.toFixed(0)} us in Rust, ${node.toFixed(0)} us awaited in Node, ${(node - rust).toFixed(0)} us for the way`);
  console.log(`${AT_ONCE} searches: ${(middle - start).toFixed(0)} ms in sequence, ${(end - middle).toFixed(0)} ms at once`);
}
