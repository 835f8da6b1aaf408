// What does a language model get to read? Passages within a budget of tokens, with citations that point back.

import { open } from 'quorate';

const kb = await open(null);
await kb.add([
  { id: 'label', title: 'Metformin label', text: 'Metformin is contraindicated below an eGFR of 30.' },
  { id: 'guide', title: 'Contrast guide', text: 'Hold metformin on the day of a contrast scan.' },
  { id: 'sky', title: 'Sky', text: 'The sky is blue on a clear day.' },
]);

const context = await kb.context('May a patient with an eGFR of 25 take metformin?', { maxTokens: 40, k: 2 });
console.log(context.text);
console.log('tokens:', context.tokens <= 40 ? 'within the budget' : 'too many');

// Each marker stands for a passage: document and place.
for (const { marker, docId, start, end } of context.citations) {
  const { text } = await kb.get(docId);
  console.log(marker, docId, 'cites:', text.slice(start, end));
}

// With `minRelevance` nothing is cited where nothing is about the question, and `reason` says why the text is empty.
const nothing = await kb.context('Who won the football match?', { minRelevance: 0.5 });
console.log('nothing to say:', nothing.reason);
await kb.close();
