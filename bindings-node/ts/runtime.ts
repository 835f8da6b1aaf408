// How are experts asked, and what did they do?

import type * as Native from '../native.js';
import { AgentRegistry } from './agents.js';
import { type Answer, type OutputForm, type Pending, type RunEvent, type RunInfo, type RunStatus, RunStream, answerOf, eventOf } from './answer.js';
import { type Hosting, abortable, bounded, checkSignal, hosting, now, numbered, options as checked, parse, settle, shown } from './call.js';
import { Conversation, type ConversationOptions, Memory, conversations } from './conversation.js';
import type { Abortable } from './embed.js';
import { invalid } from './errors.js';
import { type ReplayOptions, type Replayed, replayed } from './evaluate.js';
import { bases, halfOf, holding, kept, maybeHalfOf, models, registries } from './handles.js';
import type { KnowledgeBase, Where } from './kb.js';
import { neutral } from './messages.js';
import type { Message, Messages, Model, Reply } from './models.js';
import { native } from './native.js';
import {
  type PanelAnswer,
  type AskPanelOptions,
  type PanelSession,
  type PanelStream,
  type ResumePanelOptions,
  askPanel,
  panelOf,
  panelStream,
  resumePanel,
  resumedPanelStream,
} from './panel.js';
import { type JsonSchema, type StandardSchema, schemaOf } from './schema.js';
import { StateStore, stores } from './store.js';
import { type RuntimeTool, answered, nativeTool, runtimes } from './tools.js';
import { traced } from './tracing.js';

/** What a run may spend, with all that it starts. What is missing or null is no limit, but for `maxSteps`. */
export interface Budget {
  /** US dollars. */
  maxCost?: number | null;
  /** Tokens that models read and write. */
  maxTokens?: number | null;
  /** Seconds; time in which a run waits for a decision does not count. */
  maxSeconds?: number | null;
  /** Requests to models. Default 20; null is no limit. */
  maxSteps?: number | null;
  /** Calls of tools. */
  maxToolCalls?: number | null;
  /** What a budget of money does where the price of a model is unknown. Default `refuse`. */
  unpriced?: 'refuse' | 'allow' | null;
}

/** What somebody decides about a call that waits, or a plan: other arguments; of a plan other `steps`. */
export type Decision = 'approve' | 'deny' | boolean | { arguments: Record<string, unknown> };

/** Decides about a call that needs approval, or a plan; null or undefined leaves it waiting. It may be asynchronous. */
export type Approve = (pending: Pending) => Decision | null | undefined | PromiseLike<Decision | null | undefined>;

/** What a runtime is made of. */
export interface RuntimeOptions {
  /** The experts. Default: questions are answered by nobody in particular. */
  registry?: AgentRegistry | null;
  /** Where sources are found. */
  kb?: KnowledgeBase | null;
  /** The language model. Default: sentences of the knowledge base answer. */
  model?: Model | null;
  /** What the model may have done. */
  tools?: readonly RuntimeTool[] | null;
  /** Where the journals of runs are kept: a store, a folder, or in memory, which is the default. */
  store?: StateStore | string | URL | null;
  /** On whose behalf: it sees the tenant's documents and agents, and runs of other tenants do not exist. */
  tenant?: string | null;
  /** What each run may spend. */
  budget?: Budget | null;
  /** Decides about calls that need approval. Default: runs wait, and autonomous ones are denied such calls. */
  approve?: Approve | null;
}

/** The options of a question. */
export interface QuestionOptions<T = unknown> extends Abortable {
  /** The id of the expert. Default: the one that fits best. */
  agent?: string | null;
  /** Whether it plans, acts and checks by itself. Default false. */
  autonomous?: boolean | null;
  /** What was said before: messages, or a conversation, which the question and its answer join. */
  conversation?: Conversation | readonly (Message | Reply)[] | null;
  /** The form of the answer. */
  output?: JsonSchema | StandardSchema<T> | null;
  /** Tools in the place of the runtime's. */
  tools?: readonly RuntimeTool[] | null;
  /** A filter of the sources. */
  where?: Where | null;
  /** In the place of the runtime's. */
  budget?: Budget | null;
  /** In the place of the runtime's. */
  approve?: Approve | null;
  /** For services that repeat themselves on request. Default 0. */
  seed?: number | null;
  /** Asking again with the same key gives the run that there is. */
  idempotencyKey?: string | null;
}

