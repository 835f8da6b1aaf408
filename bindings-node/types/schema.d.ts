/** A JSON Schema. */
export type JsonSchema = {
    readonly [member: string]: unknown;
};
/** Anything with the Standard Schema interface, such as schemas of zod and valibot. */
export interface StandardSchema<T = unknown> {
    readonly '~standard': {
        readonly version: 1;
        readonly vendor: string;
        readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
        readonly types?: {
            readonly input: unknown;
            readonly output: T;
        } | undefined;
        /** Standard JSON Schema. */
        readonly jsonSchema?: {
            readonly input: (options: {
                readonly target: string;
            }) => Record<string, unknown>;
        } | undefined;
    };
}
/** What a Standard Schema says about a value. */
export type StandardResult<T> = {
    readonly value: T;
    readonly issues?: undefined;
} | {
    readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | {
            readonly key: PropertyKey;
        })[] | undefined;
    }[];
};
