export * from './agreement.js';
export { Ratings, ratings } from './data.js';
export type { Column, Keyed, Label, RatingsArguments, RatingsInput, RatingsMatrix, RatingsOptions, RatingsRows, RatingsTable, Stoppable, } from './data.js';
export * from './decide.js';
export * from './pooling.js';
export * from './ranking.js';
export * from './truth.js';
