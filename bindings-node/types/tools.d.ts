import type { KnowledgeBase } from './kb.js';
import type { Runtime } from './runtime.js';
import { type JsonSchema, type StandardSchema } from './schema.js';
/** What a tool does to the world: `read` only looks; each call of `write` waits for approval. */
export type Effect = 'read' | 'write';
/** What a tool is told about a call. */
export interface ToolContext {
    /** The run that calls. */
    readonly runId: string;
    /** The call; unique within the run. */
    readonly callId: string;
    /** The same for each attempt at this call, and for no other: what makes a repeated call harmless. */
    readonly idempotencyKey: string;
    /** On whose behalf. */
    readonly tenant: string | null;
    /** Aborted when the run is cancelled, or the time of the call is over: nobody waits for its result then. */
    readonly signal: AbortSignal;
}
/** The arguments of a tool, by its schema: what a Standard Schema makes of them. */
export type ToolArguments<S> = S extends StandardSchema<infer T> ? T : Record<string, unknown>;
/** What a tool is made of. */
export interface ToolOptions<S extends JsonSchema | StandardSchema = JsonSchema> {
    /** Letters, digits, `_` and `-`, at most 64. */
    name: string;
    /** What it does and when to use it. */
    description?: string | null;
    /** The form of its arguments, an object's: a JSON Schema, or a schema of zod, valibot and their kin. Default: no arguments. */
    schema?: S | null;
    /** What it does to the world. Default `read`. */
    effect?: Effect | null;
    /** Whether each call waits for approval although it only reads. Default false. */
    approval?: boolean | null;
    /** Seconds that a call may take; it is not waited for any longer. Default 30. */
    timeout?: number | null;
    /** Whether a call may be made again when it is not known how it ended. Default: where it only reads. */
    idempotent?: boolean | null;
    /** The most tokens of a result that the model reads; of a longer one it reads head and tail. Default 2,000. */
    maxResultTokens?: number | null;
    /** Runs one call, and gives what the model is to read: a text, or values of JSON. It may be asynchronous. */
    run(args: ToolArguments<S>, context: ToolContext): unknown;
}
/** What is known of a tool. */
export interface ToolCard {
    /** The name by which a model calls it. */
    name: string;
    /** What it does and when to use it. */
    description: string;
    /** The JSON Schema of its arguments. */
    schema: JsonSchema;
    /** What it does to the world. */
    effect: Effect;
    /** Whether each call waits for approval although it only reads. */
    approval: boolean;
    /** Seconds that a call may take. */
    timeout: number;
    /** Whether a call may be made again; null: where it only reads. */
    idempotent: boolean | null;
    /** The most tokens of a result that the model reads. */
    maxResultTokens: number;
}
/** Something that a model may have done; made by {@link tool}, {@link kbTool} and {@link agentTool}. A model's call takes it too. */
export declare class RuntimeTool {
    /** The name by which a model calls it. */
    readonly name: string;
    /** What it does and when to use it. */
    readonly description: string;
    /** The JSON Schema of its arguments. */
    readonly schema: JsonSchema;
    /** All that is known of it. */
    get card(): ToolCard;
}
/**
 * A function as a tool.
 *
 * ```js
 * const lookup = tool({
 *   name: 'lookup',
 *   description: 'What a code means.',
 *   schema: z.object({ code: z.string(), year: z.number().default(2025) }),
 *   run: ({ code, year }) => table[year][code],
 * });
 * ```
 *
 * What fits the JSON Schema goes through a Standard Schema, so that defaults and transformations hold. What `run` throws is told to the
 * model with code `tool_failed`; an error of quorate with code `tool_arguments` keeps it. Code: `invalid_argument`.
 */
export declare function tool<const S extends JsonSchema | StandardSchema = JsonSchema>(options: ToolOptions<S>): RuntimeTool;
/** A tool `search` that gives the passages of a knowledge base that fit a question, with where they stand. */
export declare function kbTool(kb: KnowledgeBase): RuntimeTool;
/**
 * A tool by which an expert asks another. It spends of the budget of the run that asks, and runs start one another five deep.
 * Codes: `unknown_id`, `invalid_argument` for a runtime without a registry.
 */
export declare function agentTool(runtime: Runtime, id: string): Promise<RuntimeTool>;
