// How do several experts decide together, and who differs?

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Runtime, ScriptedModel } from 'quorate';

/**
 * A model that rates so, first alone and then with the others' ratings before it.
 * @param {number} first
 * @param {number} then
 * @param {string} reason
 */
function rater(first, then, reason) {
  /** @param {import('quorate').ScriptedRequest} request */
  const rate = (request) => {
    const alone = String(request.messages.at(-1)?.content).includes('Nobody has spoken yet');
    return JSON.stringify({ number: alone ? first : then, confidence: 0.8, reasons: [{ text: reason }] });
  };
  // Members that share a model are not independent voters: each has its own.
  return new ScriptedModel(rate, { id: `scripted:${reason}` });
}

/** @type {import('quorate').PanelMemberInput[]} */
const members = [
  { id: 'nephrology', model: rater(7, 7, 'the kidney copes') },
  { id: 'diabetes', model: rater(9, 8, 'it lowers glucose') },
  { id: 'pharmacy', model: rater(5, 7, 'the dose can be halved') },
  { id: 'safety', model: rater(2, 2, 'lactic acidosis') },
  // It sums up, and does not vote; a summary that leaves out a minority would be written from the ballots.
  { id: 'chair', role: 'moderator', model: new ScriptedModel(() => JSON.stringify({ text: '[P1] leads; [P2] warns.' })) },
];

const runtime = new Runtime({ model: new ScriptedModel([]) });
const stream = runtime.stream.panel('How appropriate is metformin at an eGFR of 40?', { type: 'delphi', members });
for await (const event of stream) {
  if (event.type !== 'round_end') continue;
  const item = event.result.delphi?.items[0];
  console.log(`round ${event.round}: median ${item?.median}, quartiles ${item?.q1} to ${item?.q3}`);
}

const panel = await stream.result();
console.log(`decision: ${panel.score?.decision} (${panel.score?.level}), blind: ${panel.baseline?.decision}, ended by ${panel.stoppedBy}`);
console.log(`changed: ${panel.conformity.flips}, to what led: ${panel.conformity.toMajority}`);
for (const { ballots } of panel.minority) {
  for (const ballot of ballots) console.log(`minority: ${ballot.member} rates ${ballot.position}: ${ballot.reasons[0]?.text}`);
}

// A page of who said what, which needs nothing from elsewhere.
const folder = mkdtempSync(join(tmpdir(), 'panel-'));
await panel.report(join(folder, 'panel.html'));
console.log('page:', readFileSync(join(folder, 'panel.html'), 'utf8').split('\n')[0]);
rmSync(folder, { recursive: true });
