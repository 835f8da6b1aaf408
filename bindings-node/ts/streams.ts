// How does a stream of the native half become one of the language?

import type * as Native from '../native.js';
import { onAbort, parse, settle } from './call.js';
import { kept } from './handles.js';

/** Has a signal cancel a flow that it does not hold: it may outlive all streams. Gives what ends that. */
function listening(signal: AbortSignal, of: WeakRef<Native.ModelFlow>): () => void {
  return onAbort(signal, () => of.deref()?.cancel());
}

/** Has signals let go of streams that were forgotten. */
const forgotten = new FinalizationRegistry((leave: () => void) => leave());

/** The last event of a stream, once it has come. */
let lastOf: <E>(stream: EventStream<E>) => E | undefined;

/** @internal Reads what is left of a stream, and gives its last event. */
export async function ending<E>(stream: EventStream<E>): Promise<E | undefined> {
  while (!(await stream.next()).done);
  return lastOf(stream);
}

/** @internal An event as users see it, and whether it is the last. */
export type Told<E> = (raw: { type: string }) => Promise<[event: E, last: boolean]>;

/** Events as they come. The work behind them ends when the stream is left or is forgotten. */
export class EventStream<E> implements AsyncIterableIterator<E> {
  readonly #native: Native.ModelFlow;
  readonly #events: unknown[] = [];
  #next = 0;
  #before: Promise<unknown> = Promise.resolve();
  #last: E | undefined;
  readonly #told: Told<E>;
  #leave = (): void => {};

  static {
    lastOf = (stream) => stream.#last;
  }

  /** @internal `keep`: what the stream needs as long as it is there. */
  constructor(of: Native.ModelFlow, keep: unknown, signal: AbortSignal | null | undefined, told: Told<E>) {
    this.#native = of;
    this.#told = told;
    kept.set(this, keep);
    if (!signal) return;
    if (signal.aborted) {
      of.cancel();
      return;
    }
    this.#leave = listening(signal, new WeakRef(of));
    forgotten.register(this, this.#leave);
  }

  /** The next event; done after the last. */
  next(): Promise<IteratorResult<E, undefined>> {
    const waited = this.#before.then(() => this.#step());
    this.#before = waited.catch(() => undefined);
    return waited;
  }

  async #step(): Promise<IteratorResult<E, undefined>> {
    if (this.#next >= this.#events.length) {
      const text = await settle(() => this.#native.next());
      if (text === undefined) {
        this.#leave();
        return { done: true, value: undefined };
      }
      this.#events.length = 0;
      this.#events.push(...parse<unknown[]>(text));
      this.#next = 0;
    }
    const raw = this.#events[this.#next++] as { type: string };
    if (raw.type === 'text') return { done: false, value: raw as E };
    const [value, last] = await this.#told(raw);
    if (last) {
      this.#last = value;
      this.#leave();
    }
    return { done: false, value };
  }

  /** Cancels the work; the last event says so and has what had come. */
  cancel(): void {
    this.#native.cancel();
  }

  /** Lets go of the work; `break` does it too. */
  async return(): Promise<IteratorResult<E, undefined>> {
    this.#leave();
    this.#events.length = this.#next = 0;
    this.#native.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
