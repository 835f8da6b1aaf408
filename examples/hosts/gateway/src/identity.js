// Who asks, and for which tenant?

import { readFile } from 'node:fs/promises';

import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify } from 'jose';

import { Refused } from './errors.js';
import { COOKIE, Sessions, cookieOf } from './sessions.js';

/** What a tenant is called. */
export const TENANT = /^[A-Za-z0-9_-]{1,64}$/;

/** The longest token that is looked at. */
const LONGEST_TOKEN = 8192;

/** What tokens may be signed by, where their keys are public. */
const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA'];

/**
 * @typedef {object} Caller
 * @property {string} tenant
 * @property {string} user
 * @property {string[] | null} roles The roles whose reviews the caller may decide; null: all.
 * @property {number | null} until When the login ends, in seconds since 1970.
 * @property {string | null} token The bearer token, which engines verify too.
 */

/** @typedef {{ method?: string, headers: import('node:http').IncomingHttpHeaders, url?: string }} Asked */

/** Tells callers by bearer tokens and sessions, or, where there are no keys, by the header `x-tenant`. */
export class Identity {
  /** @param {import('./settings.js').Settings} settings */
  static async open(settings) {
    const { jwtSecret, jwks } = settings;
    if (jwtSecret !== null) {
      const secret = new TextEncoder().encode(jwtSecret);
      if (secret.length < 32) throw new Error(`the secret of tokens has ${secret.length} bytes; HS256 needs at least 32`);
      return new Identity(settings, secret, ['HS256']);
    }
    if (jwks === null) return new Identity(settings, null, []);
    const remote = /^https?:/.test(jwks);
    const keys = remote ? createRemoteJWKSet(new URL(jwks), { timeoutDuration: 5000 }) : createLocalJWKSet(JSON.parse(await readFile(jwks, 'utf8')));
    return new Identity(settings, keys, ASYMMETRIC);
  }

  /** @param {import('./settings.js').Settings} settings @param {any} keys @param {string[]} algorithms */
  constructor(settings, keys, algorithms) {
    this.settings = settings;
    this.keys = keys;
    this.algorithms = algorithms;
    this.sessions = new Sessions(settings.sessions, settings.sessionKey);
  }

  /** Whether callers are told by the header alone. */
  get open() {
    return this.keys === null;
  }

  /** Who asks. Codes: `unauthorized`, `forbidden`. @param {Asked} request @returns {Promise<Caller>} */
  async caller(request) {
    const { authorization } = request.headers;
    if (authorization !== undefined && !this.open) return this.#byToken(authorization);
    const cookie = cookieOf(request.headers.cookie);
    if (cookie !== undefined && !(this.open && request.headers['x-tenant'] !== undefined)) {
      sameOrigin(request);
      const found = this.sessions.find(cookie);
      if (found) return found;
      if (!this.open) throw unauthorized('the session is over; log in again');
    }
    if (!this.open) throw unauthorized('a bearer token is needed');
    return this.#byHeader(request);
  }

  /** Begins a session, and gives its cookie. @param {Caller} caller @returns {string} */
  login(caller) {
    const end = Date.now() / 1000 + this.settings.sessionSeconds;
    const until = Math.min(end, caller.until ?? end);
    const value = this.sessions.add({ ...caller, until });
    return this.#cookie(value, Math.max(0, Math.floor(until - Date.now() / 1000)));
  }

  /** Ends the session of a request, and gives the cookie that takes it away. @param {Asked} request */
  logout(request) {
    const cookie = cookieOf(request.headers.cookie);
    if (cookie !== undefined) this.sessions.remove(cookie);
    return this.#cookie('', 0);
  }

  /** @param {string} value @param {number} seconds */
  #cookie(value, seconds) {
    const secure = this.settings.secureCookies ? '; Secure' : '';
    return `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
  }

  /** @param {string} authorization @returns {Promise<Caller>} */
  async #byToken(authorization) {
    const [scheme, token, ...more] = authorization.split(' ');
    if (scheme?.toLowerCase() !== 'bearer' || !token || more.length > 0 || token.length > LONGEST_TOKEN) {
      throw unauthorized('the authorization is no bearer token');
    }
    const { issuer, audience, tenantClaim } = this.settings;
    let payload;
    try {
      const wanted = { algorithms: this.algorithms, clockTolerance: 5, requiredClaims: ['exp', 'sub', tenantClaim], ...(issuer && { issuer }), ...(audience && { audience }) };
      ({ payload } = await jwtVerify(token, this.keys, wanted));
    } catch (error) {
      if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) {
        throw new Refused(503, 'offline', 'the keys of tokens cannot be had at present', { 'retry-after': '5' });
      }
      throw unauthorized(error instanceof errors.JWTExpired ? 'the token has expired' : 'the token is not valid');
    }
    const { [tenantClaim]: tenant, sub, exp, roles } = payload;
    if (typeof tenant !== 'string' || !TENANT.test(tenant)) throw new Refused(403, 'forbidden', 'the token names no tenant that can be');
    if (typeof sub !== 'string' || !named(sub)) throw new Refused(403, 'forbidden', 'the token names no user that can be');
    if (roles !== undefined && !(Array.isArray(roles) && roles.every((role) => typeof role === 'string'))) {
      throw new Refused(403, 'forbidden', 'the roles of the token are no list of names');
    }
    return { tenant, user: sub, roles: /** @type {string[] | undefined} */ (roles) ?? null, until: exp ?? null, token };
  }

  /** @param {Asked} request @returns {Caller} */
  #byHeader(request) {
    const tenant = request.headers['x-tenant'];
    const user = request.headers['x-user'] ?? 'anonymous';
    if (typeof tenant !== 'string' || !TENANT.test(tenant)) {
      throw new Refused(422, 'invalid_request', 'the header x-tenant names the tenant: 1 to 64 letters, digits, _ and -');
    }
    if (typeof user !== 'string' || !named(user)) throw new Refused(422, 'invalid_request', 'the header x-user names no user that can be');
    return { tenant, user, roles: null, until: null, token: null };
  }
}

/** @param {string} name */
function named(name) {
  return name.length > 0 && name.length <= 256 && !/[\p{Cc}\p{Cs}]/u.test(name);
}

/** Refuses requests that pages of others have a browser send with its cookie. @param {Asked} request */
export function sameOrigin({ headers }) {
  const { origin, host } = headers;
  if (origin === undefined) return;
  let from = null;
  try {
    from = new URL(origin).host;
  } catch {
    // An opaque origin is another one.
  }
  if (from !== host) throw new Refused(403, 'forbidden', 'the request comes from another origin');
}

/** @param {string} message */
function unauthorized(message) {
  return new Refused(401, 'unauthorized', message, { 'www-authenticate': 'Bearer realm="quorate"' });
}
