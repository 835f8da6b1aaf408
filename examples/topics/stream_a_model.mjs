// How does an answer come word by word, and how does one stop it?

import { ScriptedModel } from 'quorate';

const model = new ScriptedModel([
  { text: 'Hold metformin on the day.', usage: { input: 12, output: 6 } },
  'and so on '.repeat(10_000),
]);

// Nothing is sent before the first event is asked for. Exactly one of `end`, `error` and `cancelled` comes, and comes last.
let text = '';
for await (const event of model.stream('What about contrast scans?')) {
  if (event.type === 'text') {
    text += event.delta;
    console.log('more:', event.delta.trim());
  } else if (event.type === 'retry') {
    text = text.slice(0, event.keep); // an attempt broke off; so much of the text still holds
  } else if (event.type === 'end') {
    console.log(`whole: ${text} (${event.result.usage.output} tokens)`);
  }
}

// `cancel` may be called from anywhere, and so may an AbortSignal. Events that have come already are still given, and the last one
// has what had come of the answer. Leaving the loop closes the connection too.
const stream = model.stream('And then?');
let last = '';
for await (const event of stream) {
  if (event.type === 'text') stream.cancel();
  last = event.type;
}
console.log('the last event:', last);
