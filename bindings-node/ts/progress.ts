// Who is told how far work has come, and with what did a function of the host fail?

import type * as Native from '../native.js';
import { admitted, hosting } from './call.js';
import { InvalidInput, invalid } from './errors.js';

/**
 * Told how many of how many are done. The work waits for it, also for its promise; what it throws or rejects with ends the work
 * (code `callback`), and nothing is stored.
 */
export type ProgressFunction = (done: number, total: number) => unknown;

/** @internal A callback of the host, and what it failed with. */
export interface Told<F> {
  call: F | undefined;
  failed?: { error: unknown };
}

/** @internal Runs native work that may call a function of the host, when there is a place for it, and as {@link explained}. */
export function calling<T>(callback: Told<unknown>, work: () => Promise<T>, other?: Told<unknown>): Promise<T> {
  return explained(callback, () => admitted((callback.call ?? other?.call) !== undefined, work), other);
}

/** @internal Runs work that may call a function of the host; where that failed, it is the cause of the error. */
export async function explained<T>(callback: Told<unknown>, work: () => Promise<T>, other?: Told<unknown>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const failed = callback.failed ?? other?.failed;
    if (error instanceof InvalidInput && error.code === 'callback' && failed) {
      throw new InvalidInput('callback', error.message, { cause: failed.error });
    }
    throw error;
  }
}

type Teller = (reply: Native.Reply, done: number, total: number) => void;

/** @internal What tells the host of progress. */
export function teller(progress: boolean | ProgressFunction | null | undefined, what: string): Told<Teller> {
  if (progress === undefined || progress === null || progress === false) return { call: undefined };
  const tell = progress === true ? bar(what) : progress;
  if (typeof tell !== 'function') throw invalid('progress is neither a boolean nor a function');
  const host = hosting();
  const told: Told<Teller> = {
    call: (reply, done, total) => {
      const failed = (error: unknown) => {
        told.failed = { error };
        reply.fail('the progress callback threw');
      };
      host(() => tell(done, total)).then(() => reply.answer(undefined), failed);
    },
  };
  return told;
}

function bar(what: string): (done: number, total: number) => void {
  return (done, total) => void process.stderr.write(`\r${done}/${total} ${what}${done === total ? '\n' : ''}`);
}
