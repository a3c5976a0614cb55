// The page in a real browser, against a running tepui.
//
//   TEPUI_URL=http://127.0.0.1:8000 TEPUI_USER=… TEPUI_PASSWORD=… node tests/browser/run.mjs
//
// Signs in, runs a service of its own (or takes TEPUI_APP, say /demo/web), scales it and watches
// the number change, at 1440 and 390 px; every screen, light and dark, must satisfy axe, fit its
// width and obey the policy it was sent. Without TEPUI_URL it starts the made-up cluster of
// ui/dev. Needs `npm ci` in ui/ and Debian's chromium. Screenshots go to a folder it prints.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wire } from './wire.mjs';

const UI = join(import.meta.dirname, '..', '..', 'ui');
const require = createRequire(join(UI, 'package.json'));
const { chromium } = require('playwright-core');
const axe = require('axe-core');

const INITIAL_JS_MAX_BYTES = 150 * 1024;
const WAIT_MS = 20_000;
const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Each is opened in one scheme and looked at in both. */
const VIEWS = [
  { name: '1440', width: 1440, height: 900, colorScheme: 'light' },
  { name: '390', width: 390, height: 844, colorScheme: 'dark' },
];
const SCHEMES = ['light', 'dark'];

const shots = mkdtempSync(join(tmpdir(), 'tepui-browser-'));
let passed = 0;
const failures = [];

async function check(name, body) {
  try {
    const note = await body();
    passed += 1;
    console.log(`ok    ${name}${note ? `: ${note}` : ''}`);
    return true;
  } catch (error) {
    failures.push(name);
    console.log(`FAIL  ${name}\n      ${String(error.message ?? error).split('\n').slice(0, 12).join('\n      ')}`);
    return false;
  }
}

function must(condition, text) {
  if (!condition) throw new Error(text);
}

/** The made-up cluster, for when no server is given. */
async function startFixture() {
  const child = spawn(process.execPath, [join(UI, 'dev', 'fixture.mjs'), '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(String(data)));
    child.once('exit', () => reject(new Error('the fixture did not start')));
  });
  return { url: /http:\S+/.exec(line)[0], stop: () => child.kill() };
}

const fixture = process.env.TEPUI_URL ? undefined : await startFixture();
const origin = (process.env.TEPUI_URL ?? fixture.url).replace(/\/$/, '');
const user = process.env.TEPUI_USER ?? 'admin';
const password = process.env.TEPUI_PASSWORD ?? 'admin';
const line = await wire(origin);
const base = line.url;
const own = `/browser-test/clock-${Date.now().toString(36)}`;
/** A service no node can take: what waits must look right too. */
const stuck = `${own}-stuck`;
const app = process.env.TEPUI_APP ?? own;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
});

/** Opens a page that remembers what went wrong in it. */
async function open(view) {
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height },
    colorScheme: view.colorScheme,
  });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    const text = message.text();
    // The first question, whether there is a session, is answered with 401: that is no problem.
    if (message.type() === 'error' && !/status of 401/.test(text)) problems.push(text);
  });
  return { context, page, problems };
}

async function signIn(page) {
  await page.goto(`${base}/`);
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
}

async function settled(page) {
  const loading = page.getByText('Loading', { exact: true });
  for (const until = Date.now() + WAIT_MS; (await loading.count()) > 0; await page.waitForTimeout(50)) {
    must(Date.now() < until, 'it still loads');
  }
  await page.locator('h1, main h2').first().waitFor();
}

/** In both schemes no rule of axe broken, nothing wider than the screen; leaves a picture of each. */
async function examine(page, view, screen) {
  await page.evaluate(axe.source);
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await still(page);
    await examineIn(page, `${view.name}-${colorScheme}-${screen}`);
  }
  await page.emulateMedia({ colorScheme: view.colorScheme });
}

/** Colours have gone over into each other. */
async function still(page) {
  await page.evaluate(async () => {
    await new Promise((drawn) => requestAnimationFrame(drawn));
    const ends = (a) => a.effect.getComputedTiming().iterations !== Infinity;
    const moving = document.getAnimations().filter(ends);
    await Promise.all(moving.map((a) => a.finished.catch(() => undefined)));
  });
}

async function examineIn(page, screen) {
  await page.screenshot({ path: join(shots, `${screen}.png`) });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  must(wide <= 0, `${screen} is ${wide} px wider than the screen`);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }),
  );
  must(
    violations.length === 0,
    violations.map((v) => `${screen}: ${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`).join('\n'),
  );
}

