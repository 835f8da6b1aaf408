// Where are long texts cut? The strategies, and what a hit knows of its place.

import { open } from 'quorate';

const TEXT = `# Metformin

Metformin lowers glucose. It is the first choice in type 2 diabetes.

## Kidneys

Do not start below an eGFR of 45. Stop below an eGFR of 30. Check the eGFR once a year.

## Contrast scans

Hold the drug on the day of the scan. Resume after two days when the kidneys are stable.
`;

// Sizes are in tokens of the embedder. `auto`, the default, is `markdown` where there are headings and `recursive` elsewhere.
for (const strategy of /** @type {const} */ (['fixed', 'sentence', 'recursive', 'markdown'])) {
  const kb = await open(null, { chunking: { strategy, maxTokens: 20 } });
  const report = await kb.add([{ id: 'leaflet', text: TEXT }]);
  console.log(`${strategy}: ${report.chunks} chunks`);
  await kb.close();
}

const kb = await open(null, { chunking: { strategy: 'markdown', maxTokens: 20 } });
await kb.add([{ id: 'leaflet', text: TEXT }]);
for (const hit of await kb.search('below which eGFR is it too late to start?', { k: 1 })) {
  // The headings above a chunk are embedded with it. A chunk is a range of the document's text, so that it can be cited.
  console.log('under:', hit.headings.join(' > '));
  console.log('cited:', TEXT.slice(hit.start, hit.end).split(/\s+/).join(' '));
}

// `groupBy: 'doc'` gives the best chunk of each document.
const all = await kb.search('metformin', { k: 10 });
const grouped = await kb.search('metformin', { k: 10, groupBy: 'doc' });
console.log('hits:', all.length, 'grouped:', grouped.length);
await kb.close();
