// What happens when something is wrong? Errors with codes that stay the same, and batches that go on.

import { ERROR_CODES, InvalidInput, NotFound, QuorateError, open } from 'quorate';

const kb = await open(null);
await kb.add([{ id: 'a', text: 'Metformin lowers glucose.' }]);

// An error has a code, the same in every language and version, and a message for people. Nothing was stored.
try {
  await kb.add([{ id: 'b', text: 'New.' }, { id: 'a', text: 'Again.' }]);
} catch (error) {
  if (!(error instanceof QuorateError)) throw error;
  console.log(`${error.code}; documents: ${await kb.count()}`);
}

// With `onError: 'skip'` the good ones are stored, and the report lists the others.
const more = [{ id: 'b', text: 'New.' }, { id: 'a', text: 'Again.' }, { id: 'c', text: '' }];
const report = await kb.add(more, { onError: 'skip' });
const left = report.skipped.map(({ id, code }) => `${id} (${code})`);
console.log(`added ${report.added}; left out: ${left.join(', ')}`);

// Classes tell whose fault it is: the caller's, what is not there, another process's, the network's and so on.
try {
  await kb.get('z');
} catch (error) {
  if (!(error instanceof NotFound)) throw error;
  console.log('not found:', error.code);
}

try {
  await kb.search('glucose', { where: "year >= 'never' AND" });
} catch (error) {
  if (!(error instanceof InvalidInput)) throw error;
  console.log('wrong input:', error.code);
}

// Every code with what it means.
console.log('duplicate_id:', ERROR_CODES.duplicate_id);
await kb.close();
