// How does a search keep to some of the documents? Filters, as text and as an object.

import { InvalidInput, open } from 'quorate';

const DOCUMENTS = [
  { id: 'a', title: 'Metformin label', metadata: { kind: 'label', year: 2024, tags: ['fda', 'diabetes'], maker: { country: 'FR' } } },
  { id: 'b', title: 'Dosing in CKD', metadata: { kind: 'guideline', year: 2022, tags: ['renal'] } },
  { id: 'c', title: 'Triage note', metadata: { kind: 'note', year: 2022, tags: ['renal', 'fda'] } },
  { id: 'd', title: 'Insulin label', metadata: { kind: 'label', year: 2018, tags: [], maker: { country: 'DK' } } },
];

const FILTERS = [
  "kind = 'label'",
  "year >= 2020 AND kind IN ('label', 'guideline')",
  "year BETWEEN 2018 AND 2022 AND NOT kind = 'note'",
  "tags CONTAINS 'fda'", // one of a list
  "maker.country = 'DK'", // a member of a member
  "title LIKE '%label'", // % stands for anything, _ for one character
];

const kb = await open(null); // in memory
await kb.add(DOCUMENTS.map((one) => ({ ...one, text: `${one.title}: kidneys and drugs.` })));
for (const where of FILTERS) console.log(`${where}: ${(await kb.ids(where)).join(' ')}`);

// The same as an object: nothing to quote, whatever the values are.
const where = { year: { $gte: 2020 }, kind: { $in: ['label', 'guideline'] } };
console.log('as an object:', ...(await kb.ids({ where })));

// A filtered search gives `k` hits, or as many as match, and every hit matches.
const hits = await kb.search('drugs for the kidneys', { k: 3, where: "tags CONTAINS 'fda'" });
console.log('search within:', ...hits.map((hit) => hit.docId).sort());

// What is no filter says where.
try {
  await kb.count('year >=');
} catch (error) {
  if (!(error instanceof InvalidInput)) throw error;
  console.log('refused:', error.code);
}
await kb.close();
