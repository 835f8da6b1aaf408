// What do the tests of the gateway share?

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { SignJWT } from 'jose';

import { createApp } from '../src/app.js';

export const DOCUMENTS = [
  { id: 'metformin', title: 'Metformin label', text: 'Metformin is contraindicated below an eGFR of 30. Assess renal function first.', metadata: { year: 2024, kind: 'label' } },
  { id: 'dosing', title: 'Dosing in renal disease', text: 'Doses of renally cleared drugs such as metformin are reduced when kidney function declines.', metadata: { year: 2022, kind: 'guideline' } },
  { id: 'ecg', title: 'Software as a device', text: 'An ECG app that detects atrial fibrillation needs a 510(k) clearance before it is marketed in the United States.', metadata: { year: 2019, kind: 'guideline' } },
  { id: 'predicate', title: 'Substantial equivalence', text: 'A 510(k) argues substantial equivalence to a predicate device that is legally on the market.', metadata: { year: 2021, kind: 'guideline' } },
  { id: 'coverage', title: 'Coverage of remote monitoring', text: 'Medicare pays for remote ECG monitoring when a physician orders it and the device is cleared.', metadata: { year: 2023, kind: 'policy' } },
  { id: 'asthma', title: 'Asthma in adults', text: 'Inhaled corticosteroids are the first choice for the control of asthma in adults.', metadata: { year: 2021, kind: 'guideline' } },
];

/** Runs `work` with a gateway in this process that listens on a free port of this machine. */
export async function withGateway(work, settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-gateway-'));
  const app = await createApp({ folder, ...settings });
  try {
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    return await work({ app, url, call: caller(url), folder });
  } finally {
    await app.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A function that asks a gateway. `token` takes the place of `tenant`. */
export function caller(url) {
  return async (path, { body, token, tenant = token ? '' : 'acme', method = body === undefined ? 'GET' : 'POST', headers: more = {}, ...init } = {}) => {
    const headers = {
      ...(tenant && { 'x-tenant': tenant }),
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...more,
    };
    const response = await fetch(`${url}${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), ...init });
    const text = await response.text();
    const json = response.headers.get('content-type')?.includes('json') && text ? JSON.parse(text) : undefined;
    return { status: response.status, text, json, headers: response.headers };
  };
}

/** The server as a process of its own; `folder` stays when it has ended. */
export async function start(folder, env = {}) {
  const main = new URL('../src/main.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [main], { env: { ...process.env, QUORATE_FOLDER: folder, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));
  let said = '';
  for (const pipe of [child.stdout, child.stderr]) pipe.on('data', (data) => (said = (said + data).slice(-200_000)));
  const url = await new Promise((resolve, reject) => {
    child.stdout.on('data', () => {
      const found = /listening at (http:[^"]+)/.exec(said);
      if (found) resolve(found[1]);
    });
    child.once('exit', () => reject(new Error(said)));
  });
  return {
    url,
    child,
    call: caller(url),
    said: () => said,
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}

/** Runs `work` with the server as a process of its own. */
export async function withServer(work, env = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-gateway-'));
  const server = await start(folder, env);
  try {
    return await work({ ...server, folder });
  } finally {
    await server.end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

export const SECRET = 'a secret of tests that has more than 32 bytes';

/** A token; what `claims` sets to undefined is left out. */
export function token(claims = {}, { secret = SECRET, alg = 'HS256', seconds = 600 } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const all = { tenant: 'acme', sub: 'ann', aud: 'quorate', exp: now + seconds, ...claims };
  return new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret));
}

/** The events of a stream that was read to its end. */
export function eventsOf(text) {
  return text
    .split('\n\n')
    .filter((one) => one.trim() && !one.startsWith(':'))
    .map((one) => {
      const lines = Object.fromEntries(one.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
      return { ...lines, data: JSON.parse(lines.data) };
    });
}

/** Waits until something holds. */
export async function until(check, what, seconds = 10) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what} did not happen within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
