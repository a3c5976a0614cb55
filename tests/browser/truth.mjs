// That the page says what is so, and shuts nobody out: against the made-up cluster in which much is
// broken (ui/dev, world "broken"). No server is needed.
//
//   node tests/browser/truth.mjs
//
// Needs `make ui` and Debian's chromium. Screenshots go to a folder it prints.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const UI = join(import.meta.dirname, '..', '..', 'ui');
const { chromium } = createRequire(join(UI, 'package.json'))('playwright-core');
const WAIT_MS = 10_000;
const shots = mkdtempSync(join(tmpdir(), 'tepui-truth-'));
let passed = 0;
const failures = [];

async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failures.push(name);
    console.log(`FAIL  ${name}\n      ${String(error.message ?? error).split('\n').slice(0, 8).join('\n      ')}`);
  }
}

function must(condition, text) {
  if (!condition) throw new Error(text);
}

const child = spawn(process.execPath, [join(UI, 'dev', 'fixture.mjs'), '--port', '0', '--world', 'broken'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const base = await new Promise((resolve, reject) => {
  child.stdout.once('data', (data) => resolve(/http:\S+/.exec(String(data))[0]));
  child.once('exit', () => reject(new Error('the made-up cluster did not start')));
});
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});

async function open(width, height) {
  const context = await browser.newContext({ viewport: { width, height } });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  await page.goto(`${base}/`);
  await page.getByLabel('User').fill('admin');
  await page.getByLabel('Password').fill('admin');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
  return page;
}

const picture = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });
const service = (id, tab = '') => `${base}/ui/services/-${id}${tab && `?tab=${tab}`}`;
const row = (page, id) =>
  page.getByRole('row').filter({ has: page.getByRole('link', { name: id, exact: true }) });
const focused = (page) =>
  page.evaluate(() => {
    const at = document.activeElement;
    return at === document.body ? 'body' : `${at.tagName} ${at.getAttribute('aria-label') ?? at.textContent}`;
  });

