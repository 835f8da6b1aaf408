// Which JSON Schema does a form have, and is a value of that form?

import { reason } from './call.js';
import { InvalidInput, errorOf, invalid } from './errors.js';

/** A JSON Schema. */
export type JsonSchema = { readonly [member: string]: unknown };

/** Anything with the Standard Schema interface, such as schemas of zod and valibot. */
export interface StandardSchema<T = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
    /** Standard JSON Schema. */
    readonly jsonSchema?: { readonly input: (options: { readonly target: string }) => Record<string, unknown> } | undefined;
  };
}

/** What a Standard Schema says about a value. */
export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
      }[];
    };

function standard(given: unknown): StandardSchema['~standard'] | undefined {
  if ((typeof given !== 'object' && typeof given !== 'function') || given === null) return undefined;
  return (given as Partial<StandardSchema>)['~standard'];
}

/** @internal Whether a form checks values itself. */
export function isStandard(form: unknown): form is StandardSchema {
  return standard(form) !== undefined;
}

/** @internal The JSON Schema of what a form takes. Code: `invalid_argument`. */
export function schemaOf(form: JsonSchema | StandardSchema, what: string): unknown {
  const found = standard(form);
  if (found === undefined) return form;
  const own = (form as { toJSONSchema?: (options?: object) => unknown }).toJSONSchema;
  try {
    if (found.jsonSchema) return found.jsonSchema.input({ target: 'draft-2020-12' });
    if (typeof own === 'function') return own.call(form, { io: 'input' });
  } catch (cause) {
    throw invalid(`${what} has no JSON Schema: ${reason(cause)}`, { cause });
  }
  throw invalid(
    `${what} is a schema of ${found.vendor} that gives no JSON Schema of itself; wrap it (valibot: toStandardJsonSchema of @valibot/to-json-schema), or give a JSON Schema`,
  );
}

/** @internal The value as the form makes it. Codes: `code` with the path, `callback` when the form itself fails. */
export async function check(
  form: JsonSchema | StandardSchema,
  value: unknown,
  code: 'output_invalid' | 'tool_arguments' = 'output_invalid',
): Promise<unknown> {
  const found = standard(form);
  if (found === undefined) return value;
  let complaint: string;
  try {
    const result = await found.validate(value);
    // Whether there are issues is what counts, not how many.
    if (result.issues === undefined || result.issues === null) {
      if ('value' in result) return result.value;
      throw new TypeError('it gives neither a value nor issues');
    }
    const [issue] = result.issues;
    const steps = (issue?.path ?? []).map((step) => String(typeof step === 'object' && step !== null ? step.key : step));
    complaint = `at '/${steps.join('/')}': ${issue?.message ?? 'it is refused without a reason'}`;
  } catch (cause) {
    throw new InvalidInput('callback', `the schema failed: ${reason(cause)}`, { cause });
  }
  const what = code === 'output_invalid' ? 'the output does' : 'the arguments do';
  throw errorOf(code, `${what} not fit the schema: ${complaint}`);
}
