import type { AgentRegistry } from '../agents.js';
import type { Abortable } from '../embed.js';
import type { Runtime } from '../runtime.js';
import { type JsonSchema, type StandardSchema } from '../schema.js';
import { StateStore } from '../store.js';
import { type Clock, type ToolFunction, type WorkflowTool, type WorkflowToolOptions } from './hands.js';
import { type Draft, type GenerateOptions, type JobStory, type JobStoryInput } from './jobs.js';
import { Schedule, type ScheduleOptions } from './schedule.js';
import { Review, WorkflowRun, type WorkflowStatus } from './run.js';
/** What an engine is made of, beside its store. */
export interface EngineOptions {
    /** The experts that answer. Default: none; only tools, people and signals. */
    runtime?: Runtime | null;
    /** What steps may have done. */
    tools?: readonly WorkflowTool[] | null;
    /** What time it is. Default: the computer's clock. */
    clock?: Clock | null;
    /** Where experts are looked for by what a step requires. Default: where the runtime's are. */
    registry?: AgentRegistry | null;
    /** On whose behalf. Default: that of the store. */
    tenant?: string | null;
    /** How many runs go on here at once; 0: none, and somebody else works on them. Default 8. */
    concurrency?: number | null;
    /** The queues whose runs go on here. Default: all. */
    queues?: readonly string[] | null;
}
/** One thing that is wrong with a file. */
export interface Problem {
    /** The file, as it was found. */
    path: string;
    /** The line, counted from 1; 0 where that is not known. */
    line: number;
    /** The place in the file: `steps.submit.retry`. Empty for the file itself. */
    at: string;
    /** What kind of problem: a stable word, such as `cycle`, `unknown_step`, `expression_type`, `bad_duration`. */
    code: string;
    /** What was given, what was expected, what to do. */
    message: string;
}
/** A workflow as lists show it. */
export interface WorkflowDefinition {
    id: string;
    version: string;
    /** What people read. */
    title: string;
    /** The field that it belongs to. */
    domain: string | null;
    /** The hash (blake3) of its form with everything in it that it refers to. */
    hash: string;
}
/** A workflow that ships: every engine knows it, and it runs offline as it is. */
export interface Template {
    id: string;
    /** What people read. */
    title: string;
    /** What it is for. */
    description: string;
    /** `healthcare` or `customer_service`. */
    domain: string;
    version: string;
    /** Its file, as it is written. */
    yaml: string;
    /** A diagram of its steps, in the language of mermaid.js. */
    mermaid: string;
}
/** How files are read. */
export interface LoadOptions {
    /** What lies above the workflows: files with `kind: Overlay`, such as `env/prod`. */
    overlays?: readonly string[] | null;
}
/** How a run is started. */
export interface StartOptions {
    /** Its id. Default: one is made. */
    id?: string | null;
    /** The version of the workflow. Default: the newest. */
    version?: string | null;
    /** Higher goes first. Default: as the workflow says, and else 0. */
    priority?: number | null;
    /** Of those who start a run with the same word, one does; the others are given that run. */
    dedup?: string | null;
    /** When it has to be over, in seconds since 1970, or as a Date. */
    deadline?: number | Date | null;
    /** Who starts it. */
    starter?: string | null;
    /** Whether stand-ins take the place of the world, and the workflow's example that of an input that is not given. Default false. */
    offline?: boolean | null;
    /** What stands in, by step, in the place of what the workflow states; of a list, the first time the first, and so on. */
    standIns?: Readonly<Record<string, unknown>> | null;
}
/** Which reviews are listed. */
export interface ReviewsOptions {
    /** Those of a role. */
    role?: string | null;
    /** Those of a run. */
    run?: WorkflowRun | string | null;
}
/** How a kind of step is done. */
export interface StepTypeOptions extends WorkflowToolOptions {
    /** The JSON Schema of what stands under the kind's name. */
    schema?: JsonSchema | StandardSchema | null;
}
/** What is worked on. */
export interface WorkOptions {
    /** The queues. Default: all. */
    queues?: readonly string[] | null;
    /** How many runs at once. Default 8. */
    concurrency?: number | null;
}
/** How long an engine is waited for. */
export interface CloseOptions extends Abortable {
    /** Seconds at most; calls that have not ended by then are made again elsewhere. Default: as long as it takes. */
    timeout?: number | null;
}
/**
 * Workflows that run. It works in the background until it is closed. `new Engine(...)` returns at once and opens on another thread;
 * `await Engine.open(...)` waits and fails there. It does not keep the process alive: who awaits a run does.
 *
 * ```js
 * const engine = new workflows.Engine('runs/', { runtime, tools: [new workflows.Tool('openfda', search)] });
 * const run = await engine.start('regulatory.fda_510k_submission', undefined, { offline: true });
 * await run.wait(); // 'completed'
 * ```
 */
