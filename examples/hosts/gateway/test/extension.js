// What a product adds to the gateway, for tests: a model that calls a tool which writes, talks long where it is asked to, or takes its time.

import { ScriptedModel, tool } from 'quorate';

import { formOf, hash, sample } from '../src/scripted.js';

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default function extension() {
  const filed = [];
  const file = tool({
    name: 'file_report',
    description: 'Files a report of an adverse event.',
    schema: { type: 'object', properties: { event: { type: 'string' } }, required: ['event'] },
    effect: 'write',
    run: ({ event }) => {
      filed.push(event);
      return { number: `R-${filed.length}`, event };
    },
  });
  const model = new ScriptedModel(
    async (request) => {
      const said = JSON.stringify(request.messages);
      const form = formOf(request);
      if (form) return { text: JSON.stringify(sample(form, hash(said))), usage: { input: 400, output: 60 } };
      if (/talk long/.test(said)) return 'word '.repeat(1_000_000);
      if (/take your time/.test(said)) {
        await wait(8000);
        return 'It took its time. [1]';
      }
      if (/file it/.test(said) && !request.messages.some((one) => one.role === 'tool')) {
        return { toolCalls: [{ name: 'file_report', arguments: { event: 'lactic acidosis' } }], usage: { input: 120, output: 15 } };
      }
      return { text: 'The report is filed. Metformin is contraindicated below an eGFR of 30. [1]', usage: { input: 150, output: 20 } };
    },
    { price: { input: 1, output: 2 } },
  );
  return { model, tools: [file] };
}
