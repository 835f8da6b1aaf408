import type { Answer, RunStatus } from './answer.js';
import type { Abortable } from './embed.js';
import type { Model, Usage } from './models.js';
import { type ProgressFunction } from './progress.js';
import type { Budget, Runtime } from './runtime.js';
/** What a right answer must be like. What is missing expects nothing; of what is not, all must hold. One text may stand for a list of one. */
export interface Expectation {
    /** It is one of these texts; spaces and markers of sources (`[1]`) do not count. */
    exact?: string | readonly string[] | null;
    /** Each of these regular expressions (of Rust's crate regex) is found in it; `(?i)` in front: upper and lower case are the same. */
    regex?: string | readonly string[] | null;
    /** Each of these values stands at its path, such as `$.items[0].code`, in the answer's data. */
    jsonPath?: Readonly<Record<string, unknown>> | readonly {
        path: string;
        value: unknown;
    }[] | null;
    /** Each of these documents, by id, is cited. */
    cited?: string | readonly string[] | null;
    /** Each of these stands in it; upper and lower case are the same. */
    contains?: string | readonly string[] | null;
    /** None of these stands in it; upper and lower case are the same. */
    notContains?: string | readonly string[] | null;
    /** The id of the agent that answers, after routing and handing over. */
    agent?: string | null;
    /** How the run ends. */
    status?: Exclude<RunStatus, 'running' | 'interrupted'> | null;
}
/** A question whose answer is looked at. */
export interface Task {
    /** Its name, which no other task of an evaluation has. */
    id: string;
    /** What is asked. */
    question: string;
    /** The id of the agent that is asked. Default: the one that fits best. */
    agent?: string | null;
    /** Whether it plans, acts and checks by itself. Default false. */
    autonomous?: boolean;
    /** What a right answer must be like. */
    expect?: Expectation | null;
    /** A good answer, which judges compare with. */
    reference?: string | null;
    /** What judges go by, in the place of their own rubric. */
    rubric?: string | null;
    /** Words to group it by. */
    tags?: string | readonly string[] | null;
}
/** The scorers that need no model. */
export type ScorerName = 'exact' | 'regex' | 'json_path' | 'cited' | 'contains' | 'agent' | 'status';
/** What a function says about an answer: whether it passes, and why; null or nothing: it cannot say. */
export type Verdict = boolean | null | undefined | void | {
    passed?: boolean | null;
    detail?: string | null;
};
/** Looks at an answer; it may be asynchronous. What it throws leaves the trial undecided, with the reason in its `detail`. */
export type ScorerFunction = (answer: Answer, task: Task, context: {
    readonly signal: AbortSignal;
}) => Verdict | PromiseLike<Verdict>;
/** What looks at answers: by name, a {@link Judge}, or a function, whose name is that of the scorer. */
export type AgentScorer = ScorerName | Judge | ScorerFunction | {
    readonly name: string;
    readonly score: ScorerFunction;
};
/** How a judge is asked. */
export interface JudgeOptions {
    /** What a passing answer is like. A task's own rubric takes its place. */
    rubric?: string | null;
    /** 1: the rubric stands before the answer; 2: before it and after it. A tie fails. Default 2. */
    orders?: 1 | 2 | null;
    /** Verdicts of each order, 1 to 25. Default 3. */
    samples?: number | null;
    /** The name in reports. Default `judge`. */
    name?: string | null;
}
/** A model that judges answers by a rubric. Its requests are part of what an evaluation may spend. */
export declare class Judge {
    /** Who judges. */
    readonly model: Model;
    /** What a passing answer is like. */
    readonly rubric: string;
    /** 1: the rubric stands before the answer; 2: before it and after it. */
    readonly orders: 1 | 2;
    /** Verdicts of each order. */
    readonly samples: number;
    /** The name in reports. */
    readonly name: string;
    /** The rubric may stand among the options too. Code: `invalid_argument`. */
    constructor(model: Model, rubric?: string | JudgeOptions | null, options?: JudgeOptions | null);
}
/** How tasks are asked. */
export interface EvaluateAgentsOptions extends Abortable {
    /** Trials of each task. Default 5. */
    repeat?: number | null;
    /** From which the seeds of the trials follow. Default 0. */
    seed?: number | bigint | null;
    /** What all trials and judges together may spend. `maxSteps` bounds each run. */
    budget?: Budget | null;
    /** What looks at the answers. Default: all that need no model. */
    scorers?: readonly AgentScorer[] | null;
    /** Trials at once, 1 to 256. Default 1, in which the trials take place in one order. */
    threads?: number | null;
    /**
     * Seconds that a function among the scorers may take for one answer, above 0 and at most a day. Default 120. One that takes longer is not waited
     * for: the trial is undecided. A function that never gives control back holds the process up all the same.
     */
    scorerSeconds?: number | null;
    /** Told how many trials of how many are done; true: a line on standard error. What it throws ends the evaluation (code `callback`). */
    progress?: boolean | ProgressFunction | null;
}
/** What one scorer, or all together (`all`), have found. */
export interface AgentMetric {
    /** The scorer's name, or `all`: a trial passes when every scorer that applies lets it pass. */
    scorer: string;
    /** Tasks with a trial that it has decided about. */
    tasks: number;
    /** Trials that it has decided about. */
    trials: number;
    /** Those that pass. */
    passed: number;
    /** The share of trials that pass; null where there are none. */
    passRate: number | null;
    /** Wilson's (1927) 95% interval of that share, as if all trials were independent. */
    interval: [low: number, high: number];
    /** The same at Kish's (1965) effective number of trials, since trials of one task are like one another. */
    intervalByTask: [low: number, high: number];
    /** For k = 1, 2, ...: the probability that k trials of a task all pass (Yao et al. 2024); null where no task has k trials. */
    passHatK: (number | null)[];
    /** The same for one or more of k (Chen et al. 2021). */
    passAtK: (number | null)[];
    /** Trials about which it could not decide. */
    undecided: number;
    /** Of a judge asked in both orders: the probability that verdicts of two orders are the same. */
    agreement: number | null;
}
/** Costs, times and how runs ended. */
export interface AgentTotals {
    /** Trials that were to be made. */
    planned: number;
    /** Trials that count. */
    trials: number;
    /** Trials that the end of the evaluation has cut off. */
    cutOff: number;
    /** US dollars of all runs; null where a price is unknown. */
    cost: number | null;
    /** US dollars of a trial that counts, on average. */
    meanCost: number | null;
    /** US dollars of a task, on average: of all its trials that count together. */
    costPerTask: number | null;
    /** US dollars of all trials that count for each one that passes: those that do not are paid for too. Null where none passes. */
    costPerPass: number | null;
    /** Of that, US dollars of the trials that do not pass. */
    failedCost: number | null;
    /** US dollars of all judges. */
    judgeCost: number | null;
    /** Tokens of all runs. */
    usage: Usage;
    /** Tokens of all judges. */
    judgeUsage: Usage;
    /** Median seconds of a trial. */
    p50Seconds: number | null;
    /** Seconds within which 95% of the trials have answered. */
    p95Seconds: number | null;
    /** How often runs ended how. */
    statuses: Record<string, number>;
    /** How often which error came in the place of an answer, by code. */
    errors: Record<string, number>;
}
/** What a scorer says about an answer. */
export interface AgentScore {
    /** The scorer's name. */
    scorer: string;
    /** Whether it is as expected; null where that could not be found out. */
    passed: boolean | null;
    /** What is missing or wrong; what a judge says. */
    detail: string;
    /** The verdicts of a judge. */
    judged?: {
        votes: {
            order: number;
            sample: number;
            passed: boolean | null;
            reason: string;
        }[];
        agreement: number | null;
        usage: Usage;
        cost: number | null;
    };
}
/** One answer to one task. */
export interface AgentTrial {
    /** The id of the task. */
    task: string;
    /** The number, from 0. */
    trial: number;
    /** The seed of the run. */
    seed: number;
    /** The run, where one began. */
    runId: string | null;
    /** The agent that answered. */
    agent: string | null;
    /** How the run ended. */
    status: RunStatus;
    /** Why it ended before it was done. */
    stoppedBy: string | null;
    /** The answer. */
    text: string;
    /** What each scorer says that applies. */
    scores: AgentScore[];
    /** Whether all of them let it pass; null where one could not say and none says no. */
    passed: boolean | null;
    /** US dollars, without judges. */
    cost: number | null;
    /** Tokens, without judges. */
    usage: Usage;
    /** US dollars of the judges. */
    judgeCost: number | null;
    /** Tokens of the judges. */
    judgeUsage: Usage;
    /** Seconds until the answer was there. */
    seconds: number;
    /** The code of the error that came in the place of an answer. */
    error: string | null;
    /** What the error says. */
    message: string | null;
    /** Whether the end of the evaluation has cut it off: what it has spent counts, how it answered does not. */
    cutOff: boolean;
}
/** One line of a table: what one scorer says about one trial. */
export interface AgentRow {
    task: string;
    trial: number;
    /** Null where none applies or the trial was cut off. */
    scorer: string | null;
    passed: boolean | null;
    detail: string;
    agent: string | null;
    status: RunStatus;
    stoppedBy: string | null;
    error: string | null;
    cost: number | null;
    inputTokens: number;
    outputTokens: number;
    seconds: number;
    cutOff: boolean;
    seed: number;
    runId: string | null;
}
/** Two evaluations of the same tasks, compared. */
export interface AgentComparison {
    /** For `all` and each scorer that both have: Fisher's paired randomisation test on the tasks' shares of passing trials. */
    scorers: {
        scorer: string;
        /** Tasks that it has decided about in both. */
        tasks: number;
        /** The mean share of passing trials in the first. */
        a: number;
        /** The same in the second. */
        b: number;
        /** `a - b`. */
        difference: number;
        /** Two-sided. */
        pValue: number;
        /** Tasks on which the first is better, equal, worse. */
        wins: number;
        ties: number;
        losses: number;
        /** Whether every assignment of signs was looked at rather than sampled. */
        exact: boolean;
    }[];
    /** Tasks whose share of passing trials is another. */
    changed: {
        scorer: string;
        task: string;
        a: number;
        b: number;
    }[];
    /** Tasks that only the first has trials of. */
    onlyA: string[];
    /** Tasks that only the second has trials of. */
    onlyB: string[];
}
/** All of a report as plain values. */
export interface AgentReportData {
    /** Of this evaluation alone: the parents of its runs begin with it. */
    id: string;
    /** From which the seeds of the trials follow. */
    seed: number | bigint;
    /** Trials of each task that were to be made. */
    repeat: number;
    /** The ids of the tasks, in their order. */
    tasks: string[];
    /** For `all` and each scorer that has looked at anything. */
    metrics: AgentMetric[];
    /** Costs, times and how the runs ended. */
    totals: AgentTotals;
    /** The trials, by task and number. */
    trials: AgentTrial[];
    /** Tasks that give no scorer anything to look for. */
    unscored: string[];
    /** Why not every trial was made: `cancelled`, or the limit of the budget that was reached. */
    stoppedBy: string | null;
}
/** What an evaluation found; made by {@link evaluateAgents}, and by {@link AgentReport.fromJSON}. */
export declare class AgentReport implements AgentReportData {
    readonly id: string;
    readonly seed: number | bigint;
    readonly repeat: number;
    readonly tasks: string[];
    readonly metrics: AgentMetric[];
    readonly totals: AgentTotals;
    readonly trials: AgentTrial[];
    readonly unscored: string[];
    readonly stoppedBy: string | null;
    /** The metric of a scorer, or of all together (`all`). */
    metric(scorer: string): AgentMetric | undefined;
    /** Some lines: how many trials pass by each scorer, what they cost and those that do not pass, times, and how runs ended. */
    summary(): string;
    /** A row for each trial and scorer, for `console.table` and data frames. */
    rows(): AgentRow[];
    /**
     * What differs, task by task: by scorer the difference of the mean pass rates with the p-value of a paired permutation test, which draws
     * from `seed` where many tasks differ. Codes: `empty_input` where no task is in both, `invalid_argument`, `cancelled`.
     */
    compare(other: AgentReport, options?: ({
        seed?: number | bigint | null;
    } & Abortable) | null): Promise<AgentComparison>;
    /** Writes a page that needs nothing from elsewhere. Codes: `io`, `not_found`, `permission_denied`, `disk_full`. */
    report(path: string | URL): Promise<void>;
    /** That page. */
    html(): Promise<string>;
    /** All of it as plain values, for `JSON.stringify`; {@link fromJSON} reads them again. A seed beyond 2^53 is its digits there. */
    toJSON(): AgentReportData;
    /** A report that was written before. Code: `invalid_argument`. */
    static fromJSON(found: AgentReportData): AgentReport;
}
/**
 * Asks each task several times, and says how well the answers are. Each trial is a run of the runtime's store. `tasks`: a list of tasks, the
 * path of a YAML or JSON file of them, or both mixed; {@link goldenTasks} has those that ship. A limit of the budget is no error: `stoppedBy` says which.
 * An aborted `signal` ends the evaluation: the Promise is rejected with code `cancelled`, and the error's `report` has what was done by then.
 *
 * ```js
 * const report = await evaluateAgents(runtime, [{ id: 'dose', question: 'Which dose?', expect: { exact: ['5 mg'] } }], { repeat: 5 });
 * report.metric('all').passRate;
 * ```
 *
 * Codes: `empty_input`, `duplicate_id`, `invalid_argument`, `not_finite`, `unknown_id` for an agent, `budget_unpriced`, `callback` when
 * `progress` fails, `cancelled`, those of reading files (`not_found`, `load_failed`, `format_version`, `too_large`).
 */