/** How a run goes on. */
export interface ResumeOptions<T = unknown> extends Abortable {
  /** The form that its output is read as, where the question asked for one: what a Standard Schema makes of it. */
  output?: JsonSchema | StandardSchema<T> | null;
  /** Tools in the place of the runtime's. */
  tools?: readonly RuntimeTool[] | null;
  /** In the place of the runtime's. */
  approve?: Approve | null;
}

/** The calls of a runtime that show what happens as it happens. */
export interface RuntimeStreams {
  /** As {@link Runtime.ask}: `for await (const event of runtime.stream.ask('...'))`. The run begins with the first event that is asked for. */
  ask<T = unknown>(question: string, options?: QuestionOptions<T> | null): RunStream<T>;
  /** As {@link Runtime.resume}, with the events from there. */
  resume<T = unknown>(runId: string, decisions?: Readonly<Record<string, Decision>> | null, options?: ResumeOptions<T> | null): RunStream<T>;
  /** As {@link Runtime.panel}: `for await (const event of runtime.stream.panel('...', { type: 'delphi' }))`. */
  panel(question: string, options?: AskPanelOptions | null): PanelStream;
  /** As {@link Runtime.resumePanel}, with the events from there. */
  resumePanel(runId: string, options?: ResumePanelOptions | null): PanelStream;
}

/** A run, as its journal tells it. */
export class Run {
  /** What lists show of it. */
  readonly info: RunInfo;
  readonly #native: Native.Runtime;

  /** @internal */
  constructor(of: Native.Runtime, info: RunInfo, runtime: object) {
    if (!(of instanceof native.Runtime)) throw invalid('a run is made by the run of a Runtime');
    this.#native = of;
    this.info = info;
    kept.set(this, runtime);
  }

  /** Its id. */
  get runId(): string {
    return this.info.runId;
  }

  /** How it stood when it was looked up. */
  get status(): RunStatus {
    return this.info.status;
  }

