/** Events as they come. The work behind them ends when the stream is left or is forgotten. */
export declare class EventStream<E> implements AsyncIterableIterator<E> {
    #private;
    /** The next event; done after the last. */
    next(): Promise<IteratorResult<E, undefined>>;
    /** Cancels the work; the last event says so and has what had come. */
    cancel(): void;
    /** Lets go of the work; `break` does it too. */
    return(): Promise<IteratorResult<E, undefined>>;
    [Symbol.asyncIterator](): this;
    [Symbol.asyncDispose](): Promise<void>;
}
