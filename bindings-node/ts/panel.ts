// How are panels asked, and what do they come to?

import type * as Native from '../native.js';
import type { AnswerCitation, RunEventBase } from './answer.js';
import { abortable, bounded, checkSignal, now, options as checked, parse, place, settle, shown } from './call.js';
import { PanelScore } from './consensus/decide.js';
import type { Abortable } from './embed.js';
import { Cancelled, type QuorateError, errorOf, invalid } from './errors.js';
import { halfOf, holding, models as halves } from './handles.js';
import type { Where } from './kb.js';
import type { Model, Usage } from './models.js';
import { native } from './native.js';
import type { Budget } from './runtime.js';
import { EventStream, ending } from './streams.js';
import { traced } from './tracing.js';

/** The six ways of asking. */
export type PanelType = 'parallel' | 'sequential' | 'consensus' | 'debate' | 'socratic' | 'delphi';

/** What a member is there for: `expert` votes, `moderator` leads and sums up, `observer` hears all and remarks on it. */
export type PanelRole = 'expert' | 'moderator' | 'observer';

/** What members give. */
export type BallotForm = 'choice' | 'ranking' | 'probability' | 'number' | 'ratings' | 'text';

/** How much each ballot counts. */
export type PanelWeights = 'declared' | 'calibrated' | 'confidence';

/** A member of a panel. */
export interface PanelMemberInput {
  /** The id of an agent of the registry. Without a registry, or with a model of its own, any name. */
  id: string;
  /** What it is there for. Default `expert`. */
  role?: PanelRole | null;
  /** How much its ballot counts against others; 0 or more. Default 1. */
  weight?: number | null;
  /** Who answers for it. Default: the runtime's model, and without one sentences of the knowledge base. */
  model?: Model | null;
}

/** The options of a panel. */
export interface AskPanelOptions extends Abortable {
  /** Which of the six ways. Default `parallel`. */
  type?: PanelType | null;
  /** Who is asked: ids of agents, or members. Default: the experts that the registry's `selectPanel` finds. */
  members?: readonly (string | PanelMemberInput)[] | null;
  /** How many are looked for where none are named. Default 5. */
  size?: number | null;
  /** Rounds at most, the blind one counted. Default: parallel 1, sequential 3, consensus 4, debate 4, socratic 8, delphi 4. */
  rounds?: number | null;
  /** The answers to choose from. Default: members answer by a number where there is a scale, and else in words. */
  options?: readonly string[] | null;
  /** The lowest and the highest number; of a Delphi panel 1 to 9 where none is given. */
  scale?: readonly [low: number, high: number] | null;
  /** What members give, where that does not follow from options, scale and type. */
  ballot?: BallotForm | null;
  /** The share of voters, above 0 to 1, whose ballots each round needs. Default 0.6. */
  quorum?: number | null;
  /** Whether members do not know who has said what. Default true. */
  anonymous?: boolean | null;
  /** Who judges a debate; it should be of another family than the members' models. Default: the runtime's model. */
  judge?: Model | null;
  /** Who leads and writes the synthesis, and cannot change the score. Default: the first moderator. */
  chair?: string | PanelMemberInput | null;
  /** How much each ballot counts. All of it is settled before anybody has heard anybody. Default `declared`. */
  weights?: PanelWeights | null;
  /** Another decision beside the score. */
  aggregate?: 'honeybee' | 'particles' | null;
  /** Questions with known numbers, by which members are weighed in the place of their weights (Cooke). */
  seeds?: readonly { question: string; answer: number }[] | null;
  /** What is right, where that is known. No member sees it. */
  truth?: unknown;
  /** How alike ballots of members are that share a model, 0 to 1. Default: estimated, and where that cannot be, 1. */
  rho?: number | null;
  /** A synthesis names each minority of at least this share of the weight. Default 0: all. */
  minorityThreshold?: number | null;
  /** From which cosine similarity on positions in words may mean the same. Default 0.8. */
  similarity?: number | null;
  /** After so many seconds an answer is late. Default 120. */
  memberSeconds?: number | null;
  /** A filter of the sources. */
  where?: Where | null;
  /** In the place of the runtime's. The default of 20 steps is 20 for each member. */
  budget?: Budget | null;
  /** Decides orders, sides and labels. Default 0. */
  seed?: number | null;
  /** What lists show. Default: the beginning of the question. */
  title?: string | null;
  /** Asking again with the same key gives the panel that there is. */
  idempotencyKey?: string | null;
}

