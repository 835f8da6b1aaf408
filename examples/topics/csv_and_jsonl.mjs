// How do tables become documents? One row is one document; its columns become id, title, text and metadata.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { open } from 'quorate';

const CSV = `code;name;use;dose_mg;available
008.45;Metformin;Lowers glucose in type 2 diabetes.;500;true
009.10;Aspirin;Inhibits platelets.;100;true
011.00;Nirsevimab;Prevents severe RSV disease.;50;false
`;
const JSONL = `{"id": "n1", "text": "Asked about metformin and contrast scans.", "year": 2024}
{"id": "n2", "text": "Reports bruises since she takes aspirin.", "year": 2025}
`;

const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
const kb = await open(null);
try {
  const [drugs, notes] = [join(folder, 'drugs.csv'), join(folder, 'notes.jsonl')];
  await writeFile(drugs, CSV);
  await writeFile(notes, JSONL);

  // Say which column is what. Without `csv`, the usual names are recognised, and the delimiter is guessed.
  await kb.addFiles(drugs, { csv: { delimiter: ';', id: 'code', title: 'name', text: 'use' } });
  await kb.addFiles(notes);

  const document = await kb.get('008.45');
  console.log(`${document.id}: ${document.title}. ${document.text}`);

  // Each column has one type, decided over all rows; what would lose a digit as a number stays a text, as the code does.
  console.log('at least 100 mg:', ...(await kb.ids('dose_mg >= 100')));
  console.log('not available:', ...(await kb.ids('available = false')));
  console.log('notes of 2025:', ...(await kb.ids('year = 2025')));
  console.log('best for bruises:', (await kb.search('bruises', { k: 1 }))[0]?.docId);
} finally {
  await kb.close();
  await rm(folder, { recursive: true, force: true });
}
