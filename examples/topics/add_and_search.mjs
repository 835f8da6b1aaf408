// How do documents get in, and how are they found? Keeps three in a folder, changes one, and opens the folder again.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { open } from 'quorate';

const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
try {
  // A knowledge base is a folder; it is made when it is not there.
  let kb = await open(folder);
  // All are stored, or none. When the Promise is resolved they are on the disk and can be found.
  let report = await kb.add([
    { id: 'label', title: 'Metformin', text: 'Metformin is contraindicated below an eGFR of 30.' },
    { id: 'note', title: 'ECG app', text: 'An app that reads ECGs may need a 510(k).' },
    { id: 'sky', text: 'The sky is blue on a clear day.', metadata: { year: 2019 } },
  ]);
  console.log(`added ${report.added} documents as ${report.chunks} chunks`);

  // A search looks for words and for meaning at once; `k` is how many hits are wanted.
  for (const hit of await kb.search('metformin in renal failure', { k: 1 })) {
    console.log(`found ${hit.docId}: ${hit.text}`);
  }

  // `upsert` replaces the document of the same id; what has not changed is not written again.
  report = await kb.upsert([{ id: 'sky', text: 'The sky is grey when it rains.', metadata: { year: 2025 } }]);
  console.log(`replaced ${report.replaced}: ${(await kb.get('sky')).text}`);
  console.log(`deleted ${await kb.delete(['note'])}`);
  await kb.close();

  kb = await open(folder);
  console.log(`opened again: ${await kb.count()} documents, ${(await kb.ids()).join(', ')}`);
  await kb.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
