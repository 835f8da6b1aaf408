// How are dates compared, and what of documents that have none?

import { open } from 'quorate';

const kb = await open(null);

// Dates and times are texts in RFC 3339 (here one may give Date too); one without a zone is UTC.
const approved = {
  a: '2023-05-01',
  b: '2024-03-01T00:30:00+01:00', // still February in UTC
  c: '2024-03-01',
  d: null,
};
await kb.add(Object.entries(approved).map(([id, when]) => ({ id, text: 'A device.', metadata: { approved: when } })));
await kb.add([{ id: 'e', text: 'A device of which nothing is known.' }]);

console.log('from March 2024 on:', ...(await kb.ids("approved >= '2024-03-01'")));
console.log('before:', ...(await kb.ids("approved < '2024-03-01'")));

// A test of a value that is not there is neither true nor false, so that neither it nor its negation finds d and e.
console.log('not from March 2024 on:', ...(await kb.ids("NOT approved >= '2024-03-01'")));
console.log('unknown:', ...(await kb.ids('approved IS NULL')));
console.log('before, or unknown:', ...(await kb.ids("approved < '2024-03-01' OR approved IS NULL")));

// The order is that of the instants.
console.log('newest first:', ...(await kb.documents({ sort: '-approved' })).map((document) => document.id));
const found = await kb.minMax('approved');
if (found) console.log('from', found[0], 'to', found[1]);
await kb.close();
