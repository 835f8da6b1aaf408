// Which streams are open, and how does each end?

import { problem } from './errors.js';
import { EventSender, SlowClient, plain } from './streams.js';

/** A stream of quorate. @typedef {AsyncIterable<any> & { cancel(): void, return(): Promise<unknown> }} Source */

/** The streams under way. */
export class Flows {
  /** @type {Map<{ stop: () => void }, Promise<void>>} */
  #open = new Map();

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
   *
   * @param {import('fastify').FastifyRequest} request
   * @param {import('fastify').FastifyReply} reply
   * @param {() => Source | Promise<Source>} begin
   */
  async answer(request, reply, begin) {
    const leave = this.open.enter(/** @type {any} */ (request).caller.tenant);
    try {
      const source = await begin();
      reply.hijack();
      await this.run(source, async () => {
        const sender = new EventSender(reply.raw, this.settings.stallSeconds, headersOf(reply));
        const hung = () => void source.return();
        reply.raw.once('close', hung);
        try {
          for await (const event of source) await sender.send(event.type, plain(event), event.seq);
        } catch (error) {
          if (error instanceof SlowClient) this.#slow(error, request);
          else if (!reply.raw.destroyed) await sender.send('error', { type: 'error', error: problem(/** @type {Error} */ (error)).body }).catch(() => {});
        } finally {
          reply.raw.off('close', hung);
          await source.return();
          sender.end();
        }
      });
    } finally {
      leave();
    }
  }

  /** Counts a source as open while `work` reads it. @param {{ cancel(): void }} source @param {() => Promise<void>} work */
  async run(source, work) {
    const entry = { stop: () => source.cancel() };
    const running = work();
    this.#open.set(entry, running);
    try {
      await running;
    } finally {
      this.#open.delete(entry);
    }
  }

  /** @param {SlowClient} error @param {import('fastify').FastifyRequest} request */
  #slow(error, request) {
    if (!/gone/.test(error.message)) this.metrics.cut.inc();
    request.log.info({ code: error.code }, error.message);
  }

  /** Waits until all have ended; false where some have not. @param {number} seconds */
  async ended(seconds) {
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
