// What do the tests of knowledge bases share?

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { open } from 'quorate';

export const DOCUMENTS = [
  {
    id: 'metformin',
    title: 'Metformin label',
    text: 'Metformin is contraindicated below an eGFR of 30. Assess renal function before starting metformin.',
    metadata: { year: 2024, kind: 'label', tags: ['fda', 'renal'], maker: { name: 'Acme', share: 0.5 } },
  },
  {
    id: 'ecg',
    title: 'Software as a device',
    text: 'An ECG app that detects atrial fibrillation needs a 510(k) clearance before it is marketed.',
    metadata: { year: 2019, kind: 'guideline', tags: ['fda'], draft: true },
  },
  {
    id: 'asthma',
    text: 'Inhaled corticosteroids are the first choice for the control of asthma in adults.',
    source: 'https://example.org/asthma',
    metadata: { year: 2021, kind: 'guideline', tags: [] },
  },
];

/** Runs `work` with a fresh folder, which is gone afterwards. */
export async function inFolder(work) {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs `work` with a knowledge base of `documents` in a fresh folder. */
export async function withKb(work, documents = DOCUMENTS, options = {}) {
  return inFolder(async (folder) => {
    const place = join(folder, 'kb');
    const kb = await open(place, options);
    try {
      if (documents.length > 0) await kb.add(documents);
      return await work(kb, place);
    } finally {
      await kb.close();
    }
  });
}

/** A check for `assert.rejects` and `assert.throws`: this class, this code, and a message that matches. */
export function fails(kind, code, message = /./) {
  return (error) => {
    if (!(error instanceof kind)) throw new Error(`${error?.name} (${error?.code}) is no ${kind.name}: ${error?.stack}`);
    if (error.code !== code) throw new Error(`the code is ${error.code} (${error.message}), expected ${code}`);
    if (!message.test(error.message)) throw new Error(`'${error.message}' does not match ${message}`);
    return true;
  };
}
