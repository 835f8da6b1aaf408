// How well do raters agree, what is true, and what does a panel decide?
//
// Functions on ratings take three arrays of equal length (items, raters, values), a table `{ items, raters, values }` (or `item,
// rater, value`, or as in crowd-kit `task, worker, label`), rows with these members, or raters x items with null or NaN where a
// rating is missing; then options. What may take over a millisecond returns a Promise; pools, scores and Delphi rounds answer at
// once.

export * from './agreement.js';
export { Ratings, ratings } from './data.js';
export type {
  Column,
  Keyed,
  Label,
  RatingsArguments,
  RatingsInput,
  RatingsMatrix,
  RatingsOptions,
  RatingsRows,
  RatingsTable,
  Stoppable,
} from './data.js';
export * from './decide.js';
export * from './pooling.js';
export * from './ranking.js';
export * from './truth.js';
