/**
 * Told how many of how many are done. The work waits for it, also for its promise; what it throws or rejects with ends the work
 * (code `callback`), and nothing is stored.
 */
export type ProgressFunction = (done: number, total: number) => unknown;