/** How a panel goes on. */
export interface ResumePanelOptions extends Abortable {
  /** Who answers for members that have models of their own, by their ids. */
  models?: Readonly<Record<string, Model>> | null;
  /** The judge of a debate, where it is not the runtime's model. */
  judge?: Model | null;
}

/** What a ballot says: a text, a number, a list of options best first, or numbers by option. */
export type BallotPosition = string | number | string[] | Record<string, number>;

/** A reason, with the markers of the sources that it names. */
export interface PanelReason {
  text: string;
  citations: string[];
}

/** A ballot as it was given. */
export interface PanelBallot {
  /** The round; 1 is the blind one. */
  round: number;
  /** Who gave it. */
  member: string;
  position: BallotPosition;
  /** The position by which it is counted: the option, the one ranked or rated highest, or the words of those who mean the same. */
  holds: string;
  /** 0 to 1. */
  confidence: number;
  /** Why, word for word. */
  reasons: PanelReason[];
  /** What it says against a proposal. */
  objection: string | null;
  /** How much it counts. */
  weight: number;
  /** Whether it says something else than the member's ballot before. */
  changed: boolean;
  /** Whether it counts in the end. */
  counted: boolean;
}

/** A member as it took part. */
export interface PanelSeat {
  id: string;
  /** The name that people read. */
  name: string;
  role: PanelRole;
  /** Whether it leads. */
  chair: boolean;
  /** The weight that was given. */
  weight: number;
  /** The weight that its ballots have: capped, and 1 on average; 0 for those who do not vote. */
  counts: number;
  /** The model that answers for it. */
  model: string;
  /** Members of one group share a model, and are no independent voters. */
  group: string;
  /** Why it was asked. */
  why: string;
}

/** What became of the ratings of an item in a round of a Delphi panel. */
export interface PanelDelphiItem {
  n: number;
  median: number;
  q1: number;
  q3: number;
  iqr: number;
  ipr: number;
  ipras: number;
  disagreement: boolean;
  appropriateness: string;
  consensus: boolean;
  stability: { change: number; medianShift: number; iqrShift: number; stable: boolean } | null;
}

/** One round. */
export interface PanelRound {
  /** Its number; 1 is the blind one. */
  round: number;
  stage: 'blind' | 'forward' | 'reversed' | 'proposal' | 'debate' | 'question' | 'rating' | 'ballots';
  /** How many gave a ballot in it. */
  ballots: number;
  /** How many were asked for one. */
  asked: number;
  /** What the panel would have decided after it. */
  score: PanelScore | null;
  /** How ballots of options are spread: all unsure, or split. */
  spread: { purity: number; entropy: number; says: 'agreed' | 'unsure' | 'split' | 'mixed' } | null;
  /** Of a Delphi panel. */
  delphi: { items: PanelDelphiItem[]; stop: boolean; reason: string; why: string } | null;
  /** Of a consensus panel: what was proposed. */
  proposal: string | null;
  /** Of a consensus panel: how many objected. */
  objections: number | null;
  /** Of a socratic panel. */
  question: { kind: string; text: string } | null;
}

/** One entry of what was said. */
export interface PanelEntry {
  round: number;
  kind: 'opening' | 'response' | 'rebuttal' | 'summary' | 'question' | 'ballot';
  /** Who said it; null: the protocol. */
  member: string | null;
  /** What, word for word. */
  text: string;
  /** The markers of the sources that it names. */
  citations: string[];
  /** What the member was shown, without the sources. */
  prompt: string | null;
}

/** Those who hold another position than the leading one. */
export interface PanelMinority {
  position: string;
  /** Their share of the weight. */
  share: number;
  /** Their ballots, word for word, the strongest first. */
  ballots: PanelBallot[];
}

/** How much members followed one another. */
export interface Conformity {
  /** Ballots that say something else than the member's ballot before. */
  flips: number;
  /** Of these, those that went over to what led in the round before. */
  toMajority: number;
  /** Of these, those that left what is right; null where that is not known. */
  rightToWrong: number | null;
  /** Those that went over to what is right; null where that is not known. */
  wrongToRight: number | null;
  /** The share of the blind round's disagreement that was gone at the end; null where there was none. */
  collapse: number | null;
  /** How often a ballot could have gone over to what led. */
  chances: number;
  /** `toMajority / chances`, with Wilson's 95 % interval. */
  adoption: { value: number; low: number; high: number } | null;
}

