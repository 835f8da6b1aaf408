// What does a person see of a search: why each passage ranks, what is cited, who knows, and how far a panel agrees?

import { call } from './api.js';
import { bar, element, fill, make, percent, problem, short, value } from './dom.js';
import { cited, sources } from './passage.js';

interface Explanation {
  score: number;
  lexical: { rank: number | null; score: number; terms: Term[] } | null;
  dense: { rank: number | null; similarity: number } | null;
  fusion: { fusion?: unknown; lexical: number; dense: number; score: number; [parameter: string]: unknown } | null;
  rerank: { name: string; before: number; score: number } | null;
}
interface Term { term: string; field: string; score: number; frequency: number; rowsWithTerm: number; idf: number }
interface Hit {
  docId: string;
  chunkId: string;
  title: string;
  text: string;
  score: number;
  metadata: Record<string, unknown>;
  explanation: Explanation;
}
interface Expert {
  agent: { id: string; name: string; summary: string; domain?: string };
  score: number;
  confidence: number;
  explanation: { words: [string, number][]; bestExample: [string, number] | null };
}
interface Context { text: string; tokens: number; citations: { marker: string; docId: string; title: string; text?: string; start?: number; end?: number }[] }
interface Faction { position: string; share: number; members: { voter: string }[] }
interface Score {
  decision: string | null;
  level: string;
  support: number;
  confidence: number;
  tied: string[];
  agreement: { coefficient: string; value: number | null; observed: number | null; undefined: string | null };
  minority: { leading: Faction[]; minorities: Faction[] };
  explanation: string;
}

const POSITIONS = ['yes', 'no', 'unsure'];

let asked = 0;
let voted = 0;

export function search(): void {
  element('form').addEventListener('submit', (event) => {
    event.preventDefault();
    void ask();
  });
  for (const id of ['mode', 'fusion', 'rerank', 'alpha']) {
    element(id).addEventListener('change', () => {
      if (value('query')) void ask();
    });
  }
}

/** Asks for everything that the page shows about one question; an older answer never overwrites a newer one. */
async function ask(): Promise<void> {
  const mine = ++asked;
  const question = value('query');
  const columns = document.querySelector('#search .columns')!;
  element('search').classList.add('asked');
  columns.classList.add('busy');
  problem(null);
  const query = new URLSearchParams({ q: question, k: '10', explain: 'true' });
  for (const name of ['mode', 'fusion', 'rerank', 'alpha', 'where']) if (value(name)) query.set(name, value(name));
  const started = performance.now();
  const where = value('where') || undefined;
  const [hits, context, matches, panel] = await Promise.allSettled([
    call<{ hits: Hit[] }>(`/v1/search?${query}`).then((found) => ({ ...found, took: performance.now() - started })),
    call<Context>('/v1/context', { question, maxTokens: 600, where }),
    call<{ matches: Expert[] }>('/v1/match', { question, k: 4 }),
    call<{ members: Expert[] }>('/v1/panel', { question, size: 5 }),
  ]);
  if (mine !== asked) return;
  columns.classList.remove('busy');
  if (hits.status === 'fulfilled') showHits(hits.value.hits, hits.value.took);
  if (context.status === 'fulfilled') showContext(context.value);
  if (matches.status === 'fulfilled') showExperts(matches.value.matches);
  if (panel.status === 'fulfilled') showPanel(panel.value.members);
  const failed = [hits, context, matches, panel].find((one) => one.status === 'rejected');
  if (failed) problem((failed as PromiseRejectedResult).reason);
}

