// What does a person see of a panel: who sits on it, how positions move from round to round, and what the minority says?

import { Latest, stream, type Told } from './api.js';
import { attempt, element, fill, make, money, percent, value } from './dom.js';
import { cited, sources, type Cited } from './passage.js';

interface Seat { id: string; name: string; role: string; why: string | null }
interface Ballot { round: number; member: string; holds: string; confidence: number; reasons?: { text: string }[] }
interface Result {
  runId: string;
  status: string;
  stoppedBy: string | null;
  score: { decision: unknown; level: string; support: number } | null;
  baseline: { decision: unknown; level: string } | null;
  minority: { position: string; share: number; ballots: { member: string; reasons?: { text: string }[] }[] }[];
  synthesis: string;
  citations: Cited[];
  dropped: { round: number; member: string; reason: string; message: string }[];
  conformity: { flips: number; toMajority: number };
  cost: number | null;
}

const latest = new Latest();
let seats: Seat[] = [];
let ballots: Ballot[] = [];
let missing: { round: number; member: string; why: string }[] = [];

export function panel(): void {
  element('panel-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const options = value('panel-options').split(',').map((one) => one.trim()).filter(Boolean);
    const body = { question: value('panel-question'), type: value('panel-type'), size: Number(value('panel-size')), ...(options.length > 1 && { options }) };
    [seats, ballots, missing] = [[], [], []];
    for (const id of ['panel-rounds', 'panel-moves', 'panel-outcome', 'panel-minority', 'panel-synthesis']) element(id).replaceChildren();
    element('panel').classList.add('asked');
    const signal = latest.begin();
    const stop = element<HTMLButtonElement>('panel-stop');
    stop.hidden = false;
    element('panel-state').textContent = 'asking';
    void attempt(async () => {
      for await (const told of stream('/v1/panels', body, signal)) show(told);
    }).finally(() => {
      if (signal.aborted) element('panel-state').textContent = 'stopped';
      stop.hidden = true;
    });
  });
  element('panel-stop').addEventListener('click', () => latest.stop());
}

function show(event: Told): void {
  const handlers: Record<string, () => void> = {
    run_start: () => {
      seats = event['members'];
      moves();
    },
    round_start: () => (element('panel-state').textContent = `round ${event['round']}`),
    ballot: () => {
      ballots.push({ round: event['round'], member: event['agent'], holds: event['holds'], confidence: event['confidence'], reasons: event['reasons'] });
      moves();
    },
    warning: () => {
      if (event['agent'] && event['round']) missing.push({ round: event['round'], member: event['agent'], why: event['message'] });
      moves();
    },
    round_end: () => round(event['result']),
    end: () => outcome(event['result']),
    cancelled: () => (element('panel-state').textContent = 'cancelled'),
    error: () => {
      throw new Error(`${event['error'].detail} (${event['error'].code})`);
    },
  };
  handlers[event.type]?.();
}

/** A row for each member and a column for each round; who has moved is marked. */
function moves(): void {
  const rounds = [...new Set([...ballots, ...missing].map((one) => one.round))].sort((a, b) => a - b);
  const rows = seats.map((seat) => {
    let before: string | undefined;
    const cells = rounds.map((number) => {
      const one = ballots.find((ballot) => ballot.round === number && ballot.member === seat.id);
      if (!one) return make('td', { class: 'none', title: missing.find((m) => m.round === number && m.member === seat.id)?.why ?? '' }, 'no vote');
      const moved = before !== undefined && before !== one.holds;
      before = one.holds;
      const why = one.reasons?.map((reason) => reason.text).join('\n') ?? '';
      return make('td', { class: moved ? 'moved' : '', title: why }, make('b', {}, one.holds), ` ${percent(one.confidence)}`, ...(moved ? [make('span', { class: 'moved-mark' }, ' moved')] : []));
    });
    return make('tr', {}, make('th', { scope: 'row', title: seat.why ?? '' }, seat.name, make('small', {}, ` ${seat.role}`)), ...cells);
  });
  const heads = make('tr', {}, make('th', { scope: 'col' }, 'Member'), ...rounds.map((number) => make('th', { scope: 'col' }, number === 1 ? 'Round 1, blind' : `Round ${number}`)));
  element('panel-moves').replaceChildren(make('table', { class: 'moves' }, make('thead', {}, heads), make('tbody', {}, ...rows)));
}

function round({ round: number, stage, ballots: given, asked, score }: { round: number; stage: string; ballots: number; asked: number; score: { level: string; support: number } | null }): void {
  const agreed = score ? `, ${score.level.replaceAll('_', ' ')}, support ${percent(score.support)}` : '';
  element('panel-rounds').append(make('li', {}, make('b', {}, `Round ${number}`), ` (${stage}): ${given} of ${asked} voted${agreed}`));
}

function outcome(result: Result): void {
  const { score, baseline, conformity } = result;
  element('panel-state').textContent = result.stoppedBy ? `${result.status.replaceAll('_', ' ')}: ${result.stoppedBy.replaceAll('_', ' ')}` : result.status;
  const decision = score ? String(score.decision ?? 'no decision') : 'no decision';
  element('panel-outcome').replaceChildren(
    make('div', { class: 'decision' }, make('span', {}, decision), make('span', { class: `level ${score?.level ?? 'no_consensus'}` }, (score?.level ?? 'no consensus').replaceAll('_', ' '))),
    make('p', { class: 'hint' }, `${score ? `Support ${percent(score.support)}. ` : ''}Blind round: ${baseline ? `${String(baseline.decision ?? 'no decision')}, ${baseline.level.replaceAll('_', ' ')}` : 'no score'}. ${conformity.flips} changed their position, ${conformity.toMajority} of them to the majority. ${money(result.cost)}.`),
  );
  const minority = result.minority.map((one) =>
    make('li', {}, make('b', {}, `${one.position} ${percent(one.share)}`), ...one.ballots.map((ballot) => make('blockquote', {}, make('cite', {}, ballot.member), `: ${ballot.reasons?.map((reason) => reason.text).join(' ') || 'gave no reason'}`))),
  );
  fill('panel-minority', minority.length > 0 ? [make('ul', { class: 'minority' }, ...minority)] : [], 'Nobody holds another position.');
  const dropped = result.dropped.map((one) => make('li', {}, `${one.member}, round ${one.round}: ${one.message || one.reason}`));
  fill('panel-synthesis', [
    ...(result.synthesis ? [make('p', {}, ...cited(result.synthesis, result.citations)), sources(result.citations)] : []),
    ...(dropped.length > 0 ? [make('h3', {}, 'Whose vote is missing'), make('ul', {}, ...dropped)] : []),
  ], 'There is no synthesis.');
}
