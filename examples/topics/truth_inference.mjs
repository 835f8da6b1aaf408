// What is true, when raters of unknown skill disagree? The majority, and who is right how often.

import { consensus } from 'quorate';

// Four raters of eight cases. Three are mostly right; the last one says the opposite of what is true.
const ANSWERS = {
  ann: ['yes', 'no', 'yes', 'no', 'yes', 'no', 'yes', 'no'],
  bob: ['yes', 'no', 'yes', 'no', 'yes', 'no', 'no', 'no'],
  cid: ['yes', 'no', 'yes', 'yes', 'yes', 'no', 'yes', 'no'],
  eve: ['no', 'yes', 'no', 'yes', 'no', 'yes', 'no', 'yes'],
};
const rows = Object.entries(ANSWERS).flatMap(([rater, answers]) =>
  answers.map((value, i) => ({ item: `case ${i}`, rater, value })),
);

// One object a vote: item, rater, value. Each vote counts the same.
const majority = await consensus.majorityVote(rows);
console.log('majority:', ...Object.values(majority.labels));

// Dawid and Skene (1979): how each rater confuses the answers is estimated together with the truth. A rater who is
// always wrong is as informative as one who is always right.
const truth = await consensus.dawidSkene(rows);
console.log('inferred:', ...Object.values(truth.labels));
for (const [rater, skill] of Object.entries(truth.skills)) console.log(`${rater} is right with probability ${skill.toFixed(3)}`);

// What is known for sure can be said: `gold`.
const known = await consensus.dawidSkene(rows, { gold: { 'case 6': 'no' } });
console.log('with a known case:', known.labels['case 6']);
