// Who should answer, and what do they say together? Chooses a panel for a question and scores its ballots.

import { AgentRegistry, consensus } from 'quorate';

const question = 'Is a 510(k) needed for our ECG app, and will Medicare pay for it?';
const registry = new AgentRegistry({ catalog: 'healthcare' });
const panel = await registry.selectPanel(question, { size: 4 });
console.log(panel.explain());

const choices = ['yes', 'yes', 'yes', 'no'];
const ballots = panel.members.map(({ agent, confidence }, i) => ({ voter: agent.id, choice: choices[i] ?? 'yes', confidence }));
const score = await consensus.scorePanel(ballots);
console.log(`${score.decision} (${score.level}, support ${score.support.toFixed(2)})`);
for (const faction of score.minority.minorities) {
  console.log(`minority: ${faction.position}, ${faction.members.map(({ voter }) => voter).join(', ')}`);
}
