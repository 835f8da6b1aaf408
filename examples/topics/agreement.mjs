// How well do raters agree, beyond what chance would give?

import { consensus } from 'quorate';

// One row a rater, one column an item; null where a rater said nothing (Krippendorff 2011).
const RATINGS = [
  [1, 2, 3, 3, 2, 1, 4, 1, 2, null, null, null],
  [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, null, 3],
  [null, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, null],
  [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, null],
];

// Any number of raters, any gaps. The level says what a difference means: equal or not, or how far apart.
for (const level of /** @type {const} */ (['nominal', 'ordinal', 'interval'])) {
  const alpha = await consensus.krippendorffAlpha(RATINGS, { level });
  console.log(`alpha, ${level}: ${alpha.value?.toFixed(3)}`);
}

// How sure is that? The bootstrap draws items; the seed makes it repeatable.
const alpha = await consensus.krippendorffAlpha(RATINGS, { bootstrap: 1000, seed: 0 });
console.log(`interval of the nominal alpha: ${alpha.low?.toFixed(2)} to ${alpha.high?.toFixed(2)}`);

// Two raters about the same items: Cohen's kappa, with credit for near misses where the values have an order.
const ann = ['mild', 'mild', 'severe', 'moderate', 'severe', 'mild', 'moderate', 'mild'];
const bob = ['mild', 'moderate', 'severe', 'moderate', 'moderate', 'mild', 'moderate', 'mild'];
const SCALE = ['mild', 'moderate', 'severe'];
console.log(`kappa: ${(await consensus.cohenKappa(ann, bob)).value?.toFixed(3)}`);
const places = [ann, bob].map((rater) => rater.map((value) => SCALE.indexOf(value) + 1));
const weighted = await consensus.cohenKappa(places, { weights: 'quadratic' });
console.log(`weighted kappa: ${weighted.value?.toFixed(3)}`);

// What is undefined says so and why, instead of being a number.
const nothing = await consensus.cohenKappa(['mild', 'mild'], ['mild', 'mild']);
console.log('undefined:', nothing.undefined);
