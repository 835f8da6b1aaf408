// What has been done, step by step, and what has it cost?

import { call } from './api.js';
import { attempt, button, element, fill, make, money, pill, value, when } from './dom.js';

interface Info { runId: string; kind: string; title: string; status: string; created: number; updated: number; entries: number }
interface Event { type: string; seq: number; time: number; agent: string | null; round: number | null; [member: string]: unknown }

const GOING = ['running', 'waiting', 'interrupted'];

interface Ways { ask: (run: string) => void; workflow: (run: string) => void }

export function runs(ways: Ways): void {
  element('runs-status').addEventListener('change', () => void attempt(() => listRuns(ways)));
  element('runs-refresh').addEventListener('click', () => void attempt(() => listRuns(ways)));
}

export async function listRuns(ways: Ways): Promise<void> {
  const status = value('runs-status');
  const { runs: all } = await call<{ runs: Info[] }>(`/v1/runs${status ? `?status=${status}` : ''}`);
  const rows = all.map((run) =>
    make('tr', {}, make('th', { scope: 'row' }, button(run.title || run.runId, () => attempt(() => open(run, ways)), { class: 'link' })), make('td', {}, run.kind), make('td', {}, pill(run.status)), make('td', { class: 'num' }, when(run.updated)), make('td', { class: 'num' }, String(run.entries))),
  );
  const heads = make('tr', {}, ...['Run', 'Kind', 'State', 'Last change', 'Entries'].map((name, i) => make('th', { scope: 'col', class: i > 2 ? 'num' : '' }, name)));
  fill('runs-list', rows.length > 0 ? [make('table', {}, make('thead', {}, heads), make('tbody', {}, ...rows))] : [], 'There is no such run.');
}

async function open(run: Info, ways: Ways): Promise<void> {
  element('run-title').textContent = run.title || run.runId;
  const again = () => attempt(() => listRuns(ways));
  const controls = [
    ...(run.kind === 'ask' && ['waiting', 'interrupted'].includes(run.status) ? [button('Go on with it', () => ways.ask(run.runId), { class: 'primary' })] : []),
    ...(run.kind === 'workflow' ? [button('Show its graph', () => ways.workflow(run.runId), { class: 'primary' })] : []),
    ...(run.kind !== 'workflow' && GOING.includes(run.status) ? [button('Cancel', () => attempt(async () => {
      await call(`/v1/runs/${encodeURIComponent(run.runId)}/cancel`, {});
      await again();
    }))] : []),
  ];
  element('run-buttons').replaceChildren(...controls);
  const events = run.kind === 'workflow' ? await journal(run.runId) : (await call<{ events: Event[] }>(`/v1/runs/${encodeURIComponent(run.runId)}/events`)).events;
  const used = events.filter((one) => one.type === 'usage') as unknown as { usage: { input: number; output: number }; cost: number | null; model?: string }[];
  const cost = used.some((one) => one.cost === null) ? null : used.reduce((sum, one) => sum + (one.cost ?? 0), 0);
  const [read, written] = [used.reduce((sum, one) => sum + one.usage.input, 0), used.reduce((sum, one) => sum + one.usage.output, 0)];
  const pairs: [string, string][] = [['Id', run.runId], ['Begun', when(run.created)], ...(used.length > 0 ? ([['Requests to models', String(used.length)], ['Tokens', `${read} read, ${written} written`], ['Cost', money(cost)]] as [string, string][]) : [])];
  element('run-facts').replaceChildren(...pairs.flatMap(([name, said]) => [make('dt', {}, name), make('dd', {}, said)]));
  const first = events[0]?.time ?? 0;
  const rows = events.map((one) => {
    const { type, seq, time, agent, round, runId: _, ...rest } = one;
    return make('li', {}, make('details', {}, make('summary', {}, make('span', { class: 'seq' }, String(seq)), make('span', { class: 'kind' }, type.replaceAll('_', ' ')), make('span', { class: 'who' }, [agent, round === null || round === undefined ? null : `round ${round}`].filter(Boolean).join(', ')), make('span', { class: 'time' }, `+${(time - first).toFixed(3)} s`)), make('pre', { tabindex: '0' }, JSON.stringify(rest, null, 2))));
  });
  fill('run-journal', rows.length > 0 ? [make('ol', { class: 'journal' }, ...rows)] : [], 'Nothing is written yet.');
  element('run-title').focus();
}

async function journal(id: string): Promise<Event[]> {
  const { entries } = await call<{ entries: { seq: number; time: number; type: string; data: Record<string, unknown> }[] }>(`/v1/workflows/runs/${encodeURIComponent(id)}/journal`);
  return entries.map(({ data, ...rest }) => ({ ...data, ...rest, agent: typeof data['step'] === 'string' ? data['step'] : null, round: null }));
}