/** What a panel came to, as plain data. */
export interface PanelAnswerData {
  /** The run that it comes from. */
  runId: string;
  title: string;
  question: string;
  type: PanelType;
  /** What members gave. */
  ballot: BallotForm;
  /** How the panel ended; `no_consensus` where a quorum was missed. */
  status: 'running' | 'done' | 'partial' | 'no_consensus' | 'cancelled' | 'failed';
  /**
   * Which rule ended it: `objections_met`, `stable`, `kinds_covered`, `stability`, `max_rounds`; or why it ended before: `quorum_missed`,
   * a limit of the budget, `cancelled`. Null where the number of rounds is fixed.
   */
  stoppedBy: string | null;
  /** What the panel decides by the ballots that count, as `consensus.scorePanel` gives it; null where there is none. */
  score: PanelScore | null;
  /** The same for the first, blind round alone. */
  baseline: PanelScore | null;
  /** Who was asked, and why. */
  members: PanelSeat[];
  weights: PanelWeights;
  rounds: PanelRound[];
  /** What was said, in order. */
  log: PanelEntry[];
  /** Each ballot that was given, in order. */
  ballots: PanelBallot[];
  /** Those who hold another position than the leading one, the heaviest first, in their own words. */
  minority: PanelMinority[];
  /** The outcome in words, cited. */
  synthesis: string;
  /** Who wrote it: the id of the chair, or `ballots` where it was made of them. */
  synthesisBy: string;
  /** The sources that ballots and synthesis name. */
  citations: AnswerCitation[];
  /** Whose contribution is missing in which round, and why. */
  dropped: { round: number; member: string; reason: string; message: string }[];
  conformity: Conformity;
  /** Of a sequential panel: whether the order decided. */
  order: { pairs: number; differ: number; statistic: number; pValue: number; assignments: number; exact: boolean } | null;
  /** Of a debate: what the judge said, in both orders. */
  verdict: {
    sides: [string, string];
    winner: string | null;
    orders: (string | null)[];
    flipped: boolean;
    reasons: string[];
    model: string;
    independent: boolean;
  } | null;
  /** Of a socratic panel: what became of each claim. */
  claims: { number: number; text: string; member: string; round: number; status: 'supported' | 'conceded' | 'open'; citations: string[] }[];
  /** Of a socratic panel: which kinds of question were asked and answered. */
  coverage: { kind: string; asked: number; answered: number }[];
  /** Of a consensus panel: the objections that were not met, word for word. */
  objections: { member: string; round: number; text: string }[];
  /** What `aggregate` makes of the same ballots. */
  alternative: { method: string; decision: string | null; shares: Record<string, number>; converged: boolean } | null;
  /** What the caller should know. */
  warnings: string[];
  /** Tokens. */
  usage: Usage;
  /** US dollars; null where a price is unknown. */
  cost: number | null;
}

/** @internal What the native half gives: scores are plain objects. */
interface FoundRound extends Omit<PanelRound, 'score'> {
  score: ConstructorParameters<typeof PanelScore>[0] | null;
}

/** @internal */
export type FoundPanel = Omit<PanelAnswerData, 'score' | 'baseline' | 'rounds'> & {
  score: FoundRound['score'];
  baseline: FoundRound['score'];
  rounds: FoundRound[];
};

/** A row of a table: a ballot, or one that is missing, of which `dropped` says why. */
export interface PanelRow {
  round: number;
  member: string;
  role: PanelRole;
  model: string;
  /** The position in words. */
  position: string | null;
  /** The position by which it is counted. */
  holds: string | null;
  confidence: number | null;
  weight: number;
  changed: boolean | null;
  counted: boolean;
  /** The reasons, one below the other. */
  reasons: string | null;
  /** The sources that they name. */
  citations: string | null;
  objection: string | null;
  dropped: string | null;
}

/** What a panel came to. A missed quorum and a limit of the budget are no errors: `status` and `stoppedBy` say so. */
export class PanelAnswer {
  /** @internal */
  constructor(found: FoundPanel) {
    Object.assign(this, found, {
      score: scoreOf(found.score),
      baseline: scoreOf(found.baseline),
      rounds: found.rounds.map(roundOf),
    });
  }

