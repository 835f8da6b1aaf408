// What answers in the place of a language model, where only the gateway is looked at?

import { ScriptedModel } from 'quorate';

/** A model that takes its time and says the same: to measure what the gateway adds. @param {number} milliseconds */
export function scripted(milliseconds) {
  return new ScriptedModel(
    async (request) => {
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      const form = formOf(request);
      return form ? JSON.stringify(sample(form, hash(JSON.stringify(request.messages)))) : 'The sources answer the question. [1]';
    },
    { resilience: { maxConcurrent: 256 }, price: { input: 0, output: 0 } },
  );
}

/** The JSON Schema that an answer has to fit; undefined where words are wanted. @param {any} request @returns {any} */
export function formOf(request) {
  if (request.output) return request.output;
  for (const { content } of request.messages) {
    for (const part of Array.isArray(content) ? content : [{ text: content }]) {
      const [, form] = /must fit this JSON Schema:\n(\{.*\})/.exec(part?.text ?? '') ?? [];
      if (form) return JSON.parse(form);
    }
  }
  return undefined;
}

/** A number that follows from a text. @param {string} text */
export function hash(text) {
  let sum = 7;
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) >>> 0;
  return (sum ^ (sum >>> 15)) >>> 0;
}

/** A value that fits a schema; of what can be chosen, two of three take the first. @param {any} schema @param {number} seed @returns {any} */
export function sample(schema, seed) {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[seed % 3 === 2 ? schema.enum.length - 1 : 0];
  const [first] = schema.anyOf ?? schema.oneOf ?? [];
  if (first) return sample(first, seed);
  const { minimum: low = 0, maximum: high = 1 } = schema;
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'object':
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, one], i) => [name, sample(one, seed + i)]));
    case 'array':
      return [sample(schema.items ?? {}, seed)].slice(0, schema.minItems || (schema.items?.type === 'object' ? 1 : 0));
    case 'number':
      return low + ((high - low) * (1 + (seed % 3))) / 4;
    case 'integer':
      return Math.round(low + ((high - low) * (1 + (seed % 3))) / 4);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return 'The sources say so.';
  }
}
