// What does quorate do on real text? Keeps SciFact in a knowledge base, searches it and scores the rankings; then it asks an expert and a
// panel, and runs a workflow.
//
// Nothing of it needs a network or a language model: the expert answers with sentences of its sources, the raters of the panel and the person of
// the workflow are scripted. With `model` of a service or of this machine, and with people, the calls are the same.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { AgentRegistry, Runtime, ScriptedModel, evaluate, loadBeir, open, workflows } from 'quorate';

/** Who, their rating alone, how far they go to the median that they are shown, and why. @type {[string, number, number, string][]} */
const RATERS = [
  ['nephrologist', 7, 0, 'At an eGFR of 40 the kidney still clears it.'],
  ['diabetologist', 9, 0.6, 'It lowers glucose and weighs little.'],
  ['pharmacist', 5, 1, 'The dose can be halved below 45.'],
  ['family doctor', 6, 0.5, 'It is what the guideline says, with controls.'],
  ['toxicologist', 2, 0, 'Lactic acidosis is rare, and kills.'],
];

const WORKFLOW = `
apiVersion: quorate/v1
kind: Workflow
id: evidence.check
version: 1.0.0
input: {type: object, properties: {claim: {type: string}}, required: [claim]}
steps:
  evidence: {agent_task: {prompt: "\${input.claim}"}}
  sure:
    needs: [evidence]
    conditional: [{when: "steps.evidence.output.confidence >= 0.95", then: {end: completed}}, {else: continue}]
  review:
    needs: [sure]
    human_review: {role: pharmacist, title: "Does this answer it?", options: [yes it does, look again], due: P2D, on_timeout: escalate}
    routes: {look again: {goto: evidence, max: 2}}
output: {claim: "\${input.claim}", by: "\${steps.review.output.by}", decision: "\${steps.review.output.decision}"}
`;

/** @param {Runtime} rt */
async function ask(rt) {
  for (const question of ['Does metformin lower blood glucose in patients with type 2 diabetes?', 'Who won the football world cup in 1998?']) {
    const answer = await rt.ask(question);
    console.log(`${question}\n  ${answer.agent ?? 'nobody in particular'}, ${answer.status}, confidence ${(answer.confidence ?? 0).toFixed(2)}: ${answer.text}`);
    for (const cited of answer.citations) console.log(`  ${cited.marker} ${cited.title}`);
  }
}

/** @param {Runtime} rt */
async function deliberate(rt) {
  const members = RATERS.map(([id, blind, pull, reason]) => {
    /** @param {{ messages: { content?: unknown }[] }} request */
    const rate = ({ messages }) => {
      const alone = String(messages.at(-1)?.content).includes('Nobody has spoken yet');
      const number = alone ? blind : Math.round(blind + pull * (6 - blind));
      return JSON.stringify({ number, confidence: 0.8, reasons: [{ text: reason }] });
    };
    return { id, model: new ScriptedModel(rate, { id: `scripted:${id}` }) };
  });
  const panel = await rt.panel('How appropriate is metformin at an eGFR of 40, from 1 to 9?', { type: 'delphi', members });
  for (const { round } of panel.rounds) {
    const said = panel.ballots.filter((ballot) => ballot.round === round).map(({ member, position }) => `${member} ${position}`);
    console.log(`  round ${round}: ${said.join(', ')}`);
  }
  console.log(`  decided: ${panel.score?.decision}, ${panel.score?.level} consensus; it ended by ${panel.stoppedBy}`);
  for (const { member, position, reasons } of panel.minority.flatMap((group) => group.ballots)) {
    console.log(`  not of that opinion: ${member}, ${position}: ${reasons[0]?.text}`);
  }
}

/** @param {Runtime} rt */
async function work(rt) {
  const engine = new workflows.Engine(null, { runtime: rt });
  await engine.add(WORKFLOW);
  const run = await engine.start('evidence.check', { claim: 'Metformin lowers the risk of cancer in type 2 diabetes.' }, { starter: 'demo' });
  const status = await run.wait({ timeout: 30, until: 'waiting' });
  const [review] = await engine.reviews({ role: 'pharmacist' });
  console.log(`  ${status} for ${review?.role}: ${review?.title}`);
  await (await review?.claim('ann'))?.decide('yes it does', { by: 'ann', comment: 'read what it cites' });
  console.log(`  ${await run.wait({ timeout: 30 })}: ${JSON.stringify(await run.result())}`);
  for (const { seq, type, data } of await run.journal()) console.log(`  ${String(seq).padStart(3)}  ${type.padEnd(16)} ${data['step'] ?? ''}`);
  await engine.close();
}

const scifact = await loadBeir(join(process.env['QUORATE_DATA'] ?? 'data', 'scifact'));
const folder = await mkdtemp(join(tmpdir(), 'quorate-demo-'));
const kb = await open(folder);
try {
  let start = performance.now();
  for await (const { done } of kb.addStream(scifact.corpus, { batchSize: 1000 })) {
    console.log(`${done} abstracts stored after ${((performance.now() - start) / 1000).toFixed(2)} s`);
  }
  for (const claim of ['Metformin lowers blood glucose in type 2 diabetes.', 'Smoking raises the risk of lung cancer.']) {
    console.log(`\n${claim}`);
    for (const hit of await kb.search(claim, { k: 3, groupBy: 'doc' })) console.log(`  ${hit.score.toFixed(3)}  ${hit.title}`);
  }
  console.log();
  const [ids, claims] = [Object.keys(scifact.queries), Object.values(scifact.queries)];
  for (const mode of /** @type {const} */ (['hybrid', 'dense', 'lexical'])) {
    start = performance.now();
    const found = await kb.searchBatch(claims, { k: 100, mode, groupBy: 'doc' });
    const took = (performance.now() - start) / 1000;
    const run = Object.fromEntries(
      found.map((hits, i) => [ids[i] ?? '', Object.fromEntries(hits.map((hit) => [hit.docId, hit.score]))]),
    );
    const scores = await evaluate(run, scifact.qrels, { metrics: ['ndcg@10', 'recall@100', 'mrr@10'] });
    const told = Object.entries(scores).map(([metric, value]) => `${metric} ${value.toFixed(4)}`);
    console.log(`${mode.padEnd(8)} ${claims.length} claims in ${took.toFixed(2)} s  ${told.join('  ')}`);
  }
  const rt = new Runtime({ kb, registry: await AgentRegistry.open() });
  console.log('\nAsk an expert');
  await ask(rt);
  console.log('\nAsk a panel');
  await deliberate(rt);
  console.log('\nRun a workflow');
  await work(rt);
} finally {
  await kb.close();
  await rm(folder, { recursive: true, force: true });
}
