// What do many rankings say together? Methods that differ, on an election in which they do.

import { consensus } from 'quorate';

// Where shall the capital be? Each city prefers what is near (the textbook's Tennessee).
const RANKINGS = [
  ['Memphis', 'Nashville', 'Chattanooga', 'Knoxville'],
  ['Nashville', 'Chattanooga', 'Knoxville', 'Memphis'],
  ['Chattanooga', 'Knoxville', 'Nashville', 'Memphis'],
  ['Knoxville', 'Chattanooga', 'Nashville', 'Memphis'],
];
const weights = [42, 26, 15, 17];

// Points for each option that is ranked lower.
const borda = await consensus.borda(RANKINGS, { weights });
console.log('Borda:', borda.ranking.map((option) => `${option} ${borda.scores[option]?.toFixed(0)}`).join(', '));

// By comparisons in pairs.
console.log('Schulze:', (await consensus.schulze(RANKINGS, { weights })).ranking.join(' > '));
const kemeny = await consensus.kemeny(RANKINGS, { weights });
console.log('Kemeny:', kemeny.orders[0]?.join(' > '), kemeny.exact ? '- proved to be best' : '');

// The last goes out, count by count, until somebody has more than half.
const runoff = await consensus.instantRunoff(RANKINGS, { weights });
for (const { eliminated } of runoff.rounds.slice(0, 2)) console.log('out:', eliminated.join(', '));
console.log('instant runoff:', runoff.winner);

// A strength for each option: how likely it is to be chosen from all.
const strengths = await consensus.plackettLuce(RANKINGS, { weights });
console.log('Plackett-Luce:', strengths.ranking.join(' > '));
