// Who may have a knowledge base open? One writer, and any number of readers, also in other processes.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Locked, QuorateError, open } from 'quorate';

const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
try {
  let writer = await open(folder);
  await writer.add([{ id: 'a', text: 'Metformin lowers glucose.' }]);

  // A second writer is refused as long as the first one is open.
  try {
    await open(folder);
  } catch (error) {
    if (!(error instanceof Locked)) throw error;
    console.log('a second writer:', error.code);
  }

  // Readers see a state of the whole, which stands still until they look again.
  const reader = await open(folder, { readOnly: true });
  await writer.add([{ id: 'b', text: 'Aspirin inhibits platelets.' }]);
  console.log(`the reader sees ${await reader.count()}, the writer ${await writer.count()}`);
  console.log('refreshed:', (await reader.refresh()) ? 'something new' : 'nothing new');
  console.log(`now it sees ${await reader.count()}: ${(await reader.search('platelets', { k: 1 }))[0]?.docId}`);
  console.log('refreshed:', (await reader.refresh()) ? 'something new' : 'nothing new');

  try {
    await reader.delete(['a']);
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    console.log('a reader that writes:', error.code);
  }
  await reader.close();
  await writer.close();

  // When the writer has closed, another may open.
  writer = await open(folder);
  console.log('the next writer has', await writer.count());
  await writer.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
