// Who has logged in, and until when?

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export const COOKIE = 'quorate_session';

/** How many sessions one user has; the oldest ends. */
const OF_ONE_USER = 16;

/** Sessions in memory, bounded in all and for each user. Their names are random, and signed, so that forged ones are not even looked up. */
export class Sessions {
  /** @type {Map<string, import('./identity.js').Caller>} The oldest first. */
  #kept = new Map();

  /** @param {number} most @param {string | null} key */
  constructor(most, key) {
    this.most = most;
    this.key = key === null ? randomBytes(32) : Buffer.from(key);
  }

  get size() {
    return this.#kept.size;
  }

  /** Keeps a session, and gives the value of its cookie. @param {import('./identity.js').Caller} caller */
  add(caller) {
    const now = Date.now() / 1000;
    const own = [];
    for (const [id, one] of this.#kept) {
      if ((one.until ?? 0) <= now) this.#kept.delete(id);
      else if (one.tenant === caller.tenant && one.user === caller.user) own.push(id);
    }
    for (const id of own.slice(0, Math.max(0, own.length + 1 - OF_ONE_USER))) this.#kept.delete(id);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size < this.most) break;
      this.#kept.delete(oldest);
    }
    const id = randomBytes(24).toString('base64url');
    this.#kept.set(id, caller);
    return `${id}.${this.#sign(id)}`;
  }

  /** @param {string} value @returns {import('./identity.js').Caller | undefined} */
  find(value) {
    const id = this.#read(value);
    const found = id === undefined ? undefined : this.#kept.get(id);
    if (id !== undefined && found && (found.until ?? 0) <= Date.now() / 1000) {
      this.#kept.delete(id);
      return undefined;
    }
    return found;
  }

  /** @param {string} value */
  remove(value) {
    const id = this.#read(value);
    if (id !== undefined) this.#kept.delete(id);
  }

  /** @param {string} value @returns {string | undefined} */
  #read(value) {
    const [id, given, ...more] = value.split('.');
    if (!id || !given || more.length > 0) return undefined;
    const [a, b] = [Buffer.from(given), Buffer.from(this.#sign(id))];
    return a.length === b.length && timingSafeEqual(a, b) ? id : undefined;
  }

  /** @param {string} id */
  #sign(id) {
    return createHmac('sha256', this.key).update(id).digest('base64url');
  }
}

/** The value of the session's cookie. @param {string | undefined} header */
export function cookieOf(header) {
  for (const part of header?.split(';') ?? []) {
    const [name, ...value] = part.trim().split('=');
    if (name === COOKIE && value.length > 0) return value.join('=');
  }
  return undefined;
}
