// Does a person see in a real browser what was found, and why?

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { chromium } from 'playwright-core';

import { DOCUMENTS, withGateway } from './support.js';

const CHROMIUM = [process.env.QUORATE_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
/** Where screenshots go, if anywhere. */
const SHOTS = process.env.QUORATE_SCREENSHOTS;

async function withPage(work, viewport = { width: 1280, height: 960 }) {
  assert.ok(CHROMIUM, 'no Chromium; install the package chromium, or name one in QUORATE_CHROMIUM');
  const profile = await mkdtemp(join(tmpdir(), 'quorate-chromium-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, headless: true, args: FLAGS, viewport });
  try {
    const page = await context.newPage();
    const problems = [];
    page.on('pageerror', (error) => problems.push(error));
    page.on('requestfailed', (request) => problems.push(new Error(`${request.url()} failed`)));
    await work(page);
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  }
}

async function shot(page, name) {
  if (!SHOTS) return;
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

test('a person asks, sees passages, opens an explanation, and looks at a panel', () =>
  withGateway(async ({ url, call }) => {
    await call('/documents', { body: { documents: DOCUMENTS }, tenant: 'default' });
    await withPage(async (page) => {
      await page.goto(url);
      await page.waitForFunction(() => /quorate \d/.test(document.getElementById('status').textContent));
      await shot(page, '1-empty');
      await page.fill('#query', 'Is a 510(k) needed for our ECG app?');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.hit');
      const titles = await page.locator('.hit-title').allTextContents();
      assert.match(titles[0], /Software as a device|Substantial equivalence/);
      assert.equal(await page.locator('.hit .bar.words').count(), titles.length);
      assert.equal(await page.locator('.hit .bar.meaning').count(), titles.length);

      const first = page.locator('.hit').first();
      assert.equal(await first.locator('.why').isVisible(), false);
      await first.locator('summary').click();
      assert.equal(await first.locator('.why').isVisible(), true);
      assert.ok((await first.locator('.why tbody tr').count()) > 1);
      assert.match(await first.locator('.why').textContent(), /x .* \(words\) \+ .* \(meaning\) = /);

      await page.waitForSelector('#context mark');
      assert.match(await page.locator('#tokens').textContent(), /^\d+ tokens$/);
      assert.ok((await page.locator('#context .cites li').count()) > 0);
      assert.ok((await page.locator('#experts .expert-head').count()) > 0);
      assert.match(await page.locator('#experts .words-used').first().textContent(), /\S/);

      assert.equal(await page.locator('.ballot').count(), 5);
      assert.equal(await page.locator('.verdict .decision').count(), 0);
      for (let i = 0; i < 5; i++) await page.locator('.ballot select').nth(i).selectOption(i < 4 ? 'yes' : 'no');
      await page.waitForFunction(() => document.querySelectorAll('.factions li').length === 2 && document.querySelector('.level').textContent === 'strong');
      assert.match(await page.locator('.decision').textContent(), /yes.*strong/);
      const dissenter = await page.locator('.ballot').last().getAttribute('data-voter');
      assert.match(await page.locator('.factions').textContent(), new RegExp(`no 20 % \\(minority\\) ${dissenter.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`));
      assert.equal(await page.locator('#problem').isVisible(), false);
      await shot(page, '2-answers');
      await page.locator('.ballot').last().locator('select').selectOption('yes');
      await page.waitForFunction(() => document.querySelector('.level').textContent === 'unanimous');

      await page.selectOption('#mode', 'lexical');
      await page.waitForFunction(() => document.querySelectorAll('.bar.meaning').length === 0);
      await page.fill('#where', 'year >');
      await page.click('button[type=submit]');
      await page.waitForSelector('#problem:not([hidden])');
      assert.match(await page.locator('#problem').textContent(), /filter_syntax/);
      await shot(page, '3-problem');
    });
  }));

test('the page holds on a small screen, and never runs what documents say', () =>
  withGateway(async ({ url, call }) => {
    const evil = { id: 'evil', title: '<img src=x onerror="window.pwned=1">', text: '<script>window.pwned = 1</script> metformin metformin', metadata: { tag: '<b onclick=1>' } };
    await call('/documents', { body: { documents: [evil, ...DOCUMENTS] }, tenant: 'default' });
    await withPage(async (page) => {
      await page.goto(url);
      await page.fill('#query', 'metformin');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.hit');
      assert.equal(await page.evaluate(() => window.pwned), undefined);
      assert.match(await page.locator('.hits').textContent(), /<script>/);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `the page is ${wide} pixels wider than the screen`);
      await shot(page, '4-small');
    }, { width: 400, height: 800 });
  }));
