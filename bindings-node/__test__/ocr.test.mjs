// Does a function of the host read pages that are images?

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { InvalidInput, open } from 'quorate';

import { fails, inFolder } from './support/kb.mjs';

/** A PDF whose pages are images alone: 8 bits of gray a point, row by row. */
function imagePdf({ pages = 1, width = 60, height = 80, gray = Buffer.alloc(width * height, 200) } = {}) {
  const stream = (head, body) => Buffer.concat([Buffer.from(`<< ${head} /Length ${body.length} >>\nstream\n`), body, Buffer.from('\nendstream')]);
  const image = `/Type /XObject /Subtype /Image /Width ${width} /Height ${height} /ColorSpace /DeviceGray /BitsPerComponent 8`;
  const objects = ['<< /Type /Catalog /Pages 2 0 R >>', ''];
  const kids = [];
  for (let i = 0; i < pages; i++) {
    const number = objects.length + 1;
    kids.push(`${number} 0 R`);
    const parts = `/Contents ${number + 1} 0 R /Resources << /XObject << /I ${number + 2} 0 R >> >>`;
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${width} ${height}] ${parts} >>`,
      stream('', Buffer.from(`q ${width} 0 0 ${height} 0 0 cm /I Do Q`)),
      stream(image, gray),
    );
  }
  objects[1] = `<< /Type /Pages /Kids [${kids.join(' ')}] /Count ${pages} >>`;
  let out = Buffer.from('%PDF-1.4\n');
  const places = [];
  objects.forEach((body, i) => {
    places.push(out.length);
    out = Buffer.concat([out, Buffer.from(`${i + 1} 0 obj\n`), Buffer.from(body), Buffer.from('\nendobj\n')]);
  });
  const rows = places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`).join('');
  const size = objects.length + 1;
  const end = `xref\n0 ${size}\n0000000000 65535 f \n${rows}trailer\n<< /Size ${size} /Root 1 0 R >>\nstartxref\n${out.length}\n%%EOF\n`;
  return Buffer.concat([out, Buffer.from(end)]);
}

const scanned = (work, pdf = imagePdf()) =>
  inFolder(async (folder) => {
    const path = join(folder, 'scan.pdf');
    await writeFile(path, pdf);
    return work(await open(null), path, folder);
  });

test('pages without text are read, by functions that answer at once or later', () =>
  scanned(async (kb, path, root) => {
    const seen = [];
    const ocr = async (png) => {
      seen.push(png);
      await new Promise(setImmediate);
      return `Metformin, page ${seen.length}.`;
    };
    const report = await kb.addFiles(path, { root, ocr });
    assert.deepEqual([report.added, seen.length], [2, 2]);
    assert.ok(seen.every((png) => Buffer.isBuffer(png) && png.subarray(1, 4).toString() === 'PNG'));
    const documents = await kb.documents();
    assert.deepEqual(documents.map((one) => one.text.trim()).sort(), ['Metformin, page 1.', 'Metformin, page 2.']);
    assert.ok(documents.every((one) => one.metadata.ocr === true));
    const other = await open(null);
    assert.equal((await other.upsertFiles(path, { root, ocr: () => 'Insulin.' })).added, 2);
    assert.equal((await other.syncFiles(path, { root, ocr: () => 'Insulin.' })).deleted, 0);
    assert.equal((await other.documents())[0].text.trim(), 'Insulin.');
  }, imagePdf({ pages: 2 })));

test('what it throws ends the call', () =>
  scanned(async (kb, path) => {
    const mine = new RangeError('mine');
    const isMine = (error) => fails(InvalidInput, 'callback')(error) && error.cause === mine;
    const throws = () => {
      throw mine;
    };
    for (const onError of ['stop', 'skip']) {
      await assert.rejects(kb.addFiles(path, { ocr: throws, onError }), isMine);
      await assert.rejects(kb.addFiles(path, { ocr: async () => throws(), onError }), isMine);
    }
    for (const nonsense of [undefined, 7, Buffer.from('x'), Object.create(null)]) {
      const refused = (error) => fails(InvalidInput, 'callback')(error) && /ocr gave/.test(error.cause.message);
      await assert.rejects(kb.addFiles(path, { ocr: () => nonsense }), refused);
    }
    for (const ocr of ['tesseract', 7, {}]) await assert.rejects(kb.addFiles(path, { ocr }), fails(InvalidInput, 'invalid_argument', /ocr/));
    const controller = new AbortController();
    const waits = () => {
      controller.abort();
      return new Promise(() => {});
    };
    await assert.rejects(kb.addFiles(path, { ocr: waits, signal: controller.signal }), (error) => error.code === 'cancelled');
    assert.equal(await kb.count(), 0);
  }));

const hasTesseract = spawnSync('tesseract', ['--version']).status === 0;

test('with tesseract', { skip: !hasTesseract && 'tesseract is not here' }, () => {
  // Capital letters of 5 x 7 points.
  const LETTERS = {
    T: ['11111', '00100', '00100', '00100', '00100', '00100', '00100'],
    I: ['11111', '00100', '00100', '00100', '00100', '00100', '11111'],
    L: ['10000', '10000', '10000', '10000', '10000', '10000', '11111'],
    E: ['11111', '10000', '10000', '11110', '10000', '10000', '11111'],
    S: ['01111', '10000', '10000', '01110', '00001', '00001', '11110'],
  };
  const [point, word] = [8, 'TILES'];
  const [width, height] = [point * (6 * word.length + 10), point * 17];
  const gray = Buffer.alloc(width * height, 255);
  [...word].forEach((letter, at) =>
    LETTERS[letter].forEach((row, y) =>
      [...row].forEach((bit, x) => {
        if (bit === '0') return;
        for (let py = 0; py < point; py++) {
          const start = ((5 + y) * point + py) * width + (5 + at * 6 + x) * point;
          gray.fill(0, start, start + point);
        }
      }),
    ),
  );
  return scanned(async (kb, path, root) => {
    const ocr = (png) => execFileSync('tesseract', ['stdin', 'stdout', '--dpi', '300', '--psm', '7'], { input: png, stdio: ['pipe', 'pipe', 'ignore'] }).toString();
    await kb.addFiles(path, { root, ocr });
    assert.match((await kb.documents())[0].text, /TILES/i);
  }, imagePdf({ width, height, gray }));
});
