// Which JSON Schema does a form have, and is a value of that form?

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
    throw invalid(`${what} has no JSON Schema: ${String(cause)}`.slice(0, 500), { cause });
  }
  throw invalid(
    `${what} is a schema of ${found.vendor} that gives no JSON Schema of itself; wrap it (valibot: toStandardJsonSchema of @valibot/to-json-schema), or give a JSON Schema`,
  );
}

/** @internal The value as the form makes it. Code: `output_invalid` with the path. */
export async function check(form: JsonSchema | StandardSchema, value: unknown): Promise<unknown> {
  const found = standard(form);
  if (found === undefined) return value;
  let result: StandardResult<unknown>;
  try {
    result = await found.validate(value);
  } catch (cause) {
    throw new InvalidInput('callback', `the schema failed: ${String(cause).slice(0, 300)}`, { cause });
  }
  const issue = result.issues?.[0];
  if (issue === undefined) return (result as { value: unknown }).value;
  const steps = (issue.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step));
  throw errorOf('output_invalid', `the output does not fit the schema: at '/${steps.join('/')}': ${issue.message}`);
}