function showHits(hits: Hit[], took: number): void {
  element('took').textContent = `${hits.length} in ${took.toFixed(0)} ms`;
  const top = Math.max(...hits.map((hit) => hit.explanation.lexical?.score ?? 0), 1e-9);
  const list = hits.map((hit, i) => {
    const { lexical, dense, fusion, rerank } = hit.explanation;
    const rank = (leg: { rank: number | null }) => (leg.rank === null ? 'beyond the leg' : `rank ${leg.rank}`);
    const legs = make('div', { class: 'legs' });
    const leg = (label: string, kind: string, share: number, told: string) =>
      legs.append(label, bar(kind, share), make('b', {}, told));
    if (lexical) {
      const told = lexical.score === 0 ? 'no shared word' : `${lexical.score.toFixed(2)}, ${rank(lexical)}`;
      leg('Words', 'words', lexical.score / top, told);
    }
    if (dense) leg('Meaning', 'meaning', dense.similarity, `${dense.similarity.toFixed(3)}, ${rank(dense)}`);
    if (fusion) leg('Fused', 'fused', fusion.score, fusion.score.toFixed(3));
    if (rerank) leg(rerank.name, 'plain', rerank.score, rerank.score.toFixed(3));
    const head = make('div', { class: 'hit-head' }, make('div', { class: 'hit-title' }, make('span', { class: 'hit-rank' }, `${i + 1}.`), hit.title || hit.docId), make('div', { class: 'score', title: 'score' }, hit.score.toFixed(3)));
    const meta = make('ul', { class: 'meta' }, make('li', {}, hit.chunkId), ...Object.entries(hit.metadata).slice(0, 6).map(([key, one]) => make('li', {}, `${key}: ${short(one)}`)));
    const why = make('details', {}, make('summary', {}, 'Why here?'), explained(hit.explanation));
    return make('li', { class: 'hit' }, head, make('p', { class: 'hit-text' }, hit.text), meta, legs, why);
  });
  fill('hits', list, 'Nothing was found.');
}

/** The steps from the query to the score. */
function explained({ score, lexical, dense, fusion, rerank }: Explanation): HTMLElement {
  const why = make('div', { class: 'why' });
  if (fusion) {
    const { lexical: words, dense: meaning, score: fused, ...how } = fusion;
    const alpha = Object.values(how).find((one) => typeof one === 'number') as number | undefined;
    const name = Object.values(how).find((one) => typeof one === 'string') as string | undefined;
    const sum =
      name === undefined || name === 'convex'
        ? `${(1 - (alpha ?? 0.5)).toFixed(2)} x ${words.toFixed(4)} (words) + ${(alpha ?? 0.5).toFixed(2)} x ${meaning.toFixed(4)} (meaning)`
        : `${words.toFixed(4)} (words) + ${meaning.toFixed(4)} (meaning)`;
    why.append(make('p', {}, `Fusion${name ? ` (${name})` : ''}: `, make('code', {}, `${sum} = ${fused.toFixed(4)}`)));
  }
  if (lexical && lexical.terms.length > 0) {
    const rows = lexical.terms.map((t) =>
      make('tr', {}, make('td', {}, t.term), make('td', {}, t.field), num(t.frequency), num(t.rowsWithTerm), num(t.idf.toFixed(2)), num(t.score.toFixed(3))),
    );
    const heads = make('tr', {}, make('th', {}, 'word'), make('th', {}, 'in'), th('times'), th('passages with it'), th('rarity (idf)'), th('adds'));
    why.append(make('table', {}, make('thead', {}, heads), make('tbody', {}, ...rows)));
  } else if (lexical) {
    why.append(make('p', {}, 'No word of the question stands in this passage.'));
  }
  if (dense) why.append(make('p', {}, 'Cosine of question and passage: ', make('code', {}, dense.similarity.toFixed(4))));
  if (rerank) why.append(make('p', {}, `${rerank.name}: `, make('code', {}, `${rerank.before.toFixed(4)} became ${rerank.score.toFixed(4)}`)));
  why.append(make('p', {}, 'Score: ', make('code', {}, score.toFixed(4))));
  return why;
}

function showContext({ text, tokens, citations }: Context): void {
  element('tokens').textContent = `${tokens} tokens`;
  fill('context', text ? [make('p', {}, ...cited(text, citations)), sources(citations)] : [], 'Nothing to cite.');
}

