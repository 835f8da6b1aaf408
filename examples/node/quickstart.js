// How does one start? Keeps three documents and finds them; run: node quickstart.js [folder]

import { open } from 'quorate';

const kb = await open(process.argv[2] ?? 'quickstart-kb');
await kb.upsert([
  { id: 'label', text: 'Metformin is contraindicated below an eGFR of 30.', metadata: { year: 2024 } },
  { id: 'note', text: 'The ECG app may need a 510(k).', metadata: { year: 2019 } },
  { id: 'sky', text: 'The sky is blue on a clear day.', metadata: { year: 2024 } },
]);
for (const hit of await kb.search('metformin in renal failure', { k: 2, where: 'year >= 2020' })) {
  console.log(`${hit.score.toFixed(3)}  ${hit.docId}  ${hit.text}`);
}
await kb.close();