const address = (tab = '', id = app) => `${base}/ui/services/-${id}${tab && `?tab=${tab}`}`;

async function instances(page) {
  const text = await page.getByTestId('instances').innerText();
  const [, running, wanted] = /(\d+) of (\d+)/.exec(text) ?? [];
  return { running: Number(running), wanted: Number(wanted) };
}

async function scaleTo(page, n) {
  await page.getByRole('button', { name: 'Scale', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Instances', { exact: true }).fill(String(n));
  await dialog.getByRole('button', { name: `Scale to ${n}` }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByTestId('instances').getByText(`${n} of ${n}`).waitFor();
}

/** Runs a definition that is pasted as JSON. */
async function write(page, spec) {
  await page.goto(`${base}/ui/services/create?view=json`);
  await page.getByRole('button', { name: /^From scratch/ }).click();
  const editor = page.getByTestId('editor').getByRole('textbox');
  await editor.click();
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(JSON.stringify(spec));
  await page.getByTestId('plan').getByText(/starts?\./).waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
}

async function runOwn(page) {
  const spec = { id: own, cmd: 'while true; do date; sleep 1; done', cpus: 0.01, mem: 16, instances: 1 };
  await write(page, spec);
  await page.getByTestId('instances').getByText('1 of 1').waitFor();
  await write(page, { ...spec, id: stuck, cpus: 100_000 });
  await page.getByText('Waiting', { exact: true }).waitFor();
}

async function screens(page, view) {
  const list = [
    ['dashboard', `${base}/ui/`],
    ['services', `${base}/ui/services`],
    ['filtered', `${base}/ui/services?q=no-such-service`],
    ['service', address()],
    ['instances', address('instances')],
    ['logs', address('logs')],
    ['why', address('why')],
    ['configuration', address('config')],
    ['nodes', `${base}/ui/nodes`],
    ['volumes', `${base}/ui/volumes`],
    ['efficiency', `${base}/ui/efficiency`],
    ['cluster', `${base}/ui/cluster`],
    ['users', `${base}/ui/users`],
    ['create', `${base}/ui/services/create`],
    ['deployments', `${base}/ui/deployments`],
    ...(app === own
      ? [
          ['waiting', address('', stuck)],
          ['waiting-why', address('why', stuck)],
        ]
      : []),
    ['missing', `${base}/ui/no-such-page`],
    ['gone', `${base}/ui/services/-/no/such/service`],
  ];
  for (const [name, url] of list) {
    await check(`${view.name}: ${name} is sound`, async () => {
      await page.goto(url);
      await settled(page);
      await examine(page, view, name);
    });
  }
  await check(`${view.name}: a node is sound`, async () => {
    await page.goto(`${base}/ui/nodes?view=list`);
    await page.getByRole('table', { name: 'Nodes' }).getByRole('link').first().click();
    await page.getByRole('heading', { name: /instances?$/ }).waitFor();
    await examine(page, view, 'node');
  });
}

async function inView(view, first) {
  const { context, page, problems } = await open(view);
  await check(`${view.name}: sign-in is sound`, async () => {
    await page.goto(`${base}/`);
    await page.getByLabel('User').waitFor();
    await examine(page, view, 'signin');
  });
  const inside = await check(`${view.name}: signs in`, () => signIn(page));
  if (inside) {
    if (first && app === own) await check(`${view.name}: runs a service`, () => runOwn(page));
    await check(`${view.name}: the list shows the service running`, async () => {
      await page.goto(`${base}/ui/services?q=${encodeURIComponent(app)}`);
      const row = page
        .getByRole('row')
        .filter({ has: page.getByRole('link', { name: app, exact: true }), hasText: /Running/ });
      await row.waitFor();
    });
    await check(`${view.name}: scaling shows without a reload`, async () => {
      await page.goto(address('instances'));
      await page.getByTestId('instances').waitFor();
      const { wanted } = await instances(page);
      await page.evaluate(() => {
        globalThis.notReloaded = true;
      });
      await scaleTo(page, wanted + 2);
      const rows = page.locator('[data-task]');
      await rows.nth(wanted + 1).waitFor();
      await page.screenshot({ path: join(shots, `${view.name}-scaled.png`) });
      await scaleTo(page, wanted);
      must(await page.evaluate(() => globalThis.notReloaded), 'the page was loaded anew');
      return `${wanted} to ${wanted + 2} and back`;
    });
    await check(`${view.name}: every instance is a square that tells of itself`, async () => {
      await page.goto(address());
      const squares = page.getByRole('option');
      await squares.first().waitFor();
      const { running } = await instances(page);
      must((await squares.count()) === running, `${await squares.count()} squares, ${running} run`);
      await squares.first().focus();
      await page.keyboard.press('End');
      await page.locator('[aria-live]').getByRole('link', { name: 'Log' }).waitFor();
      return `${running} squares`;
    });
    await check(`${view.name}: charts share a cursor that the keyboard moves`, async () => {
      const charts = page.getByRole('group', { name: /^Charts/ });
      await charts.getByRole('img', { name: /^CPU: used / }).waitFor({ timeout: 30_000 });
      await charts.focus();
      const cursors = () => charts.locator('svg[role=img]:has(circle)').count();
      // The first numbers of a measure come some seconds after those of another.
      for (const until = Date.now() + WAIT_MS; (await cursors()) < 2; await page.waitForTimeout(200)) {
        must(Date.now() < until, `${await cursors()} charts show the cursor`);
        await page.keyboard.press('End');
      }
      await page.screenshot({ path: join(shots, `${view.name}-cursor.png`) });
      await page.keyboard.press('Escape');
      await charts.locator('svg[role=img]:has(circle)').first().waitFor({ state: 'detached' });
    });
    await check(`${view.name}: the log follows`, async () => {
      await page.goto(address('logs'));
      const log = page.getByRole('log');
      await page.getByText('Following', { exact: true }).waitFor();
      if (app !== own) return 'open';
      await page.waitForFunction(() => document.querySelectorAll('[role=log] [data-line]').length > 1);
      const before = await log.innerText();
      await page.waitForFunction((old) => document.querySelector('[role=log]').innerText !== old, before);
      return 'lines arrive';
    });
    await screens(page, view);
    await check(`${view.name}: the scale question is sound`, async () => {
      await page.goto(address());
      await page.getByRole('button', { name: 'Scale', exact: true }).click();
      await page.getByRole('dialog').waitFor();
      await page.waitForTimeout(250);
      await examine(page, view, 'dialog');
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    });
    await check(`${view.name}: the menu is sound`, async () => {
      await page.getByRole('button', { name: /^Menu of/ }).click();
      await page.getByRole('menu').waitFor();
      await examine(page, view, 'menu');
      await page.keyboard.press('Escape');
    });
  }
  await check(`${view.name}: no error in the page`, async () => {
    const real = problems.filter((text) => !/status of 404/.test(text));
    must(real.length === 0, real.slice(0, 5).join('\n'));
  });
  await context.close();
}

async function keyboardOnly() {
  const { context, page } = await open(VIEWS[0]);
  await check('keyboard: sign in, find, open and scale without a mouse', async () => {
    await page.goto(`${base}/`);
    await page.getByLabel('User').waitFor();
    await page.keyboard.type(user);
    await page.keyboard.press('Tab');
    await page.keyboard.type(password);
    await page.keyboard.press('Enter');
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('n');
    await page.waitForURL(`${base}/ui/nodes`);
    await page.keyboard.press('g');
    await page.keyboard.press('s');
    await page.waitForURL(`${base}/ui/services`);
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: /Search/ }).waitFor();
    await page.keyboard.type(app.slice(1));
    await page.getByRole('option').filter({ hasText: app }).first().waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(address());
    await page.getByRole('button', { name: 'Scale', exact: true }).focus();
    await page.keyboard.press('Enter');
    const { wanted } = await instances(page);
    await page.getByRole('dialog').waitFor();
    await page.keyboard.type(String(wanted + 1));
    await page.keyboard.press('Enter');
    await page.getByTestId('instances').getByText(`${wanted + 1} of ${wanted + 1}`).waitFor();
    await scaleTo(page, wanted);
  });
  await check('keyboard: the first stop skips to the content', async () => {
    await page.goto(`${base}/ui/services`);
    await settled(page);
    await page.keyboard.press('Tab');
    const text = await page.evaluate(() => document.activeElement?.textContent);
    must(text === 'Skip to content', `the first stop is ${text}`);
  });
  await context.close();
}

async function lostConnection() {
  const { context, page } = await open(VIEWS[0]);
  await check('connection: a cut wire is said, data stays, and it comes back by itself', async () => {
    await signIn(page);
    await page.goto(`${base}/ui/services`);
    const table = page.getByRole('table', { name: 'Services' });
    await table.waitFor();
    line.cut();
    await page.getByText('No connection to the cluster.').waitFor();
    must(await table.isVisible(), 'the rows went away with the connection');
    await examine(page, VIEWS[0], 'lost');
    line.mend();
    await page.getByRole('button', { name: 'Try now' }).click().catch(() => undefined);
    await page.getByText('Live', { exact: true }).waitFor();
  });
  line.mend();
  await check('connection: two tabs share one stream', async () => {
    const second = await context.newPage();
    const streams = [];
    second.on('request', (request) => request.url().endsWith('/events') && streams.push(request.url()));
    await second.goto(`${base}/ui/services`);
    await second.getByRole('table', { name: 'Services' }).getByRole('row').nth(1).waitFor();
    must(streams.length === 0, 'the second tab opened a stream of its own');
    await page.close();
    await second.waitForRequest((request) => request.url().endsWith('/events'));
    await second.getByText('Live', { exact: true }).waitFor();
  });
  await context.close();
}

async function deliveries() {
  await check('delivery: initial JavaScript within its budget', async () => {
    const { context, page } = await open(VIEWS[0]);
    const scripts = new Set();
    await signIn(page);
    page.on('response', (r) => r.request().resourceType() === 'script' && scripts.add(r.url()));
    await page.goto(`${base}/ui/`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await context.close();
    let bytes = 0;
    for (const url of scripts) bytes += await gzippedSize(url);
    must(scripts.size > 0, 'no script was seen');
    must(bytes <= INITIAL_JS_MAX_BYTES, `${bytes} bytes`);
    return `${(bytes / 1024).toFixed(1)} KiB gzip in ${scripts.size} files`;
  });
  await check('delivery: assets never expire, the shell is asked again', async () => {
    const shell = await fetch(`${base}/ui/services`);
    must(shell.headers.get('cache-control') === 'no-cache', 'the shell may be cached');
    const policy = shell.headers.get('content-security-policy') ?? '';
    must(/script-src 'self'/.test(policy) && !/unsafe/.test(policy), `policy: ${policy}`);
    const [, script] = /src="\.\/(assets\/[^"]+)"/.exec(await shell.text());
    const asset = await fetch(`${base}/${script}`);
    must(/immutable/.test(asset.headers.get('cache-control')), 'assets expire');
    must((await fetch(`${base}/assets/none.js`)).status === 404, 'a missing file is not 404');
  });
  await check('old links: a hash link of the original page leads to ours', async () => {
    const { context, page } = await open(VIEWS[0]);
    await signIn(page);
    await page.goto('about:blank');
    await page.goto(`${base}/#/services/detail/${encodeURIComponent(app)}/debug`);
    await page.waitForURL(address('why'));
    await context.close();
  });
}

