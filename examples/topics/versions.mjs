// What did the knowledge base say before? Each write makes a version, which can be read later.

import { QuorateError, open } from 'quorate';

// The past is kept for `keepVersions` writes (100).
const kb = await open(null);
const { version: first } = await kb.add([
  { id: 'a', text: 'Metformin is safe above an eGFR of 60.' },
  { id: 'b', text: 'Aspirin inhibits platelets.' },
]);
const { version: second } = await kb.upsert([{ id: 'a', text: 'Metformin is safe above an eGFR of 45.' }]);
await kb.delete(['b']);

// A past version is a knowledge base for reading: it is searched, filtered and counted like the present one.
for (const [name, past] of /** @type {const} */ ([['first', kb.at(first)], ['second', kb.at(second)], ['now', kb]])) {
  console.log(`${name}: ${await past.count()} documents; ${(await past.get('a')).text}`);
}
const then = await kb.at(first).search('platelets', { mode: 'lexical' });
console.log('found in the past:', ...then.map((hit) => hit.docId));
console.log('found now:', (await kb.search('platelets', { mode: 'lexical' })).length);

// It cannot be changed.
try {
  await kb.at(first).delete(['a']);
} catch (error) {
  if (!(error instanceof QuorateError)) throw error;
  console.log('refused:', error.code);
}

// `versions` lists those that can be read, with the time of each. `compact` forgets the past.
const kept = (await kb.versions()).filter(({ version }) => version === first || version === second);
console.log('kept:', kept.length);
await kb.close();
