// How do runs show up in OpenTelemetry, or in a monitor of one's own?
//
// Nothing is measured before somebody asks for it, and nothing is sent anywhere by quorate itself. Spans and metrics have the names of
// OpenTelemetry's semantic conventions for generative AI, version 1.37.0: a span `invoke_agent` for a run or a panel, within it `chat`
// for each request to a model and `execute_tool` for each call of a tool. What was asked and answered is in none of them.

import type * as Otel from '@opentelemetry/api';

import { builtin } from './builtin.js';
import { now, options as checked, reason, shown } from './call.js';
import { Unsupported, invalid } from './errors.js';
import { tell } from './log.js';
import { folders, native } from './native.js';
import { type Tracing, traceBy } from './tracing.js';

const { isMainThread } = builtin('node:worker_threads');

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
  tracerProvider?: { getTracer(name: string, version?: string, options?: { schemaUrl?: string }): unknown } | null;
  /** A `MeterProvider` of OpenTelemetry. Default: the global one. */
  meterProvider?: { getMeter(name: string, version?: string, options?: { schemaUrl?: string }): unknown } | null;
  /** The module `@opentelemetry/api`, where it is not found by itself, as in a bundle: `import * as api from '@opentelemetry/api'`. */
  api?: object | null;
}

/** A moment as OpenTelemetry takes it: seconds since 1970, and nanoseconds. */
type Moment = [seconds: number, nanoseconds: number];

/** The beginning or the end of a span. */
interface Mark {
  span: number;
  parent: number | null;
  traceparent: string | null;
  name: string;
  title: string;
  kind: 'client' | 'internal';
  ends: boolean;
  time: Moment;
  begun: Moment;
  attributes: Record<string, Otel.AttributeValue>;
}

/** The end of one. */
interface End extends Mark {
  seconds: number;
  error: string | null;
  measures: [metric: string, value: number, about: Record<string, Otel.AttributeValue>][];
}

let listener: ((span: Span) => void) | null = null;
let bridge: Bridge | null = null;
/** By which number this thread hears. */
let hears: number | null = null;

/** As many spans as may be open at once; of more the oldest are forgotten. */
const MOST_OPEN = 100_000;
/** How spans that are open began: a tracer that takes over makes those in which others lie. */
const beginnings = new Map<number, Mark>();
/** Whether a tracer is being told: what it does itself comes after that. */
let telling = false;

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
export function instrument(options?: InstrumentOptions | null): void {
  const { tracerProvider, meterProvider, api } = checked(options, ['tracerProvider', 'meterProvider', 'api']);
  const able = (of: unknown, method: string) => typeof (of as Record<string, unknown> | undefined)?.[method] === 'function';
  if (tracerProvider && !able(tracerProvider, 'getTracer')) throw invalid(`tracerProvider is ${shown(tracerProvider)} without a method getTracer`);
  if (meterProvider && !able(meterProvider, 'getMeter')) throw invalid(`meterProvider is ${shown(meterProvider)} without a method getMeter`);
  if (api && !able((api as { trace?: unknown }).trace, 'getTracer')) throw invalid(`api is ${shown(api)}, and not the module @opentelemetry/api`);
  const module = (api ?? found()) as typeof Otel;
  // Those that have ended are another tracer's.
  drain();
  try {
    bridge = new Bridge(module, tracerProvider, meterProvider, bridge);
  } catch (error) {
    throw invalid(`the providers cannot be used: ${reason(error)}`, { cause: error });
  }
  traceBy(bridge);
  settle();
}

/** Ends what {@link instrument} began; spans that are open then are not ended. */
export function uninstrument(): void {
  drain();
  bridge = null;
  traceBy(null);
  settle();
}

/**
 * Has a function called with each span once it has ended, before the Promise of the call that it belongs to is settled. What it throws, or
 * fails with where it is asynchronous, is told to {@link onLog}. `null`: no more. One thread of the process hears, as for {@link instrument}. Code: `invalid_argument`.
 */
