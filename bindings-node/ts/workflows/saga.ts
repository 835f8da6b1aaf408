// Which steps are all done, or all undone?

import type * as Native from '../../native.js';
import { type Hosting, hosting, now, options as checked, parse, reason, settle, shown } from '../call.js';
import { QuorateError, codeOf, invalid } from '../errors.js';
import { native } from '../native.js';
import { writtenResult } from '../tools.js';
import { MADE, type QueueRetry, retryOf } from './queue.js';

/** How a saga is carried through. */
export interface SagaOptions {
  /** What becomes of it where its program ended in the middle of it: it is undone, or goes on. Default `undo`. */
  recover?: 'undo' | 'forward' | null;
  /** How often each undoing is tried. Default 3 times; 0.1 s, doubled. */
  undo?: QueueRetry | null;
}

/** How a step is done. */
export interface StepOptions<T = any> {
  /** Undoes it, given what the step gave; null where nobody knows whether it ended. It must stand it that there is nothing to undo. */
  undo?: ((value: T | null) => unknown) | null;
}

/** How far a saga is. `failed`: all of it is undone; `compensation_failed`: it could not be, and whoever opens it again tries again. */
export type SagaStatus = 'running' | 'done' | 'failed' | 'compensation_failed';

let carry: <T>(saga: Saga, run: (saga: Saga) => T | PromiseLike<T>) => Promise<T>;

/**
 * Steps that are all done, or all undone: `await store.saga('order-7', async (s) => { await s.do('reserve', f, { undo: g }) })`.
 *
 * What the function throws has everything undone, in reverse order. After a crash whoever opens the saga again calls its steps again: those
 * that have ended give what they gave, and do not run.
 */
export class Saga {
  /** Its name. */
  readonly name: string;
  readonly #native: Native.Saga;
  readonly #host: Hosting;
  #status: SagaStatus;
  /** Whether a call of it is under way. */
  #busy = false;
  /** Whether somebody was told already that it could not be undone. */
  #told = false;

  static {
    carry = async (saga, run) => {
      try {
        const found = await run(saga);
        await saga.finish();
        return found;
      } catch (error) {
        if (!saga.#told && !saga.#busy) await saga.#fail(error);
        throw error;
      } finally {
        saga.close();
      }
    };
  }

  /** @internal */
  constructor(made: typeof MADE, of: Native.Saga, name: string, status: SagaStatus) {
    if (made !== MADE) throw invalid('a saga is made by the saga of a StateStore');
    this.#native = of;
    this.#host = hosting();
    this.#status = status;
    this.name = name;
  }

  /** How far it was when its last call ended. */
  get status(): SagaStatus {
    return this.#status;
  }

  /**
   * Does a step, unless the journal has it, and gives what it gave, as JSON.
   *
   * Where it throws, those before it are undone, and this throws the same. Where one cannot be undone the status is `compensation_failed`, and
   * the message says both. Codes: `invalid_argument` for a name that was there, when the saga has ended, or a call of it is under way;
   * `cancelled` where it is undone since the program ended in the middle of it; `stale_write` when somebody else has taken it.
   */
  async do<T = any>(name: string, step: () => T | PromiseLike<T>, options?: StepOptions<T> | null): Promise<T> {
    const { undo } = checked(options, ['undo']);
    if (typeof step !== 'function') throw invalid(`the step is ${shown(step)}; a function is expected`);
    if (undo !== undefined && undo !== null && typeof undo !== 'function') throw invalid(`undo is ${shown(undo)}; a function is expected`);
    const failed: { error?: unknown; code?: string } = {};
    const call = (reply: Native.Reply): void => {
      void this.#host(async () => writtenResult(await step())).then(
        (result) => reply.answer({ result }),
        (error: unknown) => {
          const said = codeOf(error) ?? { code: 'callback', message: `the step '${name.slice(0, 60)}' failed: ${reason(error)}` };
          failed.error = error;
          failed.code = said.code;
          reply.answer({ error: said });
        },
      );
    };
    const back = (reply: Native.Reply, value: string): void => {
      void this.#host(async () => undo?.(parse<T | null>(value))).then(
        () => reply.answer({}),
        (error: unknown) => reply.answer({ error: codeOf(error) ?? { code: 'callback', message: reason(error) } }),
      );
    };
    try {
      return parse(await this.#alone(() => this.#native.step(name, call, back)));
    } catch (error) {
      // What the step itself has thrown, as it was; where it could not be undone, with that as its cause.
      if (!('error' in failed)) throw error;
      if (this.#status === 'failed' && error instanceof QuorateError && error.code === failed.code) throw failed.error;
      throw error instanceof QuorateError && error.cause === undefined ? Object.defineProperty(error, 'cause', { value: failed.error, configurable: true, writable: true }) : error;
    }
  }

  /** Says that all steps are done, as the end of the function does. Codes: why everything was undone, where it is to be. */
  async finish(): Promise<void> {
    await this.#alone(() => this.#native.finish());
  }

  /** Undoes everything, as an error of the function does. Codes: `cancelled`, with why it could not be undone. */
  async fail(reason: string): Promise<void> {
    await this.#alone(() => this.#native.fail('cancelled', reason));
  }

  /** Lets go of it as it is: whoever opens it again goes on, or undoes it. */
  close(): void {
    now(() => this.#native.close());
  }

  async #fail(error: unknown): Promise<void> {
    const { code, message } = codeOf(error) ?? { code: 'callback', message: reason(error) };
    await this.#alone(() => this.#native.fail(code, message));
  }

  /** Its calls come one after the other; one of its own steps would wait for itself. */
  async #alone<T>(call: () => Promise<T>): Promise<T> {
    if (this.#busy) throw invalid(`a call of the saga '${this.name.slice(0, 60)}' is under way; its calls come one after the other`);
    this.#busy = true;
    try {
      return await settle(call);
    } finally {
      try {
        this.#status = (await settle(() => this.#native.status())) as SagaStatus;
        this.#told = this.#status === 'compensation_failed';
      } catch {
        // It was let go of meanwhile.
      }
      this.#busy = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/** @internal Begins a saga of a store, or goes on with it. */
export async function sagaOf(half: Native.StateStore, name: string, options: SagaOptions): Promise<Saga> {
  const { undo, ...given } = options;
  const made = await settle(async () => native.openSaga(half, name, { ...given, undo: retryOf(undo, 'undo') }));
  return new Saga(MADE, made, name, (await settle(() => made.status())) as SagaStatus);
}

/** @internal Carries a saga through. */
export async function carried<T>(saga: Saga, run: (saga: Saga) => T | PromiseLike<T>): Promise<T> {
  return carry(saga, run);
}
