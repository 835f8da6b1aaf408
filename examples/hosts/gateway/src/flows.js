// Which streams are open, and how does each end?

import { Refused, problem } from './errors.js';
import { EventSender, SlowClient, plain } from './streams.js';

/** A stream of quorate. @typedef {AsyncIterableIterator<any> & { cancel(): void, return(): Promise<any> }} Source */

/** The streams under way. */
export class Flows {
  /** @type {Map<{ stop: () => void, watch: boolean }, Promise<unknown>>} */
  #open = new Map();
  closing = false;

  /** @param {import('./settings.js').Settings} settings @param {import('./limits.js').Open} open @param {import('./metrics.js').Metrics} metrics */
  constructor(settings, open, metrics) {
    this.settings = settings;
    this.open = open;
    this.metrics = metrics;
  }

  get size() {
    return this.#open.size;
  }

  /**
   * Answers by the events of a source. A client that hangs up or does not read lets go of the source, which ends a question or a panel.
   * What cannot even begin is refused by its status. `watch`: whether the source only watches something that goes on without it.
   *
   * @param {import('fastify').FastifyRequest} request
   * @param {import('fastify').FastifyReply} reply
   * @param {() => Source | Promise<Source>} begin
   * @param {{ watch?: boolean }} [how]
   */
  async answer(request, reply, begin, { watch = false } = {}) {
    const leave = this.open.enter(/** @type {any} */ (request).caller.tenant);
    try {
      const source = await begin();
      const hung = () => void source.return().catch(() => {});
      reply.raw.once('close', hung);
      await this.run(source, watch, async () => {
        const first = watch ? undefined : await source.next();
        if (first?.value?.type === 'error' && first.value.seq <= 1) throw first.value.error;
        reply.hijack();
        const sender = new EventSender(reply.raw, this.settings.stallSeconds, headersOf(reply));
        try {
          if (first && !first.done) await sender.send(first.value.type, plain(first.value), first.value.seq);
          for await (const event of source) await sender.send(event.type, plain(event), event.seq);
        } catch (error) {
          if (error instanceof SlowClient) this.#slow(error, request);
          else if (!reply.raw.destroyed) await sender.send('error', { type: 'error', error: problem(/** @type {Error} */ (error)).body }).catch(() => {});
        } finally {
          reply.raw.off('close', hung);
          await source.return().catch(() => {});
          sender.end();
        }
      });
    } finally {
      leave();
    }
  }

  /**
   * Answers by what `work` gives, which ends when the client hangs up.
   *
   * @template T
   * @param {import('fastify').FastifyReply} reply
   * @param {(signal: AbortSignal) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async whole(reply, work) {
    const controller = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) controller.abort();
    });
    return this.run({ cancel: () => controller.abort() }, false, () => work(controller.signal));
  }

  /**
   * Counts a source as open while `work` reads it. Code: `closed`.
   *
   * @template T
   * @param {{ cancel(): void }} source
   * @param {boolean} watch
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async run(source, watch, work) {
    if (this.closing) throw new Refused(503, 'closed', 'the gateway is closing');
    const entry = { stop: () => source.cancel(), watch };
    const running = work();
    this.#open.set(entry, running);
    try {
      return await running;
    } finally {
      this.#open.delete(entry);
    }
  }

  /** @param {SlowClient} error @param {import('fastify').FastifyRequest} request */
  #slow(error, request) {
    if (!/gone/.test(error.message)) this.metrics.cut.inc();
    request.log.info({ code: error.code }, error.message);
  }

  /** Takes nothing new, watches nothing any more, and waits until all have ended; false where some have not. @param {number} seconds */
  async ended(seconds) {
    this.closing = true;
    for (const one of this.#open.keys()) if (one.watch) one.stop();
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve(false), seconds * 1000);
    });
    const all = Promise.allSettled([...this.#open.values()]).then(() => true);
    const done = await Promise.race([all, late]);
    clearTimeout(timer);
    return Boolean(done);
  }

  stop() {
    for (const one of this.#open.keys()) one.stop();
  }
}

/** What hooks have set, for an answer that bypasses the framework. @param {import('fastify').FastifyReply} reply @returns {Record<string, string>} */
export function headersOf(reply) {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
}
