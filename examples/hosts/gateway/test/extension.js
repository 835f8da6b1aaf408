// What a product adds to the gateway, for tests: a model that calls a tool which writes, talks long where it is asked to, or takes its time.

import { ScriptedModel, tool } from 'quorate';

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
      if (request.output) return { text: JSON.stringify(sample(request.output, hash(said))), usage: { input: 400, output: 60 } };
      if (/talk long/.test(said)) return 'word '.repeat(500_000);
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

/** A number that follows from a text. */
function hash(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.charCodeAt(0)) >>> 0;
  return sum;
}

/** A value that fits a schema; two of three choose the first. */
function sample(schema, seed = 0) {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[seed % 3 === 2 ? schema.enum.length - 1 : 0];
  const [first] = schema.anyOf ?? schema.oneOf ?? [];
  if (first) return sample(first, seed);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object') return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, one]) => [name, sample(one, seed)]));
  if (type === 'array') return Array.from({ length: schema.minItems ?? 0 }, () => sample(schema.items ?? {}, seed));
  if (type === 'number' || type === 'integer') return Math.max(schema.minimum ?? 0, Math.min(schema.maximum ?? 1, type === 'integer' ? 1 : 0.7));
  if (type === 'boolean') return true;
  return 'The sources say so.';
}
