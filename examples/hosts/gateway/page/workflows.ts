// What does a person see of workflows: their steps as a graph, how far a run is, and what waits for a decision?

import { Latest, call, stream } from './api.js';
import { attempt, button, element, fill, make, pill, short, value, when } from './dom.js';
import { draw, type Graph } from './graph.js';

interface Listed { id: string; title: string; version: string; description?: string; domain: string | null }
interface Step { id: string; kind: string; title: string; within: string | null; status: string; attempts: number; output: unknown; code: string | null; message: string | null; waitsFor: string | null }
interface Run { id: string; status: string; workflow: string; title: string }
interface Review { id: string; runId: string; role: string; title: string; options: string[]; data: unknown; due: number | null; claimedBy: string | null }

const OVER = ['completed', 'failed', 'cancelled'];

const latest = new Latest();
let graph: Graph = { nodes: [], edges: [] };
let steps: Step[] = [];
let chosen = '';
let current: string | null = null;

export function workflows(): void {
  element('workflow').addEventListener('change', () => void attempt(() => choose(value('workflow'))));
  element('workflow-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void attempt(start);
  });
  element('signal-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void attempt(async () => {
      const data = value('signal-data');
      await tell('signal', { name: value('signal-name'), ...(data && { data: JSON.parse(data) }) });
    });
  });
  for (const what of ['pause', 'resume', 'cancel', 'retry'] as const) element(`run-${what}`).addEventListener('click', () => void attempt(() => tell(what)));
}

/** What stands there when the view is opened. */
export async function openWorkflows(run?: string): Promise<void> {
  const { workflows: all } = await call<{ workflows: Listed[] }>('/v1/workflows');
  const before = value('workflow');
  element('workflow').replaceChildren(...all.map((one) => make('option', { value: one.id }, one.title || one.id)));
  if (all.some((one) => one.id === before)) element<HTMLSelectElement>('workflow').value = before;
  else if (all.some((one) => one.id === 'reviewed_answer')) element<HTMLSelectElement>('workflow').value = 'reviewed_answer';
  await Promise.all([run ? watch(run) : choose(value('workflow')), reviews(), runs()]);
}

async function choose(id: string): Promise<void> {
  latest.stop();
  [current, steps] = [null, []];
  await show(id);
  const { definition } = { definition: shown };
  element<HTMLTextAreaElement>('workflow-input').value = JSON.stringify(definition?.['example'] ?? {}, null, 2);
  element('workflow-about').textContent = String(definition?.['description'] ?? '');
  paint('not started');
}

let shown: Record<string, unknown> | undefined;

async function show(id: string): Promise<void> {
  if (chosen === id && shown) return;
  const found = await call<{ definition: Record<string, unknown>; graph: Graph }>(`/v1/workflows/${encodeURIComponent(id)}`);
  [chosen, shown, graph] = [id, found.definition, found.graph];
}

async function start(): Promise<void> {
  const input = JSON.parse(value('workflow-input') || '{}') as unknown;
  const offline = element<HTMLInputElement>('workflow-offline').checked;
  const { id } = await call<{ id: string }>(`/v1/workflows/${encodeURIComponent(value('workflow'))}/start`, { input, offline });
  await watch(id);
}

/** Follows a run until it is over, or another is looked at. */
export async function watch(id: string): Promise<void> {
  const signal = latest.begin();
  current = id;
  const { definition } = await call<{ definition: { id: string } }>(`/v1/workflows/runs/${encodeURIComponent(id)}`);
  element<HTMLSelectElement>('workflow').value = definition.id;
  await show(definition.id);
  await refresh();
  void runs();
  void attempt(async () => {
    let due: ReturnType<typeof setTimeout> | undefined;
    for await (const event of stream(`/v1/workflows/runs/${encodeURIComponent(id)}/stream`, undefined, signal)) {
      if (event.type === 'error') throw new Error(event['error'].detail);
      // Many things that happen at once are looked at once.
      due ??= setTimeout(() => {
        due = undefined;
        if (current === id) void attempt(async () => void (await Promise.all([refresh(), reviews(), runs()])));
      }, 80);
    }
    if (!signal.aborted) await Promise.all([refresh(), reviews(), runs()]);
  });
}

async function refresh(): Promise<void> {
  if (current === null) return;
  const at = `/v1/workflows/runs/${encodeURIComponent(current)}`;
  const [run, found] = await Promise.all([call<{ id: string; status: string; ending: unknown }>(at), call<{ steps: Step[] }>(`${at}/steps`)]);
  if (run.id !== current) return;
  steps = found.steps;
  paint(run.status, run.ending);
}