export declare function evaluateAgents(runtime: Runtime, tasks: string | URL | readonly (Task | string | URL)[], options?: EvaluateAgentsOptions | null): Promise<AgentReport>;
/**
 * The tasks of a file, YAML or JSON. Every problem is named with its line. Codes: `not_found`, `load_failed`, `invalid_argument`,
 * `duplicate_id`, `empty_input`, `format_version`, `too_large`.
 */
export declare function loadTasks(path: string | URL): Promise<Task[]>;
/** The tasks that ship, by the id of their agent: the flagships of the healthcare catalogue, and four of customer service. */
export declare function goldenTasks(): Record<string, Task[]>;
/** What is other than in a recorded run. */
export interface RunChange {
    /** Who answers. Default: the runtime's model. */
    model?: Model | null;
    /** The instructions of the expert that answers, in the place of its own. */
    instructions?: string | null;
    /** Default: the recorded one. */
    seed?: number | bigint | null;
    /** What the new run may spend. Default: as the recorded one. */
    budget?: Budget | null;
}
/** How a recorded run is asked again. */
export interface ReplayOptions extends Abortable {
    /** What is other than in the recorded run. */
    change?: RunChange | null;
    /** Whether what is not in the journal is looked up and called now. Default false. */
    live?: boolean | null;
}
/** One thing that happened in a run. */
export interface Happened {
    /** `agent`, `match`, `context`, `model`, `tool`, `check`, `error`, `budget`, `cancelled` or `end`. */
    kind: string;
    /** Whom or what it is about. */
    about: string;
    /** What was said or found. */
    text: string;
}
/** A recorded run that was asked again with something changed. */
export interface Replayed {
    /** The recorded run. */
    original: string;
    /** Its answer. */
    before: Answer;
    /** The new answer, of a run of its own. */
    answer: Answer;
    /** What differs, step by step. */
    differences: {
        step: number;
        before: Happened | null;
        after: Happened | null;
    }[];
    /** How many steps are the same. */
    same: number;
    /** What was not in the journal and was done now. */
    live: string[];
    /** The differences as text. */
    differenceText: string;
}
