// What does a panel decide, how firmly, and who differs?

import { consensus } from 'quorate';

const BALLOTS = [
  { voter: 'Ann', choice: '510(k)', confidence: 0.9, rationale: 'a predicate exists' },
  { voter: 'Bob', choice: '510(k)', confidence: 0.8 },
  { voter: 'Cid', choice: '510(k)', confidence: 0.7 },
  { voter: 'Eve', choice: 'De Novo', confidence: 0.6, rationale: 'the predicate reads twelve leads' },
  // A vote may count more than others.
  { voter: 'Fay', choice: '510(k)', confidence: 0.5, weight: 2 },
];

// `options` names all that could be chosen: what nobody chose counts when chance is reckoned.
const score = await consensus.scorePanel(BALLOTS, { options: ['510(k)', 'De Novo', 'PMA'] });
console.log(`decision: ${score.decision}, ${score.level}, held by ${(100 * score.support).toFixed(0)} % of the weight`);
console.log(`confidence: ${score.confidence.toFixed(3)}`);
console.log(`agreement beyond chance: ${score.agreement.value?.toFixed(3)}`);

// Nobody is lost: every faction with its members and their reasons.
for (const { position, members } of score.minority.minorities) {
  console.log(`minority: ${position}, ${members[0]?.voter}: ${members[0]?.rationale}`);
}

// Positions may be numbers, probabilities, rankings or vectors too. Ties are told, not broken.
const dose = await consensus.scorePanel({ Ann: 5.0, Bob: 5.5, Cid: 10.0 }, { scale: [0, 20] });
console.log('dose:', dose.decision);
console.log('tied:', ...(await consensus.scorePanel({ Ann: 'yes', Bob: 'no' })).tied);
