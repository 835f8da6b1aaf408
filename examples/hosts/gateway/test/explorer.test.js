// Does a person see in a real browser what was found, and why?

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { chromium } from 'playwright-core';

import extension from './extension.js';
import { DOCUMENTS, SECRET, token, withGateway } from './support.js';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const CHROMIUM = [process.env.QUORATE_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
/** Where screenshots go, if anywhere. */
const SHOTS = process.env.QUORATE_SCREENSHOTS;

async function withPage(work, viewport = { width: 1280, height: 960 }, colorScheme = 'light') {
  assert.ok(CHROMIUM, 'no Chromium; install the package chromium, or name one in QUORATE_CHROMIUM');
  const profile = await mkdtemp(join(tmpdir(), 'quorate-chromium-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, headless: true, args: FLAGS, viewport, colorScheme, reducedMotion: 'reduce' });
  try {
    const page = await context.newPage();
    const problems = [];
    page.on('pageerror', (error) => problems.push(error));
    // A stream that is left is no failure.
    page.on('requestfailed', (request) => request.failure()?.errorText !== 'net::ERR_ABORTED' && problems.push(new Error(`${request.url()} failed`)));
    // What the policy forbids is told on the console.
    page.on('console', (message) => /Content Security Policy|Trusted/.test(message.text()) && problems.push(new Error(message.text())));
    page.on('request', (request) => !request.url().startsWith('http://127.0.0.1') && !request.url().startsWith('data:') && problems.push(new Error(`asked ${request.url()}`)));
    await work(page);
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  }
}

/** What axe finds wrong with the page as it is. */
async function accessible(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${what}: ${id}: ${nodes.slice(0, 3).map((one) => `${one.html.slice(0, 200)} ${one.any[0]?.message ?? ''}`).join(' | ')}`), []);
}

/** The page is no wider than the screen. */
async function fits(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${what} is ${wide} pixels wider than the screen`);
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

      await page.waitForSelector('#context .cite');
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
      await accessible(page, 'search');
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
      await fits(page, 'search');
      await shot(page, '4-small');
    }, { width: 400, height: 800 });
  }));

const QUESTION = 'Is a 510(k) needed for our ECG app?';

/** A person asks, decides, and looks at what was done: by the keyboard alone where `keyboard` says so. */
async function tour(page, url, name) {
  await page.goto(`${url}/#ask`);
  await page.waitForFunction(() => /quorate \d/.test(document.getElementById('status').textContent));
  // The field has the focus already.
  await page.keyboard.type('There was a lactic acidosis under metformin: file it');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.type('endocrinology');
  await page.keyboard.press('Enter');
  await page.waitForSelector('div.approval');
  assert.match(await page.locator('div.approval').textContent(), /file_report waits for your approval/);
  await accessible(page, `${name}: approval`);
  await fits(page, `${name}: approval`);
  await shot(page, `${name}-ask-approval`);
  // The button to approve has the focus.
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('ask-state').textContent === 'done');
  assert.match(await page.locator('#ask-answer').textContent(), /The report is filed/);
  assert.match(await page.locator('#ask-work').textContent(), /R-1/);
  assert.match(await page.locator('#ask-facts').textContent(), /\$ 0\.00/);
  await page.locator('#ask-answer .cite').first().click();
  await page.waitForSelector('#passage[open] mark');
  assert.match(await page.locator('#passage').textContent(), /Metformin is contraindicated|Doses of renally/);
  await accessible(page, `${name}: passage`);
  await shot(page, `${name}-ask-passage`);
  await page.keyboard.press('Escape');
  await accessible(page, `${name}: answer`);
  await shot(page, `${name}-ask-answer`);

  await page.goto(`${url}/#panel`);
  await page.fill('#panel-question', QUESTION);
  await page.selectOption('#panel-type', 'delphi');
  await page.keyboard.press('Tab');
  await page.locator('#panel-form button[type=submit]').click();
  await page.waitForSelector('#panel-outcome .decision');
  assert.equal(await page.locator('.moves tbody tr').count(), 5);
  assert.ok((await page.locator('.moves thead th').count()) > 2, 'more than one round');
  assert.ok((await page.locator('.moves td b').count()) >= 10, 'positions');
  assert.ok((await page.locator('.moves td.moved').count()) >= 1, 'somebody moved');
  assert.ok((await page.locator('#panel-minority blockquote').count()) >= 1, 'a minority');
  assert.ok((await page.locator('#panel-rounds li').count()) >= 1);
  await accessible(page, `${name}: panel`);
  await fits(page, `${name}: panel`);
  await shot(page, `${name}-panel`);

  await page.goto(`${url}/#workflows`);
  await page.waitForSelector('#graph svg');
  assert.equal(await page.inputValue('#workflow'), 'reviewed_answer');
  await page.locator('#workflow-form button[type=submit]').click();
  await page.waitForSelector('#graph .node.waiting[data-step=approval]');
  await page.waitForSelector('.review');
  await accessible(page, `${name}: workflow`);
  await fits(page, `${name}: workflow`);
  await shot(page, `${name}-workflow-waits`);
  await page.locator('.review input').fill('sound');
  await page.locator('.review button', { hasText: 'approve' }).click();
  await page.waitForSelector('#run-state .pill.completed');
  await page.waitForSelector('#graph .node.completed[data-step=approval]');
  assert.match(await page.locator('#run-ending').textContent(), /approved/);
  assert.match(await page.locator('#reviews').textContent(), /Nothing waits/);
  await page.selectOption('#workflow', 'regulatory.fda_510k_submission');
  await page.waitForSelector('#graph [data-step=sign_off]');
  await page.check('#workflow-offline');
  await page.locator('#workflow-form button[type=submit]').click();
  await page.waitForSelector('#run-state .pill.completed');
  assert.equal(await page.locator('#graph .edge.back').count(), 1);
  assert.ok((await page.locator('#steps tbody tr').count()) >= 15);
  await accessible(page, `${name}: graph`);
  await fits(page, `${name}: graph`);
  await shot(page, `${name}-workflow-graph`);

  await page.goto(`${url}/#agents`);
  await page.waitForSelector('.agent');
  await page.fill('#agents-query', QUESTION);
  await page.waitForFunction(() => document.querySelector('.agent h2')?.textContent === 'FDA 510(k) strategist');
  await page.locator('.agent summary').first().click();
  await page.waitForSelector('.agent .facts');
  await accessible(page, `${name}: agents`);
  await fits(page, `${name}: agents`);
  await shot(page, `${name}-agents`);
  await page.locator('.agent button').first().click();
  await page.waitForSelector('#ask:not([hidden])');
  assert.equal(await page.inputValue('#ask-agent'), 'fda-510k');

  await page.goto(`${url}/#runs`);
  await page.locator('#runs-list button', { hasText: 'lactic acidosis' }).first().click();
  await page.waitForSelector('.journal li');
  assert.match(await page.locator('#run-facts').textContent(), /read, \d+ written.*\$ /s);
  await page.locator('.journal summary', { hasText: 'tool call' }).first().click();
  await accessible(page, `${name}: runs`);
  await fits(page, `${name}: runs`);
  await shot(page, `${name}-runs`);
}

