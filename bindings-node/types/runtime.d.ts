import { AgentRegistry } from './agents.js';
import { type Answer, type Pending, type RunEvent, type RunInfo, type RunStatus, RunStream } from './answer.js';
import { Conversation, type ConversationOptions, Memory } from './conversation.js';
import type { Abortable } from './embed.js';
import { type ReplayOptions, type Replayed } from './evaluate.js';
import type { KnowledgeBase, Where } from './kb.js';
import type { Message, Model, Reply } from './models.js';
import { type PanelAnswer, type AskPanelOptions, type PanelSession, type PanelStream, type ResumePanelOptions } from './panel.js';
import { type JsonSchema, type StandardSchema } from './schema.js';
import { StateStore } from './store.js';
import { type RuntimeTool } from './tools.js';
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
export type Decision = 'approve' | 'deny' | boolean | {
    arguments: Record<string, unknown>;
};
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
export declare class Run {
    #private;
    /** What lists show of it. */
    readonly info: RunInfo;
    /** Its id. */
    get runId(): string;
    /** How it stood when it was looked up. */
    get status(): RunStatus;
    /** What it showed, without the pieces of texts. */
    events(): Promise<RunEvent[]>;
    /**
     * Its answer, as far as there is one; `output`: the form that its output is read as. Of a panel it is what {@link panel} gives. Codes: the
     * one by which the run failed.
     */
    answer<T = unknown>(options?: {
        output?: JsonSchema | StandardSchema<T> | null;
    } | null): Promise<Answer<T>>;
    /** What a panel came to, as far as it has come. Codes: the one by which it failed; `invalid_argument` for a run that is no panel. */
    panel(): Promise<PanelAnswer>;
}
/**
 * Experts that answer. One runtime may be used for any number of questions at a time. `new Runtime(...)` returns at once; where a folder,
 * a registry or a tenant has to be opened first, that happens on another thread, and `await Runtime.open(...)` waits for it and fails there.
 *
 * ```js
 * const runtime = new Runtime({ registry, kb, model, tools: [lookup], store: 'state/' });
 * const answer = await runtime.ask('Is a 510(k) needed for our ECG app?', { budget: { maxCost: 0.5 } });
 * ```
 */
export declare class Runtime {
    #private;
    /** Codes: `invalid_argument`, and those of the store, the registry and the knowledge base. */
    constructor(options?: RuntimeOptions | null);
    /** Opens a runtime and waits until it is open. Codes: those of the constructor. */
    static open(options?: RuntimeOptions | null): Promise<Runtime>;
    /**
     * Asks an expert, and waits until the run is over or waits for somebody. A limit of the budget is no error: `status` is `partial`, and
     * `stoppedBy` says which. An aborted `signal` ends the run, and the Promise is rejected with code `cancelled`.
     *
     * Codes: `empty_input`, `too_large`, `unknown_id`, `budget_unpriced`, `run_conflict`, `output_invalid`, `unsupported`, `callback`, those of
     * arguments, of the model and of the search.
     */
    ask<T = unknown>(question: string, options?: QuestionOptions<T> | null): Promise<Answer<T>>;
    /**
     * Goes on with a run that waits, or whose process has ended. `decisions`: by the id of the call that waits, or `plan`. A panel goes on too,
     * as {@link resumePanel} goes on with it, which also takes the models of its members, and gives its PanelAnswer. Codes: `unknown_id`, `tool_arguments`, `run_conflict` while another goes on with it, those of {@link ask}.
     */
    resume<T = unknown>(runId: string, decisions?: Readonly<Record<string, Decision>> | null, options?: ResumeOptions<T> | null): Promise<Answer<T>>;
    /** The same calls with what happens as it happens: `for await (const event of runtime.stream.ask('...'))`. */
    get stream(): RuntimeStreams;
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
    panel(question: string, options?: AskPanelOptions | null): Promise<PanelAnswer>;
    /**
     * Goes on with a panel whose process has ended: no ballot that was given is asked for again. Codes: `unknown_id`, `invalid_argument` where a
     * model is missing or the run is no panel, `run_conflict` while another goes on with it, those of {@link panel}.
     */
    resumePanel(runId: string, options?: ResumePanelOptions | null): Promise<PanelAnswer>;
    /** The panels of this tenant as sessions, the newest last. */
    panels(): Promise<PanelSession[]>;
    /** The runs of this tenant, the newest last; those with a `status`. Code: `invalid_argument`. */
    runs(options?: {
        status?: RunStatus | null;
    } | null): Promise<RunInfo[]>;
    /** A run. Code: `unknown_id`. */
    run(runId: string): Promise<Run>;
    /** Ends a run, in whatever process it goes on; one that waits too. Code: `unknown_id`. */
    cancel(runId: string): Promise<void>;
    /** Forgets a run that is over: its journal is gone from the disk. Codes: `unknown_id`, `run_conflict` while it goes on. */
    delete(runId: string): Promise<void>;
    /** The messages that the first request to the model would have. Nothing is sent, and nothing is kept. Codes: as {@link ask}. */
    prompt<T = unknown>(question: string, options?: QuestionOptions<T> | null): Promise<Message[]>;
    /**
     * Asks a recorded run again with something changed, and shows what differs. Results of tools, passages, the matched expert and decisions
     * come from the journal; anything else is `replay_mismatch`, unless it is `live`. The recorded run stays as it is. Codes: `unknown_id`,
     * `replay_mismatch`, those of {@link ask}.
     */
    replay(runId: string, options?: ReplayOptions | null): Promise<Replayed>;
    /** Opens the conversation with this id, or begins one; what it was begun with holds. Code: `invalid_argument`. */
    conversation(options?: ConversationOptions | null): Promise<Conversation>;
    /** What is known about users. */
    get memory(): Memory;
}
