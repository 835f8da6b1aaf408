// Which few experts cover a question together? Not the best ones alike, but those that complement each other.

import { AgentRegistry } from 'quorate';

const QUESTION =
  'Our AI reads single-lead ECGs on a phone: is a 510(k) the right route to market, how is the accuracy study powered, ' +
  'and will Medicare pay for it?';

const registry = new AgentRegistry();

// `diversity` is what counts beside relevance, 0 to 1.
for (const diversity of [0, 0.5]) {
  const { members } = await registry.selectPanel(QUESTION, { size: 4, diversity });
  const fields = [...new Set(members.map(({ agent }) => agent.domain?.split('/')[0]))].sort();
  console.log(`diversity ${diversity.toFixed(1)}: ${members.length} members of ${fields.join(', ')}`);
}

// Capabilities that the panel must have among its members.
const required = ['regulatory.fda', 'reimbursement'];
const panel = await registry.selectPanel(QUESTION, { size: 4, require: required });
for (const capability of required) {
  // A capability includes those below it.
  const has = (/** @type {string} */ name) => name === capability || name.startsWith(`${capability}.`);
  const able = panel.members.filter(({ agent }) => agent.capabilities?.some(({ name }) => has(name)));
  console.log(`${capability}: ${able.length ? 'covered' : 'missing'}`);
}

// A panel explains itself: what each member adds, and which parts of the question are covered.
for (const member of panel.members.slice(0, 2)) console.log(`${member.agent.name} adds ${member.gain.toFixed(2)}`);
console.log(`value: ${panel.coverage.value.toFixed(2)} of 1`);
await registry.close();
