// What can be set, and what holds where nothing is said?

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * @typedef {object} Extension What a product adds: a module whose default export makes it for a tenant.
 * @property {import('quorate').Model} [model]
 * @property {import('quorate').RuntimeTool[]} [tools] What experts may have done.
 * @property {import('quorate').workflows.WorkflowTool[]} [workflowTools] What steps of workflows may have done.
 */

/**
 * @typedef {object} Settings
 * @property {string} folder Where the knowledge base, the registry and the runs lie.
 * @property {string | null} catalog The catalogue of agents: `healthcare`, a file, or null.
 * @property {string | null} workflows A folder of workflows beside those that ship.
 * @property {boolean} readOnly Whether the gateway only reads documents.
 * @property {boolean} log Whether requests are logged.
 * @property {string} model `extractive`, `scripted:MILLISECONDS`, or the name of a model.
 * @property {((of: { kb: import('quorate').KnowledgeBase, tenant: string }) => Extension | Promise<Extension>) | null} extension
 * @property {string | null} jwtSecret The secret of HS256 tokens, at least 32 bytes.
 * @property {string | null} jwks Where the keys of tokens are: a URL, or a file.
 * @property {string | null} issuer
 * @property {string | null} audience
 * @property {string} tenantClaim The claim that names the tenant.
 * @property {string | null} sessionKey Signs the cookies of sessions. Default: a new one for each process.
 * @property {number} sessionSeconds
 * @property {number} sessions How many at most.
 * @property {boolean} secureCookies Whether cookies go over TLS alone.
 * @property {number} rate Requests a second of one tenant.
 * @property {number} burst Requests of one tenant at once.
 * @property {number} streams Streams and sockets of one tenant at once.
 * @property {number} tenantsOpen How many tenants' handles are kept.
 * @property {number} bodyLimit Bytes of a body, but for documents.
 * @property {number} documentsLimit Bytes of a body of documents.
 * @property {number} headersSeconds Within which the headers of a request must be there.
 * @property {number} requestSeconds Within which a request must be there.
 * @property {number} stallSeconds After which a client that does not read is cut.
 * @property {number} graceSeconds For which what runs is waited for at the end.
 * @property {(() => void) | null} stuck Called where something still runs then. Default: it is cancelled.
 * @property {string[]} engines The base URLs of Python engines.
 * @property {number} engineSeconds Until an engine answers, and between two pieces of its answer.
 * @property {number} engineHealthMs From one health check of an engine to the next.
 * @property {number} breakerFailures So many in a row, and an engine is left out.
 * @property {number} breakerSeconds For so long.
 * @property {number} cacheBytes Of the engines' answers that are kept.
 */

/** @type {Omit<Settings, 'folder'>} */
export const DEFAULTS = {
  catalog: 'healthcare',
  workflows: new URL('../workflows/', import.meta.url).pathname,
  readOnly: false,
  log: false,
  model: 'extractive',
  extension: null,
  jwtSecret: null,
  jwks: null,
  issuer: null,
  audience: null,
  tenantClaim: 'tenant',
  sessionKey: null,
  sessionSeconds: 8 * 3600,
  sessions: 10_000,
  secureCookies: false,
  rate: 100,
  burst: 400,
  streams: 64,
  tenantsOpen: 256,
  bodyLimit: 1 << 20,
  documentsLimit: 64 << 20,
  headersSeconds: 10,
  requestSeconds: 60,
  stallSeconds: 30,
  graceSeconds: 10,
  stuck: null,
  engines: [],
  engineSeconds: 30,
  engineHealthMs: 5000,
  breakerFailures: 5,
  breakerSeconds: 10,
  cacheBytes: 32 << 20,
};

/** Which variable says which number. @type {Record<string, keyof Settings>} */
const NUMBERS = {
  QUORATE_SESSION_SECONDS: 'sessionSeconds',
  QUORATE_SESSIONS: 'sessions',
  QUORATE_RATE: 'rate',
  QUORATE_BURST: 'burst',
  QUORATE_STREAMS: 'streams',
  QUORATE_TENANTS_OPEN: 'tenantsOpen',
  QUORATE_BODY_LIMIT: 'bodyLimit',
  QUORATE_DOCUMENTS_LIMIT: 'documentsLimit',
  QUORATE_HEADERS_SECONDS: 'headersSeconds',
  QUORATE_REQUEST_SECONDS: 'requestSeconds',
  QUORATE_STALL_SECONDS: 'stallSeconds',
  QUORATE_GRACE_SECONDS: 'graceSeconds',
  QUORATE_ENGINE_SECONDS: 'engineSeconds',
  QUORATE_ENGINE_HEALTH_MS: 'engineHealthMs',
  QUORATE_BREAKER_FAILURES: 'breakerFailures',
  QUORATE_BREAKER_SECONDS: 'breakerSeconds',
  QUORATE_CACHE_BYTES: 'cacheBytes',
};

/** Which variable says which text. @type {Record<string, keyof Settings>} */
const TEXTS = {
  QUORATE_FOLDER: 'folder',
  QUORATE_CATALOG: 'catalog',
  QUORATE_WORKFLOWS: 'workflows',
  QUORATE_MODEL: 'model',
  QUORATE_JWT_SECRET: 'jwtSecret',
  QUORATE_JWKS: 'jwks',
  QUORATE_ISSUER: 'issuer',
  QUORATE_AUDIENCE: 'audience',
  QUORATE_TENANT_CLAIM: 'tenantClaim',
  QUORATE_SESSION_KEY: 'sessionKey',
};

/**
 * The settings that the environment says.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<Partial<Settings> & { folder: string, host: string, port: number }>}
 */
export async function fromEnvironment(env) {
  /** @type {Record<string, unknown>} */
  const found = { folder: 'quorate-data' };
  for (const [name, key] of Object.entries(TEXTS)) if (env[name]) found[key] = env[name];
  for (const [name, key] of Object.entries(NUMBERS)) {
    if (!env[name]) continue;
    const number = Number(env[name]);
    if (!Number.isFinite(number) || number <= 0) throw new Error(`${name} is '${env[name]}'; a number above 0 is expected`);
    found[key] = number;
  }
  if (env['QUORATE_READ_ONLY']) found['readOnly'] = true;
  if (env['QUORATE_SECURE_COOKIES']) found['secureCookies'] = true;
  if (env['QUORATE_ENGINES']) found['engines'] = env['QUORATE_ENGINES'].split(',').map((one) => one.trim()).filter(Boolean);
  if (env['QUORATE_EXTENSION']) found['extension'] = (await import(pathToFileURL(resolve(env['QUORATE_EXTENSION'])).href)).default;
  const host = env['HOST'] ?? '127.0.0.1';
  const closed = env['QUORATE_JWT_SECRET'] || env['QUORATE_JWKS'];
  if (!closed && !['127.0.0.1', '::1', 'localhost'].includes(host) && !env['QUORATE_TRUST_TENANT_HEADER']) {
    throw new Error(`without QUORATE_JWKS or QUORATE_JWT_SECRET everybody who reaches ${host} may name any tenant; set one, or QUORATE_TRUST_TENANT_HEADER=1 behind a login of your own`);
  }
  return /** @type {any} */ ({ ...found, host, port: Number(env['PORT'] ?? 8080) });
}
