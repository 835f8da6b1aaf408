// How do files become documents, and stay what they say? Adds a folder, and follows its changes.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { open } from 'quorate';

const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
const kb = await open(null);
try {
  await writeFile(join(folder, 'metformin.md'), '# Metformin\n\nContraindicated in renal failure.\n');
  await writeFile(join(folder, 'insulin.html'), '<title>Insulin</title><p>Lowers <b>glucose</b> at once.</p>');
  await writeFile(join(folder, 'scan.png'), Buffer.from([0x89, 0x50, 0x4e, 0x47]));

  // A file, a folder or a glob. Ids are paths below `root`. Text, Markdown, HTML, PDF, Word, Excel, PowerPoint, EPUB, RTF,
  // e-mail, CSV and JSONL are read; other files are listed.
  let report = await kb.syncFiles(folder, { root: folder });
  console.log(`added ${report.added}, left out ${report.skipped.length}: ${report.skipped[0]?.code}`);
  for (const document of await kb.documents()) {
    const last = document.text.trimEnd().split('\n').at(-1);
    console.log(`${document.id} (${document.metadata['file_type']}), ${document.title}: ${last}`);
  }

  // The same call later: what is unchanged is not read into the model again, what is gone is deleted.
  await rm(join(folder, 'insulin.html'));
  await writeFile(join(folder, 'metformin.md'), '# Metformin\n\nContraindicated below an eGFR of 30.\n');
  await writeFile(join(folder, 'note.txt'), 'The patient takes metformin.');
  report = await kb.syncFiles(folder, { root: folder });
  console.log(`added ${report.added}, updated ${report.updated}, unchanged ${report.unchanged}, deleted ${report.deleted}`);
  console.log('now:', ...(await kb.ids()));
} finally {
  await kb.close();
  await rm(folder, { recursive: true, force: true });
}
