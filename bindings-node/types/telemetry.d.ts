/** A stretch of work that has ended. */
export interface Span {
    /** `invoke_agent`, `chat` or `execute_tool`. */
    name: string;
    /** Its number in this process. */
    id: number;
    /** The number of the span that it lies in. */
    parent: number | null;
    /** When it began, in seconds since 1970. */
    begun: number;
    /** How long it took. */
    seconds: number;
    /** What is known of it, by OpenTelemetry's names and `quorate.*`. */
    attributes: Record<string, unknown>;
}
/** Whose spans and metrics those of runs become. */
export interface InstrumentOptions {
    /** A `TracerProvider` of OpenTelemetry. Default: the global one. */
    tracerProvider?: {
        getTracer(name: string, version?: string, options?: {
            schemaUrl?: string;
        }): unknown;
    } | null;
    /** A `MeterProvider` of OpenTelemetry. Default: the global one. */
    meterProvider?: {
        getMeter(name: string, version?: string, options?: {
            schemaUrl?: string;
        }): unknown;
    } | null;
    /** The module `@opentelemetry/api`, where it is not found by itself, as in a bundle: `import * as api from '@opentelemetry/api'`. */
    api?: object | null;
}
/**
 * Makes spans and metrics of runs those of OpenTelemetry. A run's span lies in the one that is active where it is asked for; functions of
 * tools and of models are called within the span of their call, so that what they do lies in it. Needs the package `@opentelemetry/api`.
 *
 * One thread of the process hears of spans: the main thread where it has called this, else the worker that called it last.
 *
 * ```js
 * telemetry.instrument({ tracerProvider, meterProvider });
 * ```
 *
 * Metrics: `gen_ai.client.operation.duration` (seconds) and `gen_ai.client.token.usage` (tokens) of requests to models,
 * `quorate.run.duration` (seconds) of runs by status, `quorate.tool.duration` (seconds) of calls of tools.
 * Called again, it is for what begins from then on; spans that are open end where they began.
 * Codes: `unsupported` without that package, `invalid_argument`.
 */
export declare function instrument(options?: InstrumentOptions | null): void;
/** Ends what {@link instrument} began; spans that are open then are not ended. */
export declare function uninstrument(): void;
/**
 * Has a function called with each span once it has ended, before the Promise of the call that it belongs to is settled. What it throws, or
 * fails with where it is asynchronous, is told to {@link onLog}. `null`: no more. One thread of the process hears, as for {@link instrument}. Code: `invalid_argument`.
 */
export declare function listen(given: ((span: Span) => void) | null): void;
