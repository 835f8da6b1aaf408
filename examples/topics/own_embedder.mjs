// How does one use an embedding model of one's own? Any function from texts to vectors will do.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CallbackEmbedder, QuorateError, open } from 'quorate';

// A toy: how often each letter occurs. A real one would call a model or a service, and may be asynchronous.
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz'];
/** @param {string[]} texts */
const letters = (texts) => texts.map((text) => LETTERS.map((letter) => text.toLowerCase().split(letter).length - 1));

// `id` names the function and its version: vectors of another function must have another id.
const embedder = new CallbackEmbedder(letters, { dim: 26, id: 'letters-v1' });
console.log('components:', (await embedder.embedQuery('glucose')).length);

const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
try {
  const kb = await open(folder, { embedder });
  await kb.add([
    { id: 'a', text: 'glucose' },
    { id: 'b', text: 'platelets' },
    { id: 'c', text: 'kidney' },
  ]);
  // An anagram: no word in common, but the same letters.
  for (const hit of await kb.search('cose glu', { k: 1, mode: 'dense' })) {
    console.log(`nearest: ${hit.docId}, similarity ${hit.similarity?.toFixed(2)}`);
  }
  await kb.close();

  // A knowledge base remembers what embedded it; another model is refused, since its vectors mean something else.
  try {
    await open(folder, { embedder: 'builtin' });
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    console.log('refused:', error.code);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
