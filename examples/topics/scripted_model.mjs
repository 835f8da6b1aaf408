// How is code that asks a language model tested without one? A model that says what it is told to.

import { InvalidInput, ScriptedModel } from 'quorate';

// Replies in their order, one for each call. `new Model('openai:...')` has the same calls.
const model = new ScriptedModel([
  'Metformin lowers glucose.',
  { toolCalls: [{ name: 'lookup', arguments: { drug: 'metformin' } }] },
  { text: 'At most 2,000 mg a day.', usage: { input: 60, output: 9 } },
]);
console.log('answer:', (await model.complete('What does metformin do?')).text);

// The model asks for a tool; the host runs it and says what came of it.
const lookup = {
  name: 'lookup',
  description: 'The label of a drug',
  schema: { type: 'object', properties: { drug: { type: 'string' } } },
};
/** @type {import('quorate').Message} */
const question = { role: 'user', content: 'How much metformin is safe?' };
const asked = await model.complete([question], { tools: [lookup] });
const [call] = asked.toolCalls;
console.log(`wants: ${call?.name}(${call?.arguments['drug']}), because of ${asked.finish}`);

/** @type {import('quorate').Message} */
const result = { role: 'tool', toolCallId: call?.id ?? '', content: 'Maximum 2,000 mg a day.' };
const answer = await model.complete([question, asked, result], { tools: [lookup] });
console.log(`answer: ${answer.text} (${answer.usage.input} tokens read, ${answer.usage.output} written)`);

// The script is at its end: a further call is an error.
try {
  await model.complete('And now?');
} catch (error) {
  if (!(error instanceof InvalidInput)) throw error;
  console.log('refused:', error.code);
}

// A function of the request answers any number of calls.
const echo = new ScriptedModel((request) => `You said: ${request.messages.at(-1)?.content}`);
console.log((await echo.complete('hello')).text);