async function gzippedSize(url) {
  const { get } = await import('node:http');
  return new Promise((resolve, reject) => {
    get(url, { headers: { 'accept-encoding': 'gzip' } }, (answer) => {
      let bytes = 0;
      if (answer.headers['content-encoding'] !== 'gzip') reject(new Error(`${url} is not compressed`));
      answer.on('data', (part) => {
        bytes += part.length;
      });
      answer.on('end', () => resolve(bytes));
    }).on('error', reject);
  });
}

async function remove(page, id) {
  await page.goto(address('', id));
  await page.getByRole('button', { name: /^More actions/ }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.waitForURL(`${base}/ui/services`);
  await page.getByRole('link', { name: id, exact: true }).waitFor({ state: 'detached' });
}

async function removeOwn() {
  const { context, page } = await open(VIEWS[0]);
  await check('delete: the service is gone from the list without a reload', async () => {
    await signIn(page);
    await remove(page, own);
  });
  await check('force: a service held by its deployment is scaled over it', async () => {
    await page.goto(address('', stuck));
    await page.getByRole('button', { name: 'Scale', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Instances', { exact: true }).fill('2');
    const submit = dialog.getByRole('button', { name: 'Scale to 2' });
    await submit.click();
    await dialog.getByText('A deployment is working on this service.').waitFor();
    await examine(page, VIEWS[0], 'locked');
    await dialog.getByLabel('Cancel that deployment and do this instead').check();
    await submit.click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByTestId('instances').getByText('0 of 2').waitFor();
  });
  await check('delete: a waiting service goes too', () => remove(page, stuck));
  await context.close();
}

try {
  for (const [at, view] of VIEWS.entries()) await inView(view, at === 0);
  await keyboardOnly();
  await lostConnection();
  await deliveries();
  if (app === own) await removeOwn();
} finally {
  await browser.close();
  line.stop();
  fixture?.stop();
}
console.log(`screenshots in ${shots}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
