// In which span of the host does a call ask, and a function of the host run?

/** @internal What knows of the host's spans. */
export interface Tracing {
  /** The span that is active, as a W3C traceparent. */
  parent(): string | undefined;
  /** Runs a function of the host in the span of this number. */
  within<T>(span: number, work: () => T): T;
}

let tracing: Tracing | null = null;

/** @internal From now on this one is asked, or none. */
export function traceBy(given: Tracing | null): void {
  tracing = given;
}

/** @internal The host's span in which this code runs, as options of a call; none where nobody wants spans. */
export function traced(): { traceParent?: string } {
  const traceParent = tracing?.parent();
  return traceParent === undefined ? {} : { traceParent };
}

/** @internal Runs a function of the host that the native half calls in a span. */
export function within<T>(span: number | null | undefined, work: () => T): T {
  return tracing === null || span === null || span === undefined ? work() : tracing.within(span, work);
}