export declare class Engine {
    #private;
    /** Where runs are kept. */
    readonly store: StateStore;
    /** `store`: a store, a folder, or none: memory. Codes: `invalid_argument`, `tenant_violation`, those of the store. */
    constructor(store?: StateStore | string | URL | null, options?: EngineOptions | null);
    /** Opens an engine and waits until it is open. Codes: those of the constructor. */
    static open(store?: StateStore | string | URL | null, options?: EngineOptions | null): Promise<Engine>;
    /**
     * Adds the workflows of a folder, or one file, YAML or JSON; gives the engine. What is wrong with some of the files does not keep the
     * others out: {@link validate} says it. Runs that go on keep the definition that they began with. Codes: `not_found`, `permission_denied`, `io`.
     */
    load(path: string | URL, options?: LoadOptions | null): Promise<this>;
    /** Adds one workflow, given as YAML or JSON, or as an object. Code: `invalid_document` with every problem. */
    add(workflow: string | Readonly<Record<string, unknown>>): Promise<WorkflowDefinition>;
    /** Everything that is wrong with what was loaded, also by the tools, experts and kinds of steps that the engine has. */
    validate(): Promise<Problem[]>;
    /** The form of a workflow with everything in it that it refers to; without an id, those of all newest versions by id. Code: `unknown_id`. */
    rendered(id?: string | null, options?: {
        version?: string | null;
    } | null): Promise<Record<string, any>>;
    /** The newest version of each workflow, by id. */
    list(): Promise<WorkflowDefinition[]>;
    /** The versions of a workflow, the newest last. */
    versions(id: string): Promise<string[]>;
    /** A diagram of a workflow's steps, in the language of mermaid.js. Code: `unknown_id`. */
    mermaid(id: string, options?: {
        version?: string | null;
    } | null): Promise<string>;
    /**
     * Starts a run. It is in the store when this resolves, and goes on here or wherever somebody works on its queue.
     *
     * Codes: `unknown_id`; `invalid_document` for an input that does not fit the workflow's schema, with every place; `duplicate_id`;
     * `run_conflict` where the word of `dedup` was used for another workflow or input.
     */
    start(workflow: string, input?: unknown, options?: StartOptions | null): Promise<WorkflowRun>;
    /**
     * Makes the draft of a workflow for a story: takes the template that does the job, fills in what the story gives, and lists what it does not.
     * It never starts anything, and the engine does not know it until it is added. Codes: `no_template` where none is sure enough, with the
     * nearest; `unknown_id` for a type that is neither template nor domain; `invalid_document` with every problem; `invalid_argument`, `too_large`.
     */
    generate(story: JobStory | JobStoryInput, options?: GenerateOptions | null): Promise<Draft>;
    /** A run. Code: `unknown_id`, also for one that is no workflow's. */
    run(id: string): Promise<WorkflowRun>;
    /** The runs, the oldest first; those with a `status`. Code: `invalid_argument`. */
    runs(options?: {
        status?: WorkflowStatus | null;
    } | null): Promise<WorkflowRun[]>;
    /**
     * Has a workflow started whenever `cron` (minute, hour, day of month, month, day of week) comes due by the clocks of a time zone, by whoever
     * works on the store then, each time once. The schedule of a name is the one that was given last; the same again changes nothing, so that
     * every process may say so as it begins.
     *
     * Where clocks are put forward, a time that they leave out comes as soon as they show a later one; where they are put back, the first of
     * two counts. Patterns whose minute or hour begins with `*` follow the clocks. Codes: `invalid_argument`, beginning with what is wrong
     * (`name`, `cron`, `timezone`, `missed`); `unknown_id` for the workflow; `invalid_document` for an input that does not fit; `closed`.
     */
    schedule(name: string, cron: string, workflow: string, input?: unknown, options?: ScheduleOptions | null): Promise<Schedule>;
    /** The schedules, by name. */
    schedules(): Promise<Schedule[]>;
    /** A schedule, by its name. Code: `unknown_id`. */
    scheduled(name: string): Promise<Schedule>;
    /** The reviews that are open, the oldest run first. Code: `unknown_id` for the run. */
    reviews(options?: ReviewsOptions | null): Promise<Review[]>;
    /** A review that is open. Code: `unknown_id`. */
    review(id: string): Promise<Review>;
    /**
     * Adds a kind of step: `handler(args, context)` is given what stands under the kind's name, with its templates filled in. Code:
     * `invalid_argument` for a name that is taken, or a schema that cannot be used.
     */
    stepType(kind: string, handler: ToolFunction, options?: StepTypeOptions | null): Promise<void>;
    /** Goes on, in the background, with runs of these queues, beside what the engine does already. Codes: `closed`, `invalid_argument`. */
    work(options?: WorkOptions | null): Promise<void>;
    /** Begins nothing more here: what is being done is finished and written down, and the runs are left to others. Gives whether all is done. */
    drain(options?: CloseOptions | null): Promise<boolean>;
    /** Drains the engine, and ends it. What it has started goes on where others work on the store. Gives whether all was done. */
    close(options?: CloseOptions | null): Promise<boolean>;
    [Symbol.asyncDispose](): Promise<void>;
    /** What went wrong in going on with runs here: such a run stays as it is, and is tried again. */
    faults(): Promise<{
        runId: string;
        message: string;
    }[]>;
}
/** The seven healthcare and nine customer-service workflows that ship; every engine knows them. */
export declare function templates(): Template[];
/** The JSON Schema (draft 2020-12) of a workflow file. */
export declare function workflowSchema(): JsonSchema;
