// What may a model have done, and who is asked first? Tools that read run at once; those that write wait.

import { Runtime, ScriptedModel, tool } from 'quorate';

const text = { type: 'string' };
const lookup = tool({
  name: 'lookup',
  description: 'What a code means.',
  schema: { type: 'object', properties: { code: text }, required: ['code'] },
  run: ({ code }) => (code === 'C1725' ? 'a catheter' : 'nothing'),
});
const order = tool({
  name: 'order',
  description: 'Orders an article.',
  schema: { type: 'object', properties: { code: text, count: { type: 'integer' } }, required: ['code', 'count'] },
  effect: 'write',
  run: ({ code, count }) => `ordered ${count} of ${code}`,
});

/**
 * @param {string} name
 * @param {Record<string, unknown>} given
 */
const call = (name, given) => ({ toolCalls: [{ id: name, name, arguments: given }] });

// A script stands for the model: it looks the code up, orders, and says so.
let model = new ScriptedModel([call('lookup', { code: 'C1725' }), call('order', { code: 'C1725', count: 20 }), 'They are on their way.']);
const runtime = new Runtime({ model, tools: [lookup, order] });

let answer = await runtime.ask('Order catheters for the ward.');
for (const pending of answer.pending) console.log(answer.status, 'for a decision about:', pending.name, pending.arguments.count);

// Somebody decides, and may change the arguments. The run goes on from there, also after a crash; nothing runs twice.
answer = await runtime.resume(answer.runId, { order: { arguments: { code: 'C1725', count: 2 } } });
console.log(answer.text);
for (const step of answer.steps) console.log(' ', step.kind, step.name);

// A budget holds for all that a question starts.
model = new ScriptedModel([call('lookup', { code: 'C1725' })]);
answer = await new Runtime({ model, tools: [lookup], budget: { maxSteps: 1 } }).ask('What is C1725?');
console.log(answer.status, answer.stoppedBy);