  /** What it showed, without the pieces of texts. */
  async events(): Promise<RunEvent[]> {
    const found = parse<Parameters<typeof eventOf>[0][]>(await settle(() => this.#native.events(this.runId)));
    return Promise.all(found.map((raw) => eventOf(raw, null)));
  }

  /**
   * Its answer, as far as there is one; `output`: the form that its output is read as. Of a panel it is what {@link panel} gives. Codes: the
   * one by which the run failed.
   */
  async answer<T = unknown>(options?: { output?: JsonSchema | StandardSchema<T> | null } | null): Promise<Answer<T>> {
    const { output } = checked(options, ['output']);
    return answerOf(parse<Answer>(await settle(() => this.#native.answer(this.runId))), formIn(output));
  }

  /** What a panel came to, as far as it has come. Codes: the one by which it failed; `invalid_argument` for a run that is no panel. */
  async panel(): Promise<PanelAnswer> {
    if (this.info.kind !== 'panel') throw invalid(`run '${this.runId}' is no panel; read it by answer()`);
    return panelOf(await settle(() => this.#native.answer(this.runId)));
  }
}

const MEMBERS = ['registry', 'kb', 'model', 'tools', 'store', 'tenant', 'budget', 'approve'];

/**
 * Experts that answer. One runtime may be used for any number of questions at a time. `new Runtime(...)` returns at once; where a folder,
 * a registry or a tenant has to be opened first, that happens on another thread, and `await Runtime.open(...)` waits for it and fails there.
 *
 * ```js
 * const runtime = new Runtime({ registry, kb, model, tools: [lookup], store: 'state/' });
 * const answer = await runtime.ask('Is a 510(k) needed for our ECG app?', { budget: { maxCost: 0.5 } });
 * ```
 */
export class Runtime {
  readonly #native: Native.Runtime;
  readonly #tools: readonly RuntimeTool[];
  readonly #approve: Approve | null | undefined;
  readonly #host: Hosting;

  /** Codes: `invalid_argument`, and those of the store, the registry and the knowledge base. */
  constructor(options?: RuntimeOptions | null) {
    const { registry, kb, model, tools, store, tenant, budget, approve } = checked(options, MEMBERS);
    const at = store === undefined || store === null || store instanceof StateStore ? store : new StateStore(store);
    const halves = [
      maybeHalfOf(registries, registry, 'registry', 'an AgentRegistry'),
      maybeHalfOf(bases, kb, 'kb', 'a KnowledgeBase'),
      maybeHalfOf(models, model, 'model', 'a Model'),
      maybeHalfOf(stores, at, 'store', 'a StateStore'),
    ] as const;
    this.#tools = toolsIn(tools);
    this.#approve = approverIn(approve);
    this.#host = hosting();
    const helpers = helpersOf(this.#tools, this.#approve, this.#host);
    this.#native = now(() => native.Runtime.open(...halves, helpers, tenant, budget));
    runtimes.set(this, this.#native);
    kept.set(this, [registry, kb, model, at]);
  }

  /** Opens a runtime and waits until it is open. Codes: those of the constructor. */
  static async open(options?: RuntimeOptions | null): Promise<Runtime> {
    const runtime = new Runtime(options);
    await settle(() => runtime.#native.ready());
    return runtime;
  }

  /**
   * Asks an expert, and waits until the run is over or waits for somebody. A limit of the budget is no error: `status` is `partial`, and
   * `stoppedBy` says which. An aborted `signal` ends the run, and the Promise is rejected with code `cancelled`.
   *
   * Codes: `empty_input`, `too_large`, `unknown_id`, `budget_unpriced`, `run_conflict`, `output_invalid`, `unsupported`, `callback`, those of
   * arguments, of the model and of the search.
   */
  async ask<T = unknown>(question: string, options?: QuestionOptions<T> | null): Promise<Answer<T>> {
    const asked = this.#asked(options);
    const work = () => abortable(asked.signal, true, (cancel) => this.#native.ask(question, asked.given, asked.helpers, cancel));
    return answerOf(parse<Answer>(await this.#busy(work, asked.keep)), asked.output);
  }

  /**
   * Goes on with a run that waits, or whose process has ended. `decisions`: by the id of the call that waits, or `plan`. A panel goes on too,
   * as {@link resumePanel} goes on with it, which also takes the models of its members, and gives its PanelAnswer. Codes: `unknown_id`, `tool_arguments`, `run_conflict` while another goes on with it, those of {@link ask}.
   */
  async resume<T = unknown>(
    runId: string,
    decisions?: Readonly<Record<string, Decision>> | null,
    options?: ResumeOptions<T> | null,
  ): Promise<Answer<T>> {
    const { signal, helpers, output, keep } = this.#resumed(options);
    const work = () => abortable(signal, true, (cancel) => this.#native.resume(runId, decisions, helpers, cancel));
    return answerOf(parse<Answer>(await this.#busy(work, keep)), output);
  }

  /** The same calls with what happens as it happens: `for await (const event of runtime.stream.ask('...'))`. */
  get stream(): RuntimeStreams {
    const answer = async (runId: string): Promise<Answer> => parse(await settle(() => this.#native.answer(runId)));
    return {
      ask: <T>(question: string, options?: QuestionOptions<T> | null) => {
        const { signal, given, helpers, output, keep } = this.#asked(options);
        const flow = now(() => this.#native.flow(question, given, helpers));
        return new RunStream<T>(flow, [this, keep], signal, output, answer);
      },
      resume: <T>(runId: string, decisions?: Readonly<Record<string, Decision>> | null, options?: ResumeOptions<T> | null) => {
        const { signal, helpers, output, keep } = this.#resumed(options);
        return new RunStream<T>(now(() => this.#native.resumeFlow(runId, decisions, helpers)), [this, keep], signal, output, answer);
      },
      panel: (question: string, options?: AskPanelOptions | null) => panelStream(this.#native, this, question, options),
      resumePanel: (runId: string, options?: ResumePanelOptions | null) => resumedPanelStream(this.#native, this, runId, options),
    };
  }

  /**
   * Asks several experts, and waits until the panel is over. A blind first round is always held; `baseline` is its score. Failed, refused and
   * late ballots are counted in `dropped`. A missed quorum and a limit of the budget are no errors: `status` and `stoppedBy` say so. An aborted
   * `signal` ends the panel, and the Promise is rejected with code `cancelled`.
   *
   * ```js
   * const panel = await runtime.panel('Is a 510(k) needed for our ECG app?', { type: 'delphi', members: ['fda-510k', 'fda-samd'] });
   * panel.score.decision; panel.minority; await panel.report('panel.html');
   * ```
   *
   * Codes: `empty_input`, `too_large`, `duplicate_id`, `unknown_id` for a member that does not exist, `not_found` where no expert fits,
   * `budget_unpriced`, `run_conflict`, those of arguments and of the search.
   */
  async panel(question: string, options?: AskPanelOptions | null): Promise<PanelAnswer> {
    return askPanel(this.#native, this, question, options);
  }

  /**
   * Goes on with a panel whose process has ended: no ballot that was given is asked for again. Codes: `unknown_id`, `invalid_argument` where a
   * model is missing or the run is no panel, `run_conflict` while another goes on with it, those of {@link panel}.
   */
  async resumePanel(runId: string, options?: ResumePanelOptions | null): Promise<PanelAnswer> {
    return resumePanel(this.#native, this, runId, options);
  }

  /** The panels of this tenant as sessions, the newest last. */
  async panels(): Promise<PanelSession[]> {
    return parse(await settle(() => native.panelSessions(this.#native)));
  }

  /** The runs of this tenant, the newest last; those with a `status`. Code: `invalid_argument`. */
  async runs(options?: { status?: RunStatus | null } | null): Promise<RunInfo[]> {
    const { status } = checked(options, ['status']);
    return parse(await settle(() => this.#native.runs(status)));
  }

  /** A run. Code: `unknown_id`. */
  async run(runId: string): Promise<Run> {
    return new Run(this.#native, parse(await settle(() => this.#native.run(runId))), this);
  }

  /** Ends a run, in whatever process it goes on; one that waits too. Code: `unknown_id`. */
  async cancel(runId: string): Promise<void> {
    await settle(() => this.#native.cancel(runId));
  }

  /** Forgets a run that is over: its journal is gone from the disk. Codes: `unknown_id`, `run_conflict` while it goes on. */
  async delete(runId: string): Promise<void> {
    await settle(() => this.#native.delete(runId));
  }

  /** The messages that the first request to the model would have. Nothing is sent, and nothing is kept. Codes: as {@link ask}. */
  async prompt<T = unknown>(question: string, options?: QuestionOptions<T> | null): Promise<Message[]> {
    const { signal, given, helpers, keep } = this.#asked(options);
    const work = () => abortable(signal, true, (cancel) => this.#native.prompt(question, given, helpers, cancel));
    return parse(await this.#busy(work, keep));
  }

  /**
   * Asks a recorded run again with something changed, and shows what differs. Results of tools, passages, the matched expert and decisions
   * come from the journal; anything else is `replay_mismatch`, unless it is `live`. The recorded run stays as it is. Codes: `unknown_id`,
   * `replay_mismatch`, those of {@link ask}.
   */
  async replay(runId: string, options?: ReplayOptions | null): Promise<Replayed> {
    return replayed(this.#native, this, runId, options);
  }

  /** Opens the conversation with this id, or begins one; what it was begun with holds. Code: `invalid_argument`. */
  async conversation(options?: ConversationOptions | null): Promise<Conversation> {
    const { id, ...given } = checked(options);
    return new Conversation(await settle(() => this.#native.conversation(id, given)), this);
  }

  /** What is known about users. */
  get memory(): Memory {
    return new Memory(this.#native, this);
  }

  /** A question as the native half takes it, and what belongs to it. */
  #asked<T>(options: QuestionOptions<T> | null | undefined) {
    const { signal, output, tools, approve, conversation, ...rest } = checked(options);
    const host = this.#helped({ signal, tools, approve });
    const within = conversation instanceof Conversation;
    if (within) host.helpers.within(halfOf(conversations, conversation, 'conversation', 'a conversation of a Runtime'));
    const before = Array.isArray(conversation) ? bounded(conversation as Exclude<Messages, string>, 'conversation').map(neutral) : conversation;
    const given = {
      ...rest,
      ...traced(),
      conversation: within ? undefined : before,
      output: output === undefined || output === null ? undefined : schemaOf(output, 'output'),
    };
    return { ...host, given, output: output as OutputForm<T>, keep: [host.keep, conversation, output] };
  }

  #resumed<T>(options: ResumeOptions<T> | null | undefined) {
    const { output, ...rest } = checked(options, ['signal', 'output', 'tools', 'approve']);
    const helped = this.#helped(rest);
    const { traceParent } = traced();
    if (traceParent !== undefined) helped.helpers.traced(traceParent);
    return { ...helped, output: formIn(output) };
  }

  /** What the host adds: its functions are called for who asks. */
  #helped({ signal, tools, approve }: ResumeOptions) {
    checkSignal(signal);
    const decide = approverIn(approve) ?? this.#approve;
    const own = tools === undefined || tools === null ? this.#tools : toolsIn(tools);
    const host = hosting();
    const helpers = helpersOf(own, decide, host);
    helpers.askedBy(numbered(host));
    return { signal, helpers, keep: [own, decide, host] as unknown };
  }

  /** Runs a call that may call functions of the host. */
  #busy<T>(work: () => Promise<T>, keep: unknown): Promise<T> {
    return holding([this, keep], work);
  }
}

/** What an output is read as. Code: `invalid_argument` for what is no schema. */
function formIn<T>(output: OutputForm<T>): OutputForm<T> {
  if (output !== undefined && output !== null && typeof output !== 'object' && typeof output !== 'function') {
    throw invalid(`output is ${shown(output)}; a schema is expected`);
  }
  return output;
}

function toolsIn(tools: readonly RuntimeTool[] | null | undefined): readonly RuntimeTool[] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) throw invalid(`tools are ${shown(tools)}; an array of tools is expected`);
  return [...bounded(tools as readonly RuntimeTool[], 'tools')];
}

function approverIn(approve: Approve | null | undefined): Approve | null | undefined {
  if (approve !== undefined && approve !== null && typeof approve !== 'function') {
    throw invalid(`approve is ${shown(approve)}; a function is expected`);
  }
  return approve;
}

/** What the host adds to a question, as the native half takes it. */
function helpersOf(tools: readonly RuntimeTool[], approve: Approve | null | undefined, host: Hosting): Native.Helpers {
  const helpers = new native.Helpers();
  helpers.ownTools();
  tools.forEach((tool, i) => helpers.add(nativeTool(tool, `tools[${i}]`, host)));
  if (approve) helpers.approvedBy(deciding(new WeakRef(approve), new WeakRef(host)));
  return helpers;
}

/** What the native half calls to have something decided. It does not hold the function: the runtime and its calls do. */
function deciding(approve: WeakRef<Approve>, hosts: WeakRef<Hosting>): (reply: Native.Reply, pending: string) => void {
  return (reply, pending) => {
    const [decide, host] = [approve.deref(), hosts.deref()];
    if (!decide || !host) return reply.fail('the function approve is gone');
    void answered(host(async () => decide(parse<Pending>(pending))), reply, 'the function approve');
  };
}
