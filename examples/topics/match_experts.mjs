// Who should answer a question? Agents that are described by what they can do, and found by it.

import { AgentRegistry } from 'quorate';

// The healthcare catalogue ships with the package; `catalog: null` begins with nobody, and a `path` keeps a registry in a file.
const registry = new AgentRegistry();
const question = 'Is a 510(k) needed for our ECG app?';
for (const { agent } of await registry.match(question, { k: 1 })) console.log(`best: ${agent.name} (${agent.domain})`);

// Conditions: a capability that the agent must have, a filter on its fields, the most that a call may cost.
const matches = await registry.match(question, { k: 3, require: ['reimbursement'], where: "latency = 'interactive'", maxCost: 0.1 });
console.log(`${matches.length} within reimbursement; the best of them: ${matches[0]?.agent.domain?.split('/')[0]}`);

// With `abstain` nobody is named when nobody is likely to be right.
console.log('for the weather:', (await registry.match('What is the weather tomorrow?', { abstain: true })).length);

// One's own agents stand beside the others.
await registry.add({
  id: 'bees',
  name: 'Beekeeper',
  summary: 'Knows honeybees: swarms, hives, queens, honey and the diseases of bees.',
  skills: [{ id: 'hives', examples: ['Why has my hive lost its queen?', 'When do bees swarm?'] }],
});
for (const match of await registry.match('Our bees leave the hive with their queen; what now?', { k: 1 })) {
  console.log(`for bees: ${match.agent.name}, ${match.confidence > 0.5 ? 'surely' : 'perhaps'}`);
}

// A registry learns: 1 for a good answer, 0 for a useless one. Questions like this one profit.
await registry.recordOutcome('bees', 'When do bees swarm?', 1);
const [again] = await registry.match('When do bees swarm?', { k: 1 });
console.log('outcomes:', again?.explain().outcomes);
await registry.close();
