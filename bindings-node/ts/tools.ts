// What may a model have done?

import type * as Native from '../native.js';
import { type Hosting, askerOf, bounded, hosting, jsonOf, now, options as checked, parse, reason, settle, shown } from './call.js';
import { Cancelled, codeOf, invalid } from './errors.js';
import { bases, halfOf, kept } from './handles.js';
import type { KnowledgeBase } from './kb.js';
import { native } from './native.js';
import type { Runtime } from './runtime.js';
import { type JsonSchema, type StandardSchema, check, isStandard, schemaOf } from './schema.js';
import { within } from './tracing.js';

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

/** What the native half calls, and what must stay there for it. */
interface Definition {
  host: Hosting;
  run: ToolOptions['run'];
  schema: JsonSchema | StandardSchema | null | undefined;
}

const halves = new WeakMap<object, Native.NativeTool>();

/** What tools are that are functions. */
const definitions = new WeakMap<object, Definition>();

/** @internal */
export const MADE = Symbol('made');

/** Something that a model may have done; made by {@link tool}, {@link kbTool} and {@link agentTool}. A model's call takes it too. */
export class RuntimeTool {
  /** The name by which a model calls it. */
  readonly name: string;
  /** What it does and when to use it. */
  readonly description: string;
  /** The JSON Schema of its arguments. */
  readonly schema: JsonSchema;

  /** @internal */
  constructor(made: typeof MADE, half: Native.NativeTool, keep: unknown) {
    if (made !== MADE) throw invalid('a tool is made by tool, kbTool or agentTool');
    halves.set(this, half);
    kept.set(this, keep);
    const { name, description, schema } = this.card;
    this.name = name;
    this.description = description;
    this.schema = schema;
  }

  /** All that is known of it. */
  get card(): ToolCard {
    return parse(halfOf(halves, this, 'this', 'a tool').card);
  }
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
export function tool<const S extends JsonSchema | StandardSchema = JsonSchema>(options: ToolOptions<S>): RuntimeTool {
  const { run, schema, ...given } = checked(options);
  if (typeof run !== 'function') throw invalid(`run is ${shown(run)}; a function is expected`);
  const definition: Definition = { host: hosting(), run: run as Definition['run'], schema };
  const card = { ...given, schema: schema === undefined || schema === null ? undefined : schemaOf(schema, 'schema') };
  const [call, stop] = calling(new WeakRef(definition));
  const made = new RuntimeTool(MADE, now(() => native.functionTool(card, call, stop)), definition);
  definitions.set(made, definition);
  return made;
}

/**
 * What the native half calls to have a call made, and to say that nobody waits for it any more. It does not hold the function, nor
 * `asker`, for whom it is called; by default for who made the tool.
 */
function calling(of: WeakRef<Definition>, asker?: WeakRef<Hosting>) {
  const under = new Map<number, AbortController>();
  const call = (reply: Native.Reply, number: number, given: string, about: string): void => {
    const definition = of.deref();
    if (!definition) return reply.fail('the tool is gone');
    const abort = new AbortController();
    under.set(number, abort);
    const { span, asker: by, ...told } = parse<Omit<ToolContext, 'signal'> & { span: number | null; asker: number | null }>(about);
    const work = async () => {
      const { run, schema } = definition;
      const read = parse<Record<string, unknown>>(given);
      const args = isStandard(schema) ? await check(schema, read, 'tool_arguments') : read;
      return written(await run(args as Record<string, unknown>, { ...told, signal: abort.signal }));
    };
    // A tool of another runtime, whose expert is asked, is called for who asks all the same.
    const host = askerOf(by) ?? asker?.deref() ?? definition.host;
    const made = host(() => within(span, work));
    answered(made, reply, 'the tool').finally(() => under.delete(number));
  };
  const stop = (number: number): void => {
    const abort = under.get(number);
    under.delete(number);
    abort?.abort(new Cancelled('cancelled', 'the run was cancelled, or the time of the call is over'));
  };
  return [call, stop] as const;
}

/** How deep a result may be nested, as in the native half. */
const DEEPEST = 64;

/** @internal A result as the native half takes it. */
export const writtenResult = (value: unknown): unknown => written(value);

/** @internal The function of a tool that is one, with what its schema makes of the arguments. */
export function definitionOf(tool: RuntimeTool): ((args: Record<string, unknown>, context: ToolContext) => Promise<unknown>) | undefined {
  const definition = definitions.get(tool);
  if (!definition) return undefined;
  const { run, schema } = definition;
  return async (args, context) => run((isStandard(schema) ? await check(schema, args, 'tool_arguments') : args) as Record<string, unknown>, context);
}

/** A result with what objects say of themselves for JSON, as `JSON.stringify` asks them: hits, decimals, documents of other libraries. */
function written(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (depth > DEEPEST) throw invalid(`what the tool gave is nested deeper than ${DEEPEST} levels, or cyclic`);
  const json = jsonOf(value);
  if (json) return written(json(''), depth + 1);
  if (value instanceof String || value instanceof Number || value instanceof Boolean) return value.valueOf();
  if (ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return Array.from(bounded(value, 'what the tool gave'), (item) => written(item, depth + 1));
  const members = Object.entries(value);
  // Of what has no members the native half says what it is.
  return members.length === 0 ? value : Object.fromEntries(members.map(([name, member]) => [name, written(member, depth + 1)]));
}

/** @internal Gives the native half what a function of the host has made, or why it failed. */
export function answered(made: Promise<unknown>, reply: Native.Reply, what: string): Promise<void> {
  return made.then(
    (result) => reply.answer({ result }),
    (error: unknown) => {
      const known = codeOf(error);
      if (known) reply.answer({ error: known });
      else reply.fail(`${what} failed: ${reason(error)}`);
    },
  );
}

/** @internal The native half of a tool; `asker`: for whom its function is called. */
export function nativeTool(of: unknown, what: string, asker?: Hosting): Native.NativeTool {
  const half = halfOf(halves, of, what, 'a tool; tool({ name, run }) makes one');
  const definition = asker && definitions.get(of as object);
  return definition ? half.bound(...calling(new WeakRef(definition), new WeakRef(asker))) : half;
}

/** A tool `search` that gives the passages of a knowledge base that fit a question, with where they stand. */
export function kbTool(kb: KnowledgeBase): RuntimeTool {
  const base = halfOf(bases, kb, 'kb', 'a KnowledgeBase');
  return new RuntimeTool(MADE, now(() => native.searchTool(base)), kb);
}

/** @internal Runtimes by the objects that users hold. */
export const runtimes = new WeakMap<object, Native.Runtime>();

/**
 * A tool by which an expert asks another. It spends of the budget of the run that asks, and runs start one another five deep.
 * Codes: `unknown_id`, `invalid_argument` for a runtime without a registry.
 */
export async function agentTool(runtime: Runtime, id: string): Promise<RuntimeTool> {
  const half = halfOf(runtimes, runtime, 'runtime', 'a Runtime');
  return new RuntimeTool(MADE, await settle(() => native.expertTool(half, id)), runtime);
}
