// How is a knowledge base copied while it is used, and is every byte still as it was written?

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { QuorateError, open } from 'quorate';

const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
try {
  const [place, copy] = [join(folder, 'kb'), join(folder, 'copy')];
  let kb = await open(place);
  await kb.add(Array.from({ length: 20 }, (_, i) => ({ id: `d${i}`, text: `Drug ${i} and the kidneys.` })));
  await kb.tenant('acme').add([{ id: 'plan', text: 'A glucose meter in May.' }]);

  // The copy holds all tenants and versions, as of this moment; it is there whole, or not at all.
  const report = await kb.backup(copy);
  console.log(`copied ${report.documents} documents and ${report.tenants} tenant`);

  // Where something is already, nothing is overwritten.
  try {
    await kb.backup(copy);
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    console.log('refused:', error.code);
  }
  await kb.close();

  // `verify` reads everything and compares it with its checksums. It lists what is wrong and changes nothing.
  kb = await open(copy, { readOnly: true });
  const checked = await kb.verify();
  console.log(`verified ${checked.documents} documents: ${checked.ok ? 'no problem' : JSON.stringify(checked.problems)}`);
  await kb.close();

  // The indexes are made of the documents. When they are lost, the next opening makes them again.
  await rm(join(place, 'index'), { recursive: true });
  kb = await open(place);
  console.log(`without its indexes: ${await kb.count()} documents, found ${(await kb.search('drug 7', { k: 1 }))[0]?.docId}`);
  await kb.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
