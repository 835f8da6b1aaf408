// Which experts are there, and what does each know?

import { call } from './api.js';
import { attempt, bar, button, element, fill, make, percent, value } from './dom.js';

interface Agent {
  id: string;
  name: string;
  summary: string;
  domain?: string;
  confidence?: number;
  topics?: string[];
  capabilities?: { name: string; level?: string }[];
  skills?: { id: string; name?: string; examples?: string[] }[];
  boundaries?: { topic: string; referTo?: string }[];
  languages?: string[];
  instructions?: string | null;
}

let asked = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export function agents(choose: (id: string) => void): void {
  const look = () => void attempt(() => list(choose));
  element('agents-form').addEventListener('submit', (event) => {
    event.preventDefault();
    look();
  });
  element('agents-query').addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(look, 200);
  });
}

export async function list(choose: (id: string) => void): Promise<void> {
  const mine = ++asked;
  const query = value('agents-query');
  const { agents: found } = await call<{ agents: Agent[] }>(query ? `/v1/agents?k=24&q=${encodeURIComponent(query)}` : '/v1/agents');
  if (mine !== asked) return;
  element('agents-count').textContent = query ? `${found.length} that fit best` : `${found.length}`;
  const cards = found.map((one) => {
    const head = make('div', { class: 'expert-head' }, make('h2', {}, one.name), ...(one.confidence === undefined ? [] : [make('span', { class: 'score', title: 'confidence' }, percent(one.confidence))]));
    const more = make('details', {}, make('summary', {}, 'What it knows'));
    more.addEventListener('toggle', () => {
      if (more.open && more.children.length === 1) more.append(known(one));
    });
    return make('li', { class: 'card agent' }, head, make('p', { class: 'domain' }, one.domain ?? ''), make('p', { class: 'expert-summary' }, one.summary), ...(one.confidence === undefined ? [] : [bar('plain', one.confidence)]), more, button('Ask this expert', () => choose(one.id), { 'aria-label': `Ask this expert: ${one.name}` }));
  });
  fill('agents-list', cards, 'No expert fits.');
}

function known(one: Agent): HTMLElement {
  const pairs: [string, string[]][] = [
    ['Is able to', (one.capabilities ?? []).map(({ name, level }) => (level ? `${name} (${level})` : name))],
    ['Is asked about', one.topics ?? []],
    ['For example', (one.skills ?? []).flatMap((skill) => skill.examples ?? []).slice(0, 6)],
    ['Does not answer', (one.boundaries ?? []).map(({ topic, referTo }) => (referTo ? `${topic} (ask ${referTo})` : topic))],
    ['Languages', one.languages ?? []],
    ['Id', [one.id]],
  ];
  return make('dl', { class: 'facts' }, ...pairs.filter(([, said]) => said.length > 0).flatMap(([name, said]) => [make('dt', {}, name), make('dd', {}, some(said))]));
}

/** The first of many. */
function some(all: string[], most = 12): string {
  return all.length > most ? `${all.slice(0, most).join('; ')}, and ${all.length - most} more` : all.join('; ');
}
