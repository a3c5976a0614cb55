// What the browser tests share: the browser, the made-up cluster, a sign-in, axe, counting.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const UI = join(import.meta.dirname, '..', '..', 'ui');
const require = createRequire(join(UI, 'package.json'));
const { chromium } = require('playwright-core');
const axe = require('axe-core');

const WAIT_MS = 10_000;
const FLAGS = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update'];
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

let passed = 0;
const failures = [];
const stops = [];

/** Runs one check and says how it went; whether it went well. */
export async function check(name, body) {
  const start = Date.now();
  try {
    const note = await body();
    passed += 1;
    console.log(`ok    ${name}${note ? `: ${note}` : ''} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    failures.push(name);
    console.log(`FAIL  ${name}\n      ${String(error.message ?? error).split('\n').slice(0, 12).join('\n      ')}`);
    return false;
  }
}

export function must(condition, text) {
  if (!condition) throw new Error(text);
}

/** A folder for pictures. */
export const picturesOf = (name) => mkdtempSync(join(tmpdir(), `tepui-${name}-`));

/** The made-up cluster; its address. It ends with the tests. */
export async function cluster(world, ...more) {
  const child = spawn(process.execPath, [join(UI, 'dev', 'fixture.mjs'), '--port', '0', '--world', world, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stops.push(() => child.kill());
  return new Promise((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(/http:\S+/.exec(String(data))[0]));
    child.once('exit', () => reject(new Error('the made-up cluster did not start')));
  });
}

export async function launch() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  stops.push(() => browser.close());
  return browser;
}

/** A page of its own, signed in at `base`. */
export async function signedIn(browser, base, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  await page.goto(`${base}/`);
  await page.locator('input[name=uid]').fill(process.env.TEPUI_USER ?? 'admin');
  await page.locator('input[name=password]').fill(process.env.TEPUI_PASSWORD ?? 'admin');
  await page.locator('button[type=submit]').click();
  await page.locator('nav').first().waitFor();
  return page;
}

/** What goes wrong on a page from now on: errors, dialogs, and what is refused but for the `expected` statuses. */
export function watched(page, expected) {
  const problems = [];
  const isExpected = new RegExp(`status of (${expected.join('|')})`);
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('dialog', (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    if (message.type() === 'error' && !isExpected.test(message.text())) problems.push(message.text());
  });
  return problems;
}

/** Nothing is wider than the window. */
export async function fits(page, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  must(wide <= 0, `${name} is ${wide} px wider than the window`);
}

/** No rule of axe is broken (`within` a part of the page) but those left out, and nothing is wider than the window. */
export async function sound(page, name, without = [], within = 'html') {
  await fits(page, name);
  // What is half faded in has half of its contrast.
  await page.evaluate(() => {
    const short = document.getAnimations().filter((animation) => animation.effect.getComputedTiming().endTime < 1_000);
    return Promise.allSettled(short.map((animation) => animation.finished));
  });
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe.source);
  const rules = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]));
  const { violations } = await page.evaluate(
    ([part, values, off]) => globalThis.axe.run(part === 'html' ? document : part, { runOnly: values, rules: off }),
    [within, RULES, rules],
  );
  const told = violations.map((v) => `${name}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`);
  must(violations.length === 0, told.join('\n'));
}

/** Where the focus is, in words. */
export const focused = (page) =>
  page.evaluate(() => {
    const at = document.activeElement;
    if (!at || at === document.body) return 'body';
    return `${at.tagName} ${at.dataset.row ?? at.getAttribute('aria-label') ?? at.textContent}`;
  });

/** Ends what was started; says how many checks passed. */
export async function finish() {
  for (const stop of stops.reverse()) await stop();
  console.log(`${passed} passed, ${failures.length} failed`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
