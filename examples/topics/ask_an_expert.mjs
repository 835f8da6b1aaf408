// How does an expert answer from the documents, with no language model? Word for word, cited, or not at all.

import { open, Runtime } from 'quorate';

const kb = await open(null);
await kb.add([
  { id: 'label', title: 'Metformin label', text: 'Metformin lowers blood glucose. The usual starting dose of metformin is 500 mg twice daily.' },
  { id: 'guide', title: 'Contrast guide', text: 'Hold metformin on the day of a contrast scan.' },
]);
const runtime = new Runtime({ kb });

let answer = await runtime.ask('What is the starting dose of metformin?');
console.log(answer.text);
for (const { marker, docId, start, end } of answer.citations) {
  const { text } = await kb.get(docId);
  console.log(marker, docId, 'says:', text.slice(start, end));
}
console.log(`borne out by the sources: ${100 * (answer.grounded ?? 0)}%`);

// What the documents do not say is not made up.
answer = await runtime.ask('Who won the football world cup in 1998?');
console.log(answer.status, answer.stoppedBy);

// What happened is in a journal.
for (const run of await runtime.runs()) console.log(run.status, '-', run.title);
await kb.close();