function showExperts(matches: Expert[]): void {
  const list = matches.map(({ agent, confidence, explanation }) => {
    const words = explanation.words.map(([word]) => word).join(', ');
    return make('li', {}, make('div', { class: 'expert-head' }, agent.name, make('span', { class: 'score', title: 'confidence' }, `${(100 * confidence).toFixed(0)} %`)), make('div', { class: 'expert-summary' }, agent.summary), bar('plain', confidence), make('div', { class: 'words-used' }, words ? `shares the words: ${words}` : 'by meaning alone'));
  });
  fill('experts', list, 'No expert fits.');
}

function showPanel(members: Expert[]): void {
  const rows = members.map(({ agent }) => {
    const select = make('select', { 'aria-label': `Position of ${agent.name}` }, make('option', { value: '' }, 'no vote'), ...POSITIONS.map((name) => make('option', {}, name)));
    const sure = make('input', { type: 'range', min: '0', max: '1', step: '0.05', value: '0.8', 'aria-label': `Confidence of ${agent.name}`, title: 'confidence' });
    const row = make('div', { class: 'ballot', 'data-voter': agent.name }, make('span', { title: agent.name }, agent.name), select, sure);
    row.addEventListener('change', () => void vote());
    return row;
  });
  fill('ballots', rows, 'No panel could be chosen.');
  element('verdict').replaceChildren();
}

async function vote(): Promise<void> {
  const mine = ++voted;
  const ballots = [...document.querySelectorAll<HTMLElement>('.ballot')]
    .map((row) => ({
      voter: row.dataset['voter'],
      choice: row.querySelector('select')!.value,
      confidence: Number(row.querySelector('input')!.value),
    }))
    .filter((ballot) => ballot.choice !== '');
  if (ballots.length === 0) return element('verdict').replaceChildren();
  try {
    const score = await call<Score>('/v1/consensus', { ballots, options: POSITIONS });
    if (mine === voted) showVerdict(score);
  } catch (error) {
    problem(error);
  }
}

function showVerdict({ decision, level, support, confidence, tied, agreement, minority, explanation }: Score): void {
  const factions = [...minority.leading, ...minority.minorities];
  const shares = make('div', { class: 'shares', title: 'shares of the positions' }, ...factions.map(({ share, position }, i) => piece(share, i < minority.leading.length, `${position}: ${percent(share)}`)));
  const told = factions.map((one, i) =>
    make('li', {}, make('b', {}, `${one.position} ${percent(one.share)}`), i < minority.leading.length ? ' ' : ' (minority) ', one.members.map((m) => m.voter).join(', ')),
  );
  const kappa = agreement.value === null ? (agreement.undefined ?? 'not defined') : agreement.value.toFixed(2);
  const observed = agreement.observed === null ? '' : `, raw ${percent(agreement.observed)}`;
  element('verdict').replaceChildren(
    make('div', { class: 'decision' }, make('span', {}, decision ?? `tie: ${tied.join(', ')}`), make('span', { class: `level ${level}` }, level.replace('_', ' '))),
    shares,
    make('ul', { class: 'factions' }, ...told),
    make('p', { class: 'agreement' }, `Support ${percent(support)}, confidence ${percent(confidence)}. Agreement beyond chance ${kappa} (${agreement.coefficient.replaceAll('_', ' ')})${observed}.`),
    make('details', {}, make('summary', {}, 'The arithmetic'), make('div', { class: 'why' }, ...explanation.split('\n').map((line) => make('p', {}, make('code', {}, line))))),
  );
}

function piece(share: number, leading: boolean, title: string): HTMLElement {
  const made = make('i', { class: leading ? 'leading' : '', title });
  made.style.flex = String(share);
  return made;
}

function num(given: number | string): HTMLElement {
  return make('td', { class: 'num' }, String(given));
}

function th(text: string): HTMLElement {
  return make('th', { class: 'num' }, text);
}
