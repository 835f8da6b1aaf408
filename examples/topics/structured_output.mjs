// How does a model answer with data instead of prose? A form that the answer must have.

import { QuorateError, ScriptedModel } from 'quorate';

// A JSON Schema, or a schema of zod, valibot or any other library with the Standard Schema interface.
const DOSE = {
  type: 'object',
  properties: { amount: { type: 'number' }, unit: { enum: ['mg', 'g'] } },
  required: ['amount', 'unit'],
};

// The first reply does not fit: the amount is a text. The model is told so, and asked again.
let model = new ScriptedModel(['{"amount": "five", "unit": "mg"}', '{"amount": 5, "unit": "mg"}']);

// Services that can guarantee a form are asked to; the answer is checked in any case.
const reply = await model.complete('Which dose?', { output: DOSE });
const dose = /** @type {{ amount: number, unit: string }} */ (reply.output);
console.log(`amount ${dose.amount}, unit ${dose.unit}, after ${reply.attempts} attempts`);

// Without repairs an answer that does not fit is an error.
model = new ScriptedModel(['{"amount": 5, "unit": "ounces"}']);
try {
  await model.complete('Which dose?', { output: DOSE, repairs: 0 });
} catch (error) {
  if (!(error instanceof QuorateError)) throw error;
  console.log('refused:', error.code);
}
