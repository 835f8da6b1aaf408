// What does a person see of an expert's answer: who answers, what it plans, what it does, what it says, and by which sources?

import { Latest, stream, type Told } from './api.js';
import { attempt, button, element, fill, make, money, percent, pill, value, type Child } from './dom.js';
import { cited, sources, type Cited } from './passage.js';

interface Pending { id: string; name: string; arguments: Record<string, unknown>; effect: string }
interface Answer {
  runId: string;
  status: string;
  stoppedBy: string | null;
  text: string;
  citations: Cited[];
  agent: string | null;
  confidence: number | null;
  grounded: number | null;
  checks: { claim: string; verdict: string; evidence: Cited | null }[];
  plan: { steps: { task: string; finding: string | null }[] } | null;
  pending: Pending[];
  usage: { input: number; output: number };
  cost: number | null;
}

const latest = new Latest();
let text = '';
let runId = '';

export function ask(): void {
  element('ask-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const body = { question: value('ask-question'), ...(value('ask-agent') && { agent: value('ask-agent') }), autonomous: element<HTMLInputElement>('ask-autonomous').checked };
    clear();
    void follow('/v1/ask', body);
  });
  element('ask-stop').addEventListener('click', () => latest.stop());
}

/** Shows a run that goes on, from the list of runs. */
export function resume(run: string, decisions: Record<string, unknown> = {}): Promise<void> {
  clear();
  return follow(`/v1/runs/${encodeURIComponent(run)}/resume`, { decisions });
}

function clear(): void {
  text = '';
  for (const id of ['ask-answer', 'ask-sources', 'ask-plan', 'ask-work', 'ask-checks', 'ask-approvals', 'ask-facts']) element(id).replaceChildren();
  element('ask').classList.add('asked');
}

function follow(url: string, body: unknown): Promise<void> {
  const signal = latest.begin();
  const stop = element<HTMLButtonElement>('ask-stop');
  stop.hidden = false;
  element('ask-state').textContent = 'asking';
  return attempt(async () => {
    for await (const event of stream(url, body, signal)) show(event);
  }).finally(() => {
    if (signal.aborted) element('ask-state').textContent = 'stopped';
    stop.hidden = true;
  });
}

function show(event: Told): void {
  runId = event['runId'] ?? runId;
  const handlers: Record<string, () => void> = {
    match: () => facts([['Experts', event['candidates'].slice(0, 3).map((one: { name: string; confidence: number }) => `${one.name} ${percent(one.confidence)}`).join(', ')]]),
    route: () => (element('ask-state').textContent = event['to'] ? `${event['to']} answers` : 'answering'),
    context: () => work('sources', `${event['sources'].length} passages were found`, event['sources'].map((one: Cited) => `${one.marker} ${one.title || one.docId}`).join('\n')),
    plan: () => plan(event['plan']),
    text: () => write(event['delta']),
    tool_call: () => work('tool', `${event['name']}`, JSON.stringify(event['arguments'], null, 2)),
    tool_result: () => work(event['error'] ? 'failed' : 'result', event['error'] ?? 'result', event['content']),
    approval: () => work('approval', `decided: ${event['decision']}`, ''),
    retry: () => work('retry', `attempt ${event['attempt']}: ${event['code']}`, event['message']),
    warning: () => work('warning', event['code'] ?? 'warning', event['message']),
    waiting: () => waiting(event['pending']),
    end: () => done(event['result']),
    cancelled: () => (element('ask-state').textContent = 'cancelled'),
    error: () => {
      throw new Error(`${event['error'].detail} (${event['error'].code})`);
    },
  };
  handlers[event.type]?.();
}

function write(delta: string): void {
  text += delta;
  element('ask-answer').replaceChildren(make('p', {}, text));
}

function plan({ steps }: { steps: { task: string; finding: string | null }[] }): void {
  const list = steps.map(({ task, finding }) => make('li', { class: finding === null ? '' : 'found' }, task, ...(finding === null ? [] : [make('p', { class: 'finding' }, finding)])));
  element('ask-plan').replaceChildren(make('ol', { class: 'plan' }, ...list));
}

function work(kind: string, title: string, more: string): void {
  const head = [make('span', { class: `kind ${kind}` }, kind), ' ', title];
  element('ask-work').append(make('li', {}, ...(more ? [make('details', {}, make('summary', {}, ...head), make('pre', { tabindex: '0' }, more))] : head)));
}

function waiting(pending: Pending[]): void {
  element('ask-state').textContent = 'waits for you';
  const cards = pending.map((one) => {
    const edit = make('textarea', { rows: '5', spellcheck: 'false', 'aria-label': `Arguments of ${one.name}` });
    edit.value = JSON.stringify(one.arguments, null, 2);
    const decide = (decision: unknown) => {
      element('ask-approvals').replaceChildren();
      return follow(`/v1/runs/${encodeURIComponent(runId)}/resume`, { decisions: { [one.id]: decision } });
    };
    const approve = () => {
      if (edit.value === JSON.stringify(one.arguments, null, 2)) return decide('approve');
      return attempt(async () => decide({ arguments: JSON.parse(edit.value) }));
    };
    const name = one.id === 'plan' ? 'The plan' : one.name;
    return make('div', { class: 'approval', role: 'group', 'aria-label': `Approval of ${name}` }, make('h3', {}, `${name} waits for your approval`), make('p', { class: 'hint' }, one.effect === 'write' ? 'It changes something outside.' : 'It only looks.'), edit, make('div', { class: 'row' }, button('Approve', approve, { class: 'primary' }), button('Deny', () => decide('deny'))));
  });
  element('ask-approvals').replaceChildren(...cards);
  element('ask-approvals').querySelector('button')?.focus();
}

function done(answer: Answer): void {
  element('ask-state').textContent = answer.stoppedBy ? `${answer.status}: ${answer.stoppedBy.replaceAll('_', ' ')}` : answer.status;
  fill('ask-answer', answer.text ? [make('p', {}, ...cited(answer.text, answer.citations))] : [], 'There is no answer.');
  element('ask-sources').replaceChildren(...(answer.citations.length > 0 ? [sources(answer.citations)] : []));
  if (answer.plan) plan(answer.plan);
  const checks = answer.checks.map(({ claim, verdict, evidence }) => make('li', {}, pill(verdict), ' ', claim, ...(evidence ? [' ', ...cited(evidence.marker, [evidence])] : [])));
  element('ask-checks').replaceChildren(...(checks.length > 0 ? [make('ul', { class: 'checks' }, ...checks)] : []));
  facts([
    ['Expert', answer.agent ?? 'nobody in particular'],
    ['Confidence', answer.confidence === null ? 'not known' : percent(answer.confidence)],
    ['Borne out by sources', answer.grounded === null ? 'nothing was looked up' : percent(answer.grounded)],
    ['Tokens', `${answer.usage.input} read, ${answer.usage.output} written`],
    ['Cost', money(answer.cost)],
    ['Run', answer.runId],
  ]);
}

function facts(pairs: [string, Child][]): void {
  element('ask-facts').replaceChildren(...pairs.flatMap(([name, said]) => [make('dt', {}, name), make('dd', {}, said)]));
}
