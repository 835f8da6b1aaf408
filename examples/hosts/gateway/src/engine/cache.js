// Which answers of engines may be given again?

/**
 * @typedef {object} Kept
 * @property {number} status
 * @property {Record<string, string | string[]>} headers
 * @property {Buffer} body
 * @property {number} stored Seconds.
 * @property {number} until Seconds.
 */

/** The largest answer that is kept. */
export const LARGEST = 256 << 10;

/** Answers by tenant and address, bounded in bytes; the one unused for longest goes. No tenant is given what another was. */
export class Cache {
  /** @type {Map<string, Kept>} */
  #kept = new Map();
  bytes = 0;
  #generation = 0;

  /** @param {number} most @param {() => number} [clock] Seconds. */
  constructor(most, clock = () => performance.now() / 1000) {
    this.most = most;
    this.clock = clock;
  }

  get size() {
    return this.#kept.size;
  }

  /** @param {string} key @returns {(Kept & { age: number }) | undefined} */
  get(key) {
    const found = this.#kept.get(key);
    if (!found) return undefined;
    this.#kept.delete(key);
    if (found.until <= this.clock()) {
      this.bytes -= sizeOf(key, found);
      return undefined;
    }
    this.#kept.set(key, found);
    return { ...found, age: Math.floor(this.clock() - found.stored) };
  }

  /** @param {string} key @param {Omit<Kept, 'stored' | 'until'>} answer @param {number} seconds */
  put(key, answer, seconds) {
    this.#remove(key);
    const now = this.clock();
    const kept = { ...answer, stored: now, until: now + seconds };
    if (sizeOf(key, kept) > Math.min(this.most, LARGEST + 32_768)) return;
    this.#kept.set(key, kept);
    this.bytes += sizeOf(key, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.bytes <= this.most) break;
      this.#remove(oldest);
    }
  }

  /** How often something was changed: an answer that was asked for before the last change is not kept after it. */
  get generation() {
    return this.#generation;
  }

  /** Forgets all of a tenant: something of it was changed. @param {string} tenant */
  forget(tenant) {
    this.#generation += 1;
    for (const key of this.#kept.keys()) if (key.startsWith(`${tenant} `)) this.#remove(key);
  }

  /** @param {string} key */
  #remove(key) {
    const found = this.#kept.get(key);
    if (!found) return;
    this.#kept.delete(key);
    this.bytes -= sizeOf(key, found);
  }
}

/** The name of an answer. @param {string} tenant @param {string} url @param {string} accept */
export function keyOf(tenant, url, accept) {
  return `${tenant} ${url} ${accept}`;
}

/**
 * For how many seconds an answer may be given to everybody of the tenant; 0: not at all. What a login was needed for has to say `public` or
 * `s-maxage` (RFC 9111, 3.5).
 *
 * @param {number} status
 * @param {import('node:http').IncomingHttpHeaders} headers
 */
export function freshness(status, headers) {
  if (status !== 200 || headers['set-cookie'] || headers['content-range']) return 0;
  const vary = (headers.vary ?? '').toLowerCase().split(',').map((one) => one.trim()).filter(Boolean);
  if (vary.some((one) => !['accept', 'accept-encoding', 'x-tenant', 'origin'].includes(one))) return 0;
  const said = new Map((headers['cache-control'] ?? '').toLowerCase().split(',').map((one) => /** @type {[string, string]} */ ([one.trim().split('=')[0] ?? '', one.trim().split('=')[1] ?? ''])));
  if (said.has('no-store') || said.has('no-cache') || said.has('private')) return 0;
  const shared = said.get('s-maxage');
  const age = shared ?? (said.has('public') ? said.get('max-age') : undefined);
  const seconds = Number((age ?? '').replaceAll('"', '') || Number.NaN) - Number(headers.age ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 86_400) : 0;
}

/** @param {string} key @param {Kept} kept */
function sizeOf(key, { body, headers }) {
  return 2 * key.length + body.length + 2 * JSON.stringify(headers).length + 200;
}
