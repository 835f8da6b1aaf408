// What do several forecasts say together, and how good were they?

import { consensus } from 'quorate';

// Three experts: how likely is it that the device is cleared this year?
const forecasts = [0.9, 0.7, 0.6];
console.log(`linear pool: ${consensus.linearPool(forecasts).toFixed(4)}`);
console.log(`logarithmic pool: ${consensus.logPool(forecasts).toFixed(4)}`);
// Where each knows a part of the evidence only, all together may be surer than each.
console.log(`extremised pool: ${consensus.extremizedPool(forecasts).toFixed(4)}`);
// Weights need not sum to 1.
console.log(`weighted: ${consensus.linearPool(forecasts, { weights: [2, 1, 1] }).toFixed(4)}`);

// Distributions over more than two outcomes: one row an expert.
const opinions = [
  [0.2, 0.5, 0.3],
  [0.1, 0.8, 0.1],
];
console.log('of three outcomes:', ...Array.from(consensus.linearPool(opinions), (p) => p.toFixed(3)));

// Are the experts unsure together, or sure of different things? Both pools say 1/2; the entropy tells them apart.
const unsure = await consensus.densityPool([0.5, 0.5]);
const split = await consensus.densityPool([1, 0]);
console.log(`unsure together: entropy ${unsure.entropy.toFixed(2)}; split: entropy ${split.entropy.toFixed(2)}`);

// When it is known what happened: 0 is best.
console.log(`Brier score: ${consensus.brierScore([0.9, 0.2], [true, false]).toFixed(3)}`);
console.log(`log score: ${consensus.logScore([0.9, 0.2], [true, false]).toFixed(3)}`);