  /** A row for each ballot and each missing one, by round and in the order of the members; positions are words. */
  async rows(): Promise<PanelRow[]> {
    return parse(await settle(() => native.panelRows({ ...this })));
  }

  /** The page that shows it, which needs nothing from elsewhere: who said what, how positions moved, agreement, minority, cost. */
  async html(): Promise<string> {
    return settle(() => native.panelPage({ ...this }));
  }

  /** Writes that page. Codes: `io`, `permission_denied`. */
  async report(path: string | URL): Promise<void> {
    await settle(() => native.writePanelPage({ ...this }, place(path)));
  }
}
export interface PanelAnswer extends Readonly<PanelAnswerData> {}

function scoreOf(found: FoundRound['score']): PanelScore | null {
  return found === null ? null : new PanelScore(found);
}

function roundOf(found: FoundRound): PanelRound {
  return { ...found, score: scoreOf(found.score) };
}

/** @internal Whether an answer is that of a panel. */
export function isPanel(found: object): found is FoundPanel {
  return 'ballots' in found && 'conformity' in found;
}

/** @internal */
export function panelOf(json: string): PanelAnswer {
  return new PanelAnswer(parse<FoundPanel>(json));
}

/** One event of a panel. Exactly one of `end`, `error` and `cancelled` comes, and comes last. */
export type PanelEvent = RunEventBase &
  (
    | { type: 'run_start'; mode: 'panel'; panel: PanelType; question: string; members: PanelSeat[]; resumed: boolean }
    /** `sources`: how many were found. */
    | { type: 'context'; question: string; sources: number }
    | { type: 'round_start' }
    | { type: 'ballot'; position: BallotPosition; holds: string; confidence: number; reasons: PanelReason[]; objection: string | null }
    /** What was said that is no ballot. */
    | { type: 'step_end'; kind: PanelEntry['kind']; text: string | null; said: unknown }
    | { type: 'warning'; code: string; message: string; limit?: string }
    | { type: 'usage'; usage: Usage; cost: number | null; seconds: number }
    | { type: 'round_end'; result: PanelRound }
    | { type: 'end'; result: PanelAnswer }
    /** `result`: what there is of it. */
    | { type: 'error'; error: QuorateError; result: PanelAnswer | null }
    | { type: 'cancelled'; result: PanelAnswer | null }
  );

type Raw = RunEventBase & { type: string; code?: string; message?: string; result?: unknown; partial?: FoundPanel | null };

const LAST = ['end', 'error', 'cancelled'];

/** @internal An event of a panel as users see it; undefined for one of another run. */
export function panelEventOf(raw: RunEventBase & { type: string; result?: unknown; partial?: unknown }): PanelEvent | undefined {
  const { result, partial } = raw;
  const found = result ?? partial;
  if (raw.type === 'round_end') return { ...raw, result: roundOf(result as FoundRound) } as PanelEvent;
  if (typeof found !== 'object' || found === null || !isPanel(found)) return undefined;
  return lastOf(raw as Raw);
}

function lastOf(raw: Raw): PanelEvent {
  const { code, message, partial, result, ...rest } = raw;
  const found = (result ?? partial) as FoundPanel | null | undefined;
  const answer = found ? new PanelAnswer(found) : null;
  const error = raw.type === 'error' ? { error: errorOf(code ?? 'internal', message ?? '') } : {};
  return { ...rest, ...error, result: answer } as PanelEvent;
}

/** The events of a panel, as they come: `for await (const event of stream)`. Leaving it before its end cancels the panel. */
export class PanelStream extends EventStream<PanelEvent> {
  /** @internal */
  constructor(of: Native.ModelFlow, keep: unknown, signal: AbortSignal | null | undefined) {
    super(of, keep, signal, async (raw) => {
      const given = raw as Raw;
      if (LAST.includes(given.type)) return [lastOf(given), true];
      return [panelEventOf(given) ?? (given as unknown as PanelEvent), false];
    });
  }

  /** Reads what is left, and gives what the panel came to, also of one that was cancelled. Codes: those of `Runtime.panel`. */
  async result(): Promise<PanelAnswer> {
    const last = await ending<PanelEvent>(this);
    if (last?.type === 'error') throw last.error;
    if (last?.type !== 'end' && last?.type !== 'cancelled') throw new Cancelled('cancelled', 'the stream was closed before its end');
    if (last.result === null) throw new Cancelled('cancelled', 'the panel was cancelled before it began');
    return last.result;
  }
}

