// How does a client get events, and what if it does not read them?

import { problem } from './errors.js';

/** How often a stream that has nothing to say shows that it is there. */
const HEARTBEAT = 15_000;

/** Thrown where a client does not read. */
export class SlowClient extends Error {
  code = 'slow_client';
}

/**
 * An event as plain data. @param {any} event
 */
export function plain(event) {
  if (event?.error instanceof Error) return { ...event, error: problem(event.error).body };
  return event;
}

/**
 * Sends server-sent events. Each waits until the one before it was taken by the connection: a client that does not read makes the source
 * wait, and is cut after `stallSeconds`.
 */
export class EventSender {
  /** @type {Promise<void>} */
  #before = Promise.resolve();
  #waits = false;

  /** @param {import('node:http').ServerResponse} raw @param {number} stallSeconds @param {Record<string, string>} headers */
  constructor(raw, stallSeconds, headers) {
    this.raw = raw;
    this.stallSeconds = stallSeconds;
    raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    raw.flushHeaders();
    this.beat = setInterval(() => {
      if (!this.#waits && raw.writable) raw.write(': still here\n\n');
    }, HEARTBEAT);
    this.beat.unref();
    raw.once('close', () => clearInterval(this.beat));
  }

  /** @param {string} event @param {unknown} data @param {number | undefined} [id] */
  send(event, data, id) {
    const text = `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    const sent = this.#before.then(() => this.#write(text));
    this.#before = sent.catch(() => {});
    return sent;
  }

  /** @param {string} text @returns {Promise<void>} */
  #write(text) {
    const { raw } = this;
    if (raw.destroyed || raw.closed) return Promise.reject(new SlowClient('the client is gone'));
    if (raw.write(text)) return Promise.resolve();
    this.#waits = true;
    return new Promise((resolve, reject) => {
      /** @param {Error} [error] */
      const done = (error) => {
        clearTimeout(timer);
        raw.off('drain', drained);
        raw.off('close', closed);
        this.#waits = false;
        if (error) reject(error);
        else resolve();
      };
      const drained = () => done();
      const closed = () => done(new SlowClient('the client is gone'));
      const timer = setTimeout(() => {
        // Nothing can be told to whom nothing reaches.
        raw.destroy();
        done(new SlowClient(`the client has read nothing for ${this.stallSeconds} s`));
      }, this.stallSeconds * 1000);
      raw.on('drain', drained);
      raw.on('close', closed);
    });
  }

  end() {
    clearInterval(this.beat);
    this.raw.end();
  }
}