function paint(status: string, ending: unknown = null): void {
  const going = current !== null && !OVER.includes(status);
  element('run-state').replaceChildren(pill(status));
  element('run-id').textContent = current ?? '';
  element('run-controls').hidden = !going;
  const far = new Map(steps.map((step) => [step.id, step.status]));
  element('graph').replaceChildren(draw(graph, far));
  const order = new Map(graph.nodes.map((node, i) => [node.id, node.layer * 1000 + i]));
  const rows = [...steps]
    .sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0))
    .map((step) => {
      const said = step.message ?? (step.output === null || step.output === undefined ? (step.waitsFor ? `waits for ${step.waitsFor}` : '') : JSON.stringify(step.output));
      const more = said.length > 60 ? make('details', {}, make('summary', {}, short(said, 60)), make('pre', { tabindex: '0' }, step.output ? JSON.stringify(step.output, null, 2) : said)) : said;
      return make('tr', {}, make('th', { scope: 'row' }, step.title || step.id), make('td', {}, pill(step.status)), make('td', {}, more));
    });
  const heads = make('tr', {}, ...['Step', 'State', 'What came of it'].map((name) => make('th', { scope: 'col' }, name)));
  fill('steps', rows.length > 0 ? [make('table', {}, make('thead', {}, heads), make('tbody', {}, ...rows))] : [], 'Start a run to see its steps.');
  fill('run-ending', ending ? [make('pre', { tabindex: '0' }, JSON.stringify(ending, null, 2))] : [], going ? 'It goes on.' : 'No run is shown.');
}

async function tell(what: string, body: unknown = {}): Promise<void> {
  if (current === null) return;
  const at = `/v1/workflows/runs/${encodeURIComponent(current)}/${what}`;
  if (what === 'pause' || what === 'resume') await call(at, undefined, 'POST');
  else await call(at, body);
  await Promise.all([refresh(), reviews(), runs()]);
}

async function runs(): Promise<void> {
  const { runs: all } = await call<{ runs: Run[] }>('/v1/workflows/runs?limit=12');
  const list = all.map((run) => make('li', { class: run.id === current ? 'current' : '' }, button(run.title || run.workflow, () => attempt(() => watch(run.id)), { class: 'link' }), ' ', pill(run.status)));
  fill('workflow-runs', list.length > 0 ? [make('ul', { class: 'plain' }, ...list)] : [], 'No run has been started.');
}

async function reviews(): Promise<void> {
  const { reviews: open } = await call<{ reviews: Review[] }>('/v1/reviews');
  const cards = open.map((one) => {
    const note = make('input', { type: 'text', 'aria-label': `Comment on ${one.title}`, placeholder: 'Comment', maxlength: '10000' });
    const at = `/v1/reviews/${encodeURIComponent(one.id)}`;
    const decide = (option: string) => attempt(async () => {
      await call(`${at}/decide`, { option, ...(note.value.trim() && { comment: note.value.trim() }) });
      await Promise.all([reviews(), current === one.runId ? refresh() : watch(one.runId)]);
    });
    const claim = button(one.claimedBy ? `Claimed by ${one.claimedBy}` : 'Claim', () => attempt(async () => {
      await call(`${at}/claim`, {});
      await reviews();
    }), one.claimedBy ? { disabled: 'disabled' } : {});
    const data = one.data === null || one.data === undefined ? [] : [make('details', {}, make('summary', {}, 'What there is to see'), make('pre', { tabindex: '0' }, JSON.stringify(one.data, null, 2)))];
    return make('div', { class: 'review', role: 'group', 'aria-label': one.title }, make('h3', {}, one.title), make('p', { class: 'hint' }, `for ${one.role.replaceAll('_', ' ')}${one.due ? `, due ${when(one.due)}` : ''}`), ...data, note, make('div', { class: 'row' }, ...one.options.map((option, i) => button(option, () => decide(option), i === 0 ? { class: 'primary' } : {})), claim, button('Show its run', () => attempt(() => watch(one.runId)), { class: 'link' })));
  });
  element('review-count').textContent = open.length > 0 ? String(open.length) : '';
  // What somebody is about to write is not taken away.
  const under = document.activeElement;
  if (under instanceof HTMLInputElement && element('reviews').contains(under) && under.value) return;
  fill('reviews', cards, 'Nothing waits for a decision.');
}
