// What do the tests of the gateway share?

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createApp } from '../src/app.js';

export const DOCUMENTS = [
  { id: 'metformin', title: 'Metformin label', text: 'Metformin is contraindicated below an eGFR of 30. Assess renal function first.', metadata: { year: 2024, kind: 'label' } },
  { id: 'dosing', title: 'Dosing in renal disease', text: 'Doses of renally cleared drugs such as metformin are reduced when kidney function declines.', metadata: { year: 2022, kind: 'guideline' } },
  { id: 'ecg', title: 'Software as a device', text: 'An ECG app that detects atrial fibrillation needs a 510(k) clearance before it is marketed in the United States.', metadata: { year: 2019, kind: 'guideline' } },
  { id: 'predicate', title: 'Substantial equivalence', text: 'A 510(k) argues substantial equivalence to a predicate device that is legally on the market.', metadata: { year: 2021, kind: 'guideline' } },
  { id: 'coverage', title: 'Coverage of remote monitoring', text: 'Medicare pays for remote ECG monitoring when a physician orders it and the device is cleared.', metadata: { year: 2023, kind: 'policy' } },
  { id: 'asthma', title: 'Asthma in adults', text: 'Inhaled corticosteroids are the first choice for the control of asthma in adults.', metadata: { year: 2021, kind: 'guideline' } },
];

/** Runs `work` with a gateway that listens on a free port of this machine. */
export async function withGateway(work) {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-gateway-'));
  const app = await createApp({ folder });
  try {
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const call = async (path, { body, tenant = 'acme', method = body === undefined ? 'GET' : 'POST', ...more } = {}) => {
      const headers = { ...(tenant && { 'x-tenant': tenant }), ...(body !== undefined && { 'content-type': 'application/json' }) };
      const response = await fetch(`${url}${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), ...more });
      const text = await response.text();
      const json = response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : undefined;
      return { status: response.status, text, json, headers: response.headers };
    };
    return await work({ app, url, call, folder });
  } finally {
    await app.close();
    await rm(folder, { recursive: true, force: true });
  }
}