export function listen(given: ((span: Span) => void) | null): void {
  if (given !== null && typeof given !== 'function') throw invalid(`listen takes a function or null, not ${shown(given)}`);
  drain();
  listener = given;
  settle();
}

/** Has spans told while somebody wants them. */
function settle(): void {
  const wanted = listener !== null || bridge !== null;
  if (wanted && hears === null) {
    hears = now(() => native.hearSpans(take, isMainThread));
    process.on('exit', last);
  } else if (!wanted && hears !== null) {
    leave(hears);
    process.off('exit', last);
  }
}

function leave(number: number): void {
  now(() => native.leaveSpans(number));
  hears = null;
  beginnings.clear();
}

/** What comes after the last Promise is told to who sends it at once; a worker that has ended leaves no work to the others. */
function last(): void {
  drain();
  if (hears !== null && !isMainThread) leave(hears);
}

/** What waits to be told. */
function waiting(): string {
  return (hears === null ? undefined : now(() => native.takeSpans(hears as number))) ?? '[]';
}

function drain(): void {
  if (!telling) take(waiting());
}

/** Takes beginnings and ends of spans in their order. */
function take(told: string): void {
  const ended: Span[] = [];
  for (const mark of JSON.parse(told) as (Mark | End)[]) {
    const ends = 'measures' in mark;
    if (!ends) remember(beginnings, mark.span, mark);
    telling = true;
    try {
      if (ends) bridge?.end(mark);
      else bridge?.begin(mark);
    } catch (error) {
      complain('the tracer or the meter has failed', error);
    } finally {
      telling = false;
    }
    if (ends) {
      beginnings.delete(mark.span);
      const { name, span: id, parent, begun, seconds, attributes } = mark;
      ended.push({ name, id, parent, begun: begun[0] + begun[1] / 1e9, seconds, attributes });
    }
  }
  for (const span of ended) {
    try {
      const given: unknown = listener?.(span);
      if (given instanceof Promise) given.catch(unheard);
    } catch (error) {
      unheard(error);
    }
  }
}

/** Whoever watches must not take the answer from who has asked, nor end the process. */
function unheard(error: unknown): void {
  complain('a listener of spans has failed', error);
}

/** Keeps what belongs to an open span. */
function remember<T>(open: Map<number, T>, span: number, what: T): void {
  for (const oldest of open.keys()) {
    if (open.size < MOST_OPEN) break;
    open.delete(oldest);
  }
  open.set(span, what);
}

function complain(message: string, error: unknown): void {
  const fields = { error: reason(error) };
  tell({ level: 'error', target: 'quorate.telemetry', text: `${message} (error=${fields.error})`, message, fields });
}

/** The package of OpenTelemetry, beside this one or beside the program. */
function found(): typeof Otel {
  const { createRequire } = builtin('node:module');
  const { join } = builtin('node:path');
  let cause: unknown;
  for (const folder of [...folders(), process.cwd()]) {
    try {
      return createRequire(join(folder, 'quorate.js'))('@opentelemetry/api') as typeof Otel;
    } catch (error) {
      cause ??= error;
    }
  }
  const how = "npm install @opentelemetry/api; in a bundle give it: import * as api from '@opentelemetry/api', instrument({ api })";
  throw new Unsupported('unsupported', `telemetry.instrument needs the package @opentelemetry/api: ${how}`, { cause });
}

/** Which version of the conventions names spans and metrics, and the metrics. */
interface About {
  schemaUrl: string;
  metrics: { name: string; unit: string; description: string; bounds: number[] }[];
}

/** Spans and metrics of OpenTelemetry. */
class Bridge implements Tracing {
  readonly #api: typeof Otel;
  readonly #about: About;
  readonly #tracer: Otel.Tracer;
  readonly #meters: Otel.MeterProvider | null | undefined;
  #metrics: { of: Otel.MeterProvider; histograms: Map<string, Otel.Histogram> } | undefined;
  readonly #open: Map<number, Otel.Span>;