/** A panel as lists of sessions show it. */
export interface PanelSession {
  runId: string;
  title: string;
  /** What was asked. */
  query: string;
  type: PanelType;
  /** `waiting`: its process has ended, and `resumePanel` goes on with it. */
  status: 'created' | 'in_progress' | 'completed' | 'failed' | 'waiting';
  members: PanelSeat[];
}

/** A member as the native half takes it; its model goes to `put`. */
function memberOf(given: unknown, what: string, put: (model: Native.LanguageModel) => void, keep: unknown[]): unknown {
  if (typeof given === 'string') return given;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalid(`${what} is ${shown(given)}; an id or a member is expected`);
  const { model, ...rest } = given as PanelMemberInput;
  if (model !== undefined && model !== null) {
    put(halfOf(halves, model, `${what}.model`, 'a Model'));
    keep.push(model);
  }
  return rest;
}

/** A panel as the native half takes it, and what must stay there for it. */
function asked(options: AskPanelOptions | null | undefined) {
  const { signal, members, judge, chair, ...rest } = checked(options);
  checkSignal(signal);
  const own = new native.PanelModels();
  const keep: unknown[] = [];
  if (judge !== undefined && judge !== null) {
    own.judge(halfOf(halves, judge, 'judge', 'a Model'));
    keep.push(judge);
  }
  const seated = Array.isArray(members)
    ? bounded(members as readonly unknown[], 'members').map((one, i) => memberOf(one, `members[${i}]`, (model) => own.member(i, model), keep))
    : members;
  const chairs = chair === undefined || chair === null ? chair : memberOf(chair, 'chair', (model) => own.chair(model), keep);
  return { signal, given: { ...rest, ...traced(), members: seated, chair: chairs }, own, keep };
}

function goingOn(options: ResumePanelOptions | null | undefined) {
  const { signal, models, judge } = checked(options, ['signal', 'models', 'judge']);
  checkSignal(signal);
  const own = new native.PanelModels();
  const keep: unknown[] = [];
  if (models !== undefined && models !== null && (typeof models !== 'object' || Array.isArray(models))) {
    throw invalid(`models are ${shown(models)}; an object from ids of members to models is expected`);
  }
  for (const [id, model] of Object.entries(models ?? {})) {
    const half = halfOf(halves, model, `models['${id.slice(0, 100)}']`, 'a Model');
    now(() => own.named(id, half));
    keep.push(model);
  }
  if (judge !== undefined && judge !== null) {
    own.judge(halfOf(halves, judge, 'judge', 'a Model'));
    keep.push(judge);
  }
  const { traceParent } = traced();
  if (traceParent !== undefined) own.traced(traceParent);
  return { signal, own, keep };
}

/** @internal Asks a panel. */
export async function askPanel(of: Native.Runtime, runtime: object, question: string, options: AskPanelOptions | null | undefined): Promise<PanelAnswer> {
  const { signal, given, own, keep } = asked(options);
  const work = () => abortable(signal, true, (cancel) => native.askPanel(of, question, given, own, cancel));
  return panelOf(await holding([runtime, keep], work));
}

/** @internal Asks a panel, and gives what happens. */
export function panelStream(of: Native.Runtime, runtime: object, question: string, options: AskPanelOptions | null | undefined): PanelStream {
  const { signal, given, own, keep } = asked(options);
  return new PanelStream(now(() => native.panelFlow(of, question, given, own)), [runtime, keep], signal);
}

/** @internal Goes on with a panel. */
export async function resumePanel(of: Native.Runtime, runtime: object, runId: string, options: ResumePanelOptions | null | undefined): Promise<PanelAnswer> {
  const { signal, own, keep } = goingOn(options);
  const work = () => abortable(signal, true, (cancel) => native.resumePanel(of, runId, own, cancel));
  return panelOf(await holding([runtime, keep], work));
}

/** @internal Goes on with a panel, and gives what happens. */
export function resumedPanelStream(of: Native.Runtime, runtime: object, runId: string, options: ResumePanelOptions | null | undefined): PanelStream {
  const { signal, own, keep } = goingOn(options);
  return new PanelStream(now(() => native.resumePanelFlow(of, runId, own)), [runtime, keep], signal);
}
