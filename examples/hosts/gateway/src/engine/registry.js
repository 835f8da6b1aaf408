// Which engines are there, and which of them are fit?

import { Breaker } from './breaker.js';

/**
 * @typedef {object} Engine
 * @property {URL} url Where it is, without a slash at the end.
 * @property {boolean} healthy What its last health check said. One that was never asked is.
 * @property {Breaker} breaker
 * @property {number} active Requests under way.
 */

/** The engines that are known. A health check goes to each in turn; one that fails is left out until it answers again. */
export class Engines {
  /** @type {Engine[]} */
  all;
  #turn = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #stop = new AbortController();

  /** @param {import('../settings.js').Settings} settings */
  constructor(settings) {
    this.settings = settings;
    this.all = settings.engines.map((text) => {
      const url = new URL(text);
      if (!['http:', 'https:'].includes(url.protocol) || url.username || url.search || url.hash) throw new Error(`the engine '${url.host}' is named by http(s)://HOST[:PORT][/PATH]`);
      url.pathname = url.pathname.replace(/\/+$/, '');
      return { url, healthy: true, breaker: new Breaker(settings.breakerFailures, settings.breakerSeconds), active: 0 };
    });
  }

  start() {
    if (this.all.length > 0) void this.#round();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  async #round() {
    await Promise.all(this.all.map((one) => this.#check(one)));
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#round(), this.settings.engineHealthMs);
    this.#timer.unref();
  }

  /** @param {Engine} engine */
  async #check(engine) {
    const limit = AbortSignal.timeout(Math.min(this.settings.engineSeconds * 1000, 5000));
    try {
      const response = await fetch(`${engine.url.href.replace(/\/$/, '')}/health`, { signal: AbortSignal.any([limit, this.#stop.signal]), redirect: 'error' });
      await response.body?.cancel();
      engine.healthy = response.ok;
    } catch {
      engine.healthy = false;
    }
  }

  /** Those that may be asked now. */
  fit() {
    return this.all.filter((one) => one.healthy && one.breaker.passes);
  }

  /** The engine for the next request: of those that are fit and were not tried yet, the one with least to do. @param {Engine[]} tried @returns {Engine | undefined} */
  next(tried) {
    const fit = this.fit().filter((one) => !tried.includes(one));
    if (fit.length === 0) return undefined;
    const least = Math.min(...fit.map((one) => one.active));
    const idle = fit.filter((one) => one.active === least);
    this.#turn = (this.#turn + 1) % 0x7fffffff;
    return idle[this.#turn % idle.length];
  }
}