  /** `before`: whose spans that are open go on, each with the tracer that made it. */
  constructor(api: typeof Otel, tracers: InstrumentOptions['tracerProvider'], meters: InstrumentOptions['meterProvider'], before: Bridge | null) {
    this.#api = api;
    this.#open = before ? before.#open : new Map<number, Otel.Span>();
    this.#about = JSON.parse(now(() => native.spanMetrics())) as About;
    const { schemaUrl } = this.#about;
    this.#tracer = ((tracers ?? api.trace) as Otel.TracerProvider).getTracer('quorate', native.version(), { schemaUrl });
    this.#meters = meters as Otel.MeterProvider | null | undefined;
    // What is wrong with it is seen here, not at the first run.
    this.#histograms();
  }

  parent(): string | undefined {
    try {
      const { trace, context, isSpanContextValid } = this.#api;
      const span = trace.getSpanContext(context.active());
      if (span === undefined || !isSpanContextValid(span)) return undefined;
      return `00-${span.traceId}-${span.spanId}-${(span.traceFlags & 0xff).toString(16).padStart(2, '0')}`;
    } catch (error) {
      complain("the caller's span could not be read", error);
      return undefined;
    }
  }

  within<T>(number: number, work: () => T): T {
    // It has begun before its function is called, and perhaps nobody was told yet.
    drain();
    const inner = this.#inside(number);
    return inner === undefined ? work() : this.#api.context.with(inner, work);
  }

  /** The context of what is done in a span. */
  #inside(number: number): Otel.Context | undefined {
    try {
      const span = this.#spanBy(number);
      const { context, trace } = this.#api;
      return span && trace.setSpan(context.active(), span);
    } catch (error) {
      complain('the span of a call could not be set', error);
      return undefined;
    }
  }

  /** An open span; made now where it began before there was this bridge. */
  #spanBy(number: number): Otel.Span | undefined {
    const mark = this.#open.has(number) ? undefined : beginnings.get(number);
    return mark ? this.begin(mark) : this.#open.get(number);
  }

  begin(mark: Mark): Otel.Span {
    const { trace, ROOT_CONTEXT, SpanKind } = this.#api;
    const startTime = mark.begun;
    const parent = mark.parent === null ? undefined : this.#spanBy(mark.parent);
    const asked = spanOf(mark.traceparent);
    // Never the one that is active now, which may be another caller's.
    const context = parent ? trace.setSpan(ROOT_CONTEXT, parent) : asked ? trace.setSpanContext(ROOT_CONTEXT, asked) : ROOT_CONTEXT;
    const kind = mark.kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL;
    const span = this.#tracer.startSpan(mark.title, { kind, attributes: mark.attributes, startTime }, context);
    remember(this.#open, mark.span, span);
    return span;
  }

  end(mark: End): void {
    try {
      this.#endSpan(mark);
    } finally {
      // A tracer that fails takes no metric, and a meter that fails no span.
      const histograms = this.#histograms();
      for (const [metric, value, about] of mark.measures) histograms.get(metric)?.record(value, about);
    }
  }

  #endSpan(mark: End): void {
    // It may have begun before there was this bridge.
    const span = this.#open.get(mark.span) ?? this.begin(mark);
    this.#open.delete(mark.span);
    span.updateName(mark.title);
    span.setAttributes(mark.attributes);
    if (mark.error !== null) span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: mark.error });
    span.end(mark.time);
  }

  /** The metrics; the global provider may be another one by now. */
  #histograms(): Map<string, Otel.Histogram> {
    const of = this.#meters ?? this.#api.metrics.getMeterProvider();
    if (this.#metrics?.of !== of) {
      const { schemaUrl, metrics } = this.#about;
      const meter = of.getMeter('quorate', native.version(), { schemaUrl });
      const made = metrics.map(({ name, unit, description, bounds }): [string, Otel.Histogram] => [
        name,
        meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries: bounds } }),
      ]);
      this.#metrics = { of, histograms: new Map(made) };
    }
    return this.#metrics.histograms;
  }
}

/** A span by its W3C traceparent. */
function spanOf(traceparent: string | null): Otel.SpanContext | undefined {
  const parts = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent ?? '');
  if (!parts) return undefined;
  const [, traceId = '', spanId = '', flags = '0'] = parts;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) };
}
