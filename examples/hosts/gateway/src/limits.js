// Who asks too often, or has too much open?

import { Refused } from './errors.js';

/** How many names are remembered; the one that was quiet for longest is forgotten. */
const REMEMBERED = 10_000;

/** A bucket of tokens for each name: `rate` flow in a second, and at most `burst` are there. */
export class Buckets {
  /** @type {Map<string, { tokens: number, time: number }>} */
  #kept = new Map();

  /** @param {number} rate @param {number} burst @param {() => number} [clock] Seconds. */
  constructor(rate, burst, clock = () => performance.now() / 1000) {
    this.rate = rate;
    this.burst = burst;
    this.clock = clock;
  }

  get size() {
    return this.#kept.size;
  }

  /** Takes one token, and gives the seconds to wait where there is none. @param {string} name @returns {number} */
  take(name) {
    const bucket = this.#filled(name);
    if (bucket.tokens < 1) return (1 - bucket.tokens) / this.rate;
    bucket.tokens -= 1;
    return 0;
  }

  /** @param {string} name */
  #filled(name) {
    const now = this.clock();
    const before = this.#kept.get(name) ?? { tokens: this.burst, time: now };
    const bucket = { tokens: Math.min(this.burst, before.tokens + (now - before.time) * this.rate), time: now };
    this.#kept.delete(name);
    this.#kept.set(name, bucket);
    if (this.#kept.size > REMEMBERED) this.#kept.delete(/** @type {string} */ (this.#kept.keys().next().value));
    return bucket;
  }
}

/** How much each name has open. */
export class Open {
  /** @type {Map<string, number>} */
  #kept = new Map();

  /** @param {number} most */
  constructor(most) {
    this.most = most;
  }

  /** All that is open. */
  get size() {
    let sum = 0;
    for (const count of this.#kept.values()) sum += count;
    return sum;
  }

  /** Opens one, and gives what closes it. Code: `too_many_streams`. @param {string} name */
  enter(name) {
    const count = this.#kept.get(name) ?? 0;
    if (count >= this.most) throw new Refused(429, 'too_many_streams', `${count} streams are open; ${this.most} at once are allowed`, { 'retry-after': '1' });
    this.#kept.set(name, count + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const now = (this.#kept.get(name) ?? 1) - 1;
      if (now > 0) this.#kept.set(name, now);
      else this.#kept.delete(name);
    };
  }
}

/** Code: `too_many_requests`. @param {number} seconds */
export function tooMany(seconds) {
  return new Refused(429, 'too_many_requests', 'too many requests; ask again later', { 'retry-after': String(Math.max(1, Math.ceil(seconds))) });
}