/** Opens a service's menu, picks an item and returns the dialog. */
async function ask(page, id, item) {
  await page.goto(service(id));
  await page.getByRole('button', { name: /^More actions/ }).click();
  await page.getByRole('menuitem', { name: item }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  return dialog;
}

/** No sentence stands on the screen twice. */
async function once(page) {
  const twice = await page.evaluate(() => {
    const seen = new Map();
    for (const element of document.querySelectorAll('main *, [role=dialog] *')) {
      const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join('').trim();
      if (own.length < 24 || own.split(/\s+/).length < 4 || element.offsetParent === null) continue;
      if (element.closest('.visually-hidden, pre')) continue;
      seen.set(own, (seen.get(own) ?? 0) + 1);
    }
    return [...seen].filter(([, n]) => n > 1).map(([text]) => text);
  });
  must(twice.length === 0, `said twice: ${twice.join(' | ')}`);
}

async function truth(page, view) {
  await check(`${view}: a dead container engine is the first thing said`, async () => {
    await page.goto(`${base}/ui/`);
    await page.getByRole('heading', { level: 1, name: /^Node 10\.0\.0\.14 cannot run containers, / }).waitFor();
    const trouble = page.getByRole('listitem').filter({ hasText: '10.0.0.14' }).first();
    await trouble.getByText('Cannot run containers: its container engine does not answer').waitFor();
    await trouble.getByText(/docker\.sock: connection refused/).waitFor();
    await trouble.getByText(/systemctl status docker/).waitFor();
    await page.getByText('1 node needs attention').waitFor({ state: 'attached' });
    const { counts } = await page.evaluate(() => fetch('/tepui/v1/status').then((answer) => answer.json()));
    const n = counts.apps_attention + counts.nodes_attention;
    must((await page.title()).startsWith(`(${n}) Dashboard`), `the title is ${await page.title()}`);
    await once(page);
    await picture(page, `${view}-dashboard`);
    await page.goto(`${base}/ui/nodes?view=list`);
    await page.getByText('Engine down').first().waitFor();
    must((await page.title()).startsWith(`(${n}) Nodes`), `the title is ${await page.title()}`);
    await picture(page, `${view}-nodes`);
    await page.getByRole('link', { name: '10.0.0.14' }).first().click();
    await page.getByText('Cannot run containers: its container engine does not answer').waitFor();
    await once(page);
    await picture(page, `${view}-node`);
  });
  await check(`${view}: failing checks beat the deployment that waits for them`, async () => {
    await page.goto(`${base}/ui/services?q=payments`);
    await row(page, '/shop/payments').getByText('Unhealthy').waitFor();
    await row(page, '/shop/payments').getByText(/fail HTTP \/health: 404/).waitFor();
    await page.goto(service('/shop/payments'));
    await page.getByText('Look at its log, or correct the path of the check').waitFor();
    await once(page);
    await picture(page, `${view}-unhealthy`);
    await page.goto(service('/shop/payments', 'why'));
    await page.getByText('2 of 2 instances fail HTTP /health', { exact: false }).waitFor();
    await page.getByText('404 from /health').first().waitFor();
    await once(page);
    await page.goto(`${base}/ui/deployments`);
    await page.getByText('2 of 2 instances fail HTTP /health: 404').waitFor();
    await once(page);
    await picture(page, `${view}-deployments`);
  });
  await check(`${view}: rolling back what makes a service says that it deletes it`, async () => {
    await page.getByRole('button', { name: 'Roll back and delete…' }).click();
    const dialog = page.getByRole('dialog');
    const go = dialog.getByRole('button', { name: 'Roll back and delete /shop/made' });
    must(await go.isDisabled(), 'it can be done without typing the name');
    must((await focused(page)) === 'BUTTON Cancel', `the focus is on ${await focused(page)}`);
    await page.waitForTimeout(250);
    await picture(page, `${view}-rollback`);
    await dialog.getByLabel('Type /shop/made to confirm').fill('/shop/made');
    must(await go.isEnabled(), 'the typed name is not enough');
    await page.keyboard.press('Escape');
  });
  await check(`${view}: an address that does not resolve is not offered`, async () => {
    await page.goto(service('/demo/web'));
    await page.getByText('not served yet').waitFor();
    must((await page.getByRole('button', { name: /Copy.*l4lb/ }).count()) === 0, 'it can be copied');
    await picture(page, `${view}-service`);
  });
  await check(`${view}: resuming offers the number there was`, async () => {
    const dialog = await ask(page, '/shop/slept', 'Resume…');
    must((await dialog.getByLabel('Instances', { exact: true }).inputValue()) === '4', 'it forgot the 4');
    await dialog.getByRole('button', { name: 'Resume with 4' }).waitFor();
    await page.keyboard.press('Escape');
  });
  await check(`${view}: deleting data wants its name`, async () => {
    const dialog = await ask(page, '/shop/data', 'Delete…');
    await dialog.getByText(/pgdata \(2 GiB each\) on 10\.0\./).waitFor();
    await dialog.getByText('/shop/payments').waitFor();
    const go = dialog.getByRole('button', { name: 'Delete', exact: true });
    must(await go.isDisabled(), 'one click deletes data');
    must((await focused(page)) === 'BUTTON Cancel', `the focus is on ${await focused(page)}`);
    await page.waitForTimeout(250);
    await picture(page, `${view}-delete`);
    await page.keyboard.press('Escape');
  });
  await check(`${view}: an instance without a check result is not green, and old is told from new`, async () => {
    await page.goto(service('/shop/rolling', 'instances'));
    await page.getByText('Starting, check open').waitFor();
    await page.getByTestId('instances').getByText('1 starting', { exact: false }).waitFor();
    await page.getByText('its HTTP check has no result yet').waitFor();
    await page.getByText('old version').waitFor();
    await page.getByText('new version').waitFor();
    await picture(page, `${view}-rolling`);
  });
  await check(`${view}: a drain says where to, and that it may not be enough`, async () => {
    await page.goto(`${base}/ui/nodes?view=list`);
    await page.getByRole('table', { name: 'Nodes' }).getByRole('link').first().click();
    await page.getByRole('button', { name: 'Drain…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(/instances have a place elsewhere/).waitFor();
    await dialog.getByText(/No place: it stays/).waitFor();
    await dialog.getByRole('link', { name: /^10\.0\./ }).first().waitFor();
    await once(page);
    await page.waitForTimeout(250);
    await picture(page, `${view}-drain`);
    await page.keyboard.press('Escape');
  });
  await check(`${view}: without a connection no state keeps its colour`, async () => {
    await page.goto(`${base}/ui/services`);
    await page.getByRole('table', { name: 'Services' }).waitFor();
    await fetch(`${base}/__fixture/drop?ms=4000`);
    await page.getByText(/What you see is as of/).waitFor();
    const filter = await page.evaluate(() => getComputedStyle(document.querySelector('main [data-state]')).filter);
    must(filter === 'grayscale(1)', `the filter is ${filter}`);
    await picture(page, `${view}-lost`);
    await page.getByText('Live', { exact: true }).waitFor();
  });
}

async function access(page) {
  await check('focus: back where it was after Escape, Cancel and the menu', async () => {
    await page.goto(service('/demo/web'));
    const scale = page.getByRole('button', { name: 'Scale', exact: true });
    await scale.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    must(/Scale/.test(await focused(page)), `after Escape: ${await focused(page)}`);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    must(/Scale/.test(await focused(page)), `after Cancel: ${await focused(page)}`);
    await ask(page, '/demo/web', 'Delete…');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.waitForTimeout(100);
    must(/More actions/.test(await focused(page)), `after the menu: ${await focused(page)}`);
  });
  await check('focus: the heading of a page that was gone to, not of the first one', async () => {
    await page.goto(`${base}/ui/services`);
    await page.getByRole('table', { name: 'Services' }).waitFor();
    must((await focused(page)) === 'body', `at first: ${await focused(page)}`);
    await page.getByRole('link', { name: '/demo/web', exact: true }).click();
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
    must((await focused(page)) === 'H1 web', await focused(page));
    await page.getByRole('link', { name: 'Logs', exact: true }).click();
    must(/Logs/.test(await focused(page)), `a view of the same page: ${await focused(page)}`);
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /Nodes/ }).click();
    await page.waitForFunction(() => document.activeElement?.textContent === 'Nodes');
  });
  await check('search: no letter is lost right after Ctrl K, views can be named', async () => {
    await page.goto(`${base}/ui/services`);
    await page.getByRole('table', { name: 'Services' }).waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('grafana');
    const box = page.getByRole('combobox', { name: /Search/ });
    must((await box.inputValue()) === 'grafana', `it holds ${await box.inputValue()}`);
    await box.fill('logs grafana');
    await page.keyboard.press('Enter');
    await page.waitForURL(service('/tools/grafana', 'logs'));
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
  });
  await check('search: the chosen entry stays in sight in a low window', async () => {
    await page.setViewportSize({ width: 1024, height: 420 });
    await page.keyboard.press('Control+k');
    for (let i = 0; i < 11; i++) await page.keyboard.press('ArrowDown');
    const out = await page.evaluate(() => {
      const chosen = document.querySelector('[role=option][aria-selected=true]').getBoundingClientRect();
      return chosen.bottom > innerHeight || chosen.top < 0;
    });
    must(!out, 'it is outside of the window');
    await page.keyboard.press('Escape');
  });
  for (const width of [320, 390, 720, 721, 800, 1024, 1180, 1440]) {
    await check(`width ${width}: nothing is wider, actions are on screen`, async () => {
      await page.setViewportSize({ width, height: 900 });
      for (const [name, url, role = 'table'] of [
        ['services', `${base}/ui/services`],
        ['service', service('/demo/web'), 'option'],
        ['instances', service('/demo/web', 'instances')],
        ['nodes', `${base}/ui/nodes?view=list`],
      ]) {
        await page.goto(url);
        await page.getByRole(role).first().waitFor();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        must(wide <= 0, `${name} is ${wide} px wider than the screen`);
        const cut = await page.evaluate(() => {
          const all = [...document.querySelectorAll('[role=table] button[aria-haspopup=menu]')];
          return all.filter((b) => b.offsetWidth > 0 && b.getBoundingClientRect().right > innerWidth).length;
        });
        must(cut === 0, `${name}: ${cut} menus are cut off`);
        if (width === 1024) await picture(page, `1024-${name}`);
      }
    });
  }
}

try {
  const page = await open(1440, 900);
  await truth(page, '1440');
  await access(page);
  await page.context().close();
  const phone = await open(390, 844);
  await truth(phone, '390');
} finally {
  await browser.close();
  child.kill();
}
console.log(`screenshots in ${shots}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
