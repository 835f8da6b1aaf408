import { QuorateError } from './errors.js';
import type { Usage } from './models.js';
import { EventStream } from './streams.js';
/** How a run stands. `interrupted`: its process ended, and `resume` goes on with it. */
export type RunStatus = 'running' | 'waiting' | 'done' | 'partial' | 'cancelled' | 'refused' | 'abstained' | 'no_consensus' | 'failed' | 'interrupted';
/** Whether the agent was given, and whether it planned by itself. */
export type RunMode = 'manual' | 'automatic' | 'autonomous_manual' | 'autonomous_automatic';
/** Where a statement of an answer comes from. */
export interface AnswerCitation {
    /** What stands in the answer: `[1]`, `[2]` and so on. */
    marker: string;
    /** The id of the document. */
    docId: string;
    /** The id of the chunk. */
    chunkId: string;
    /** The title of the document; empty when there is none. */
    title: string;
    /** The words that are cited: `(await kb.get(docId)).text.slice(start, end)`. */
    text: string;
    /** Where they start in the document's text, in UTF-16 units. */
    start: number;
    /** Where they end, in UTF-16 units. */
    end: number;
}
/** What was found about a statement of an answer. */
export interface Check {
    /** The statement. */
    claim: string;
    /** Whether the sources bear it out. */
    verdict: 'supported' | 'unsupported' | 'contradicted' | 'not_a_claim';
    /** The words of the sources that come nearest to it. */
    evidence: AnswerCitation | null;
    /** How near they come, 0 to 1. */
    score: number;
}
/** One thing that a run did. */
export interface Step {
    /** What. */
    kind: 'match' | 'context' | 'plan' | 'model' | 'tool' | 'check';
    /** The model, or the tool; the agent of a match. */
    name: string;
    /** What was done, in a line. */
    detail: string;
    /** Seconds that it took; 0 where that was not measured. */
    seconds: number;
    /** The code of its failure, where it failed. */
    error?: string;
}
/** An expert that fits a question. */
export interface Candidate {
    /** The agent's id. */
    id: string;
    /** Its name. */
    name: string;
    /** What the ranking goes by. */
    score: number;
    /** Probability, 0 to 1, that it is the right one. */
    confidence: number;
}
/** What an autonomous run set out to do, and found. */
export interface Plan {
    /** The steps, in order; the finding is null before a step is done. */
    steps: {
        task: string;
        finding: string | null;
    }[];
}
/** A call that waits for a decision, or a plan. */
export interface Pending {
    /** The call's id; `plan` for the plan. */
    id: string;
    /** The tool. */
    name: string;
    /** With what it is to be called; of a plan its `steps`. */
    arguments: Record<string, unknown>;
    /** What the tool does. */
    effect: 'read' | 'write';
}
/** An expert's answer. */
export interface Answer<T = unknown> {
    /** The run that it comes from. */
    runId: string;
    /** Whether the agent was given, and whether it planned by itself. */
    mode: RunMode;
    /** How the run ended, or that it waits. */
    status: Exclude<RunStatus, 'interrupted'>;
    /**
     * Why it ended before it was done: a limit of the budget (`max_cost`, `max_tokens`, `max_seconds`, `max_steps`, `max_tool_calls`),
     * `repeated_call`, `length`, `model_refused`, `plan_denied`, `nobody_fits`, `not_in_sources`, `cancelled`; else null.
     */
    stoppedBy: string | null;
    /** The answer. */
    text: string;
    /** The answer as data, where a form was asked for; else null. */
    output: T | null;
    /** The sources that the text names. */
    citations: AnswerCitation[];
    /** The id of the agent that answered. */
    agent: string | null;
    /** How well that agent fits, where experts were matched. */
    match: Candidate | null;
    /** Probability that the right expert answered; of the extractive one, that the sources answer. */
    confidence: number | null;
    /** The share of the statements that the sources bear out; null where nothing was looked up. */
    grounded: number | null;
    /** What was found about each statement. */
    checks: Check[];
    /** What an autonomous run set out to do, and found. */
    plan: Plan | null;
    /** What waits for a decision. */
    pending: Pending[];
    /** What was done, in order. */
    steps: Step[];
    /** Tokens. */
    usage: Usage;
    /** US dollars; null where a price is unknown. */
    cost: number | null;
}
/** A run as lists show it. */
export interface RunInfo {
    /** Its id. */
    runId: string;
    /** What kind of run: `ask` or `panel`. */
    kind: string;
    /** The beginning of the question. */
    title: string;
    /** How it stands. */
    status: RunStatus;
    /** The run that started it. */
    parent: string | null;
    /** When it was begun, in seconds since 1970. */
    created: number;
    /** When something was last written, in seconds since 1970. */
    updated: number;
    /** Entries of its journal. */
    entries: number;
}
/** What every event of a run has. */
export interface RunEventBase {
    /** The run. */
    runId: string;
    /** Its place among the events of the run, from 1. */
    seq: number;
    /** When, in seconds since 1970. */
    time: number;
    /** The agent that it is about. */
    agent: string | null;
    /** The round of a panel. */
    round: number | null;
}
/** One event of a run. Exactly one of `end`, `error`, `waiting` and `cancelled` comes, and comes last. */
export type RunEvent<T = unknown> = RunEventBase & ({
    type: 'run_start';
    mode: RunMode;
    question: string;
    resumed?: boolean;
} | {
    type: 'match';
    candidates: Candidate[];
    nobody: boolean;
} | {
    type: 'route';
    to: string | null;
    handed: {
        from: string;
        to: string;
        topic: string;
    } | null;
}
/** `sources`: their markers, documents and places. */
 | {
    type: 'context';
    question: string;
    sources: {
        marker: string;
        docId: string;
        chunkId: string;
        title: string;
    }[];
} | {
    type: 'plan';
    plan: Plan;
} | {
    type: 'step_start';
    step: number;
    model: string;
} | {
    type: 'text' | 'reasoning';
    delta: string;
}
/** For display only; `tool_call` has the arguments whole. */
 | {
    type: 'tool_input';
    index: number;
    id: string;
    name: string;
    delta: string;
} | {
    type: 'tool_call';
    id: string;
    name: string;
    arguments: Record<string, unknown>;
} | {
    type: 'approval';
    id: string;
    decision: 'approve' | 'deny' | 'arguments';
    arguments: Record<string, unknown> | null;
}
/** `error`: the code of its failure. */
 | {
    type: 'tool_result';
    id: string;
    content: string;
    error: string | null;
} | {
    type: 'retry';
    attempt: number;
    code: string;
    message: string;
    wait: number;
} | {
    type: 'warning';
    message: string;
    code?: string;
    limit?: string;
    id?: string | null;
} | {
    type: 'check';
    checks: Check[];
} | {
    type: 'usage';
    usage: Usage;
    cost: number | null;
    model: string;
} | {
    type: 'step_end';
    step: number;
    text: string;
} | {
    type: 'end';
    result: Answer<T>;
}
/** `result`: what there is of it. */
 | {
    type: 'error';
    error: QuorateError;
    result: Answer<T> | null;
} | {
    type: 'waiting';
    pending: Pending[];
} | {
    type: 'cancelled';
    result: Answer<T> | null;
});
/** The events of a run, as they come: `for await (const event of stream)`. Leaving it before its end cancels the run. */
export declare class RunStream<T = unknown> extends EventStream<RunEvent<T>> {
    #private;
    /** Reads what is left, and gives the answer, also of a run that waits or was cancelled. Codes: those of `Runtime.ask`. */
    result(): Promise<Answer<T>>;
}
