// What is there, without a question? Counts by value, the range of a field, and pages of documents in order.

import { open } from 'quorate';

const kb = await open(null);
const kinds = ['label', 'guideline', 'label', 'note', 'label'];
await kb.add(
  kinds.map((kind, i) => ({
    id: `d${i}`,
    text: `Document ${i}.`,
    metadata: { year: 2020 + i, kind, tags: i % 2 ? ['renal'] : [] },
  })),
);

/** @param {[value: unknown, count: number][]} facets */
const told = (facets) => facets.map(([value, count]) => `${value} ${count}`).join(', ');

// Most frequent first. Each member of a list is a value.
console.log('kinds:', told(await kb.facets('kind')));
console.log('since 2022:', told(await kb.facets('kind', { where: 'year >= 2022' })));
console.log('tags:', told(await kb.facets('tags')));

const span = await kb.minMax('year');
if (span) console.log(`years: ${span[0]} to ${span[1]}`);

// Pages fit together also when documents come and go in between: `next` names the place, not a number.
/** @type {string | null} */
let after = null;
do {
  /** @type {import('quorate').DocumentPage} */
  const page = await kb.documents({ sort: '-year', limit: 2, after });
  console.log('page:', ...page.map((document) => document.id));
  after = page.next;
} while (after !== null);
await kb.close();