for (const [name, viewport, scheme] of [['wide', { width: 1280, height: 960 }, 'light'], ['dark', { width: 1280, height: 960 }, 'dark'], ['small', { width: 390, height: 800 }, 'light']]) {
  test(`a person asks, approves, looks at a panel, decides a review, and reads what was done (${name})`, () =>
    withGateway(async ({ url, call }) => {
      await call('/v1/documents', { body: { documents: DOCUMENTS }, tenant: 'default' });
      await withPage((page) => tour(page, url, name), viewport, scheme);
    }, { extension }));
}

test('views are reached by keys, and what documents say is text in all of them', () =>
  withGateway(async ({ url, call }) => {
    const evil = { id: 'evil', title: '<img src=x onerror="window.pwned=1">', text: '<script>window.pwned = 1</script> Metformin is contraindicated <b onclick=1>below</b> an eGFR of 30.', metadata: { tag: '<b onclick=1>' } };
    await call('/v1/documents', { body: { documents: [evil] }, tenant: 'default' });
    await withPage(async (page) => {
      await page.goto(url);
      await page.waitForFunction(() => document.activeElement?.id === 'query');
      await page.evaluate(() => document.activeElement.blur());
      for (const [key, view, first] of [['2', 'ask', 'ask-question'], ['3', 'panel', 'panel-question'], ['4', 'workflows', 'workflow'], ['5', 'agents', 'agents-query'], ['6', 'runs', 'runs-status'], ['1', 'search', 'query']]) {
        await page.keyboard.press(key);
        await page.waitForFunction(([id, focus]) => !document.getElementById(id).hidden && document.activeElement?.id === focus, [view, first]);
        await page.evaluate(() => document.activeElement.blur());
      }
      await page.keyboard.press('/');
      assert.equal(await page.evaluate(() => document.activeElement.id), 'query');
      await page.keyboard.type('123');
      assert.equal(await page.inputValue('#query'), '123');
      await page.goto(`${url}/#ask`);
      await page.fill('#ask-question', 'metformin eGFR');
      await page.fill('#ask-agent', 'endocrinology');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => document.getElementById('ask-state').textContent === 'done');
      await page.locator('.cite, #ask-sources button').first().click();
      await page.waitForSelector('#passage[open]');
      assert.match(await page.locator('#passage').textContent(), /<script>window\.pwned/);
      assert.match(await page.locator('#passage-title').textContent(), /<img/);
      assert.equal(await page.evaluate(() => window.pwned), undefined);
      assert.equal(await page.locator('#passage img, #passage script, #passage b').count(), 0);
    });
  }));

test('with tokens a person logs in, and out', () =>
  withGateway(async ({ url, call }) => {
    const good = await token({ tenant: 'acme' });
    await call('/v1/documents', { body: { documents: DOCUMENTS }, token: good });
    await withPage(async (page) => {
      await page.goto(url);
      await page.waitForSelector('#login-form', { state: 'visible' });
      await accessible(page, 'login');
      await shot(page, '5-login');
      await page.fill('#token', 'rubbish');
      await page.keyboard.press('Enter');
      await page.waitForSelector('#problem:not([hidden])');
      await page.fill('#token', good);
      await page.keyboard.press('Enter');
      await page.waitForSelector('#query', { state: 'visible' });
      await page.fill('#query', 'metformin');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.hit');
      await page.click('#logout');
      await page.waitForSelector('#login-form', { state: 'visible' });
    });
  }, { jwtSecret: SECRET }));
