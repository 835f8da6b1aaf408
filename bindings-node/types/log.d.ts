/** Something that happened, such as a damaged index that is built again. */
export interface LogEvent {
    /** `warn`: something was healed or worked around. `error`: something could not be done. */
    level: 'debug' | 'info' | 'warn' | 'error';
    /** The part of the library that says it, such as `quorate.rag`. */
    target: string;
    /** What happened, with its circumstances, for people. */
    text: string;
    /** What happened, without its circumstances. */
    message: string;
    /** The circumstances by name, such as the file and the error. */
    fields: Record<string, string>;
}
/**
 * Has a function called with what quorate says about its work. What a call says is told before its Promise is settled. `null`: as
 * it is without one: warnings and errors become warnings of the process (`process.on('warning')`), named `QuorateWarning`.
 * One thread of the process listens: the main thread, or the worker that called this last.
 */
export declare function onLog(given: ((event: LogEvent) => void) | null): void;
