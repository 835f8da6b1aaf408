// How does what quorate says about its work reach the host?

import { builtin } from './builtin.js';
import { invalid } from './errors.js';
import { native } from './native.js';

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

let listener: ((event: LogEvent) => void) | null = null;

/**
 * Has a function called with what quorate says about its work. What a call says is told before its Promise is settled. `null`: as
 * it is without one: warnings and errors become warnings of the process (`process.on('warning')`), named `QuorateWarning`.
 * One thread of the process listens: the main thread, or the worker that called this last.
 */
export function onLog(given: ((event: LogEvent) => void) | null): void {
  if (given !== null && typeof given !== 'function') throw invalid(`onLog takes a function or null, not a ${typeof given}`);
  listener = given;
  listen();
}

/** @internal */
export function listen(): void {
  native.listen((level: LogEvent['level'], target: string, text: string, message: string, fields: string) => {
    tell({ level, target, text, message, fields: JSON.parse(fields) as Record<string, string> });
  });
}

/** @internal Tells whoever listens; without anybody, warnings and errors become those of the process. */
export function tell(event: LogEvent): void {
  const { level, target, text } = event;
  if (listener === null) {
    if (level === 'warn' || level === 'error') process.emitWarning(text, { type: 'QuorateWarning', code: target });
    return;
  }
  try {
    listener(event);
  } catch (error) {
    // As with any other event's listener, nobody is there to catch it.
    queueMicrotask(() => {
      throw error;
    });
  }
}

if (builtin('node:worker_threads').isMainThread) listen();
