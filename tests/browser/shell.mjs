// Shells and files in the drawer, in a real browser against a running tepui.
//
//   TEPUI_URL=http://127.0.0.1:8000 TEPUI_USER=… TEPUI_PASSWORD=… node tests/browser/shell.mjs
//
// Runs two services of its own: one that stays, in which shells are opened, cut off and taken over
// again, and one that ends, whose files are looked at. What containers write is hostile here; nothing
// of it may become more than text, and the page must obey its policy. Needs `npm ci` in ui/ and
// Debian's chromium. Screenshots go to a folder it prints.
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const UI = join(import.meta.dirname, '..', '..', 'ui');
const require = createRequire(join(UI, 'package.json'));
const { chromium } = require('playwright-core');
const axe = require('axe-core');

const WAIT_MS = 20_000;
const VIEWS = [
  { name: '1440-light', width: 1440, height: 900, colorScheme: 'light' },
  { name: '390-dark', width: 390, height: 844, colorScheme: 'dark' },
];
const stays = `/browser-test/stays-${Date.now().toString(36)}`;
const ends = stays.replace('stays', 'ends');
const HOSTILE = '<img src=x onerror=document.title=1>';

const shots = mkdtempSync(join(tmpdir(), 'tepui-shell-'));
let passed = 0;
const failures = [];

async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failures.push(name);
    console.log(`FAIL  ${name}\n      ${String(error.message ?? error).split('\n').slice(0, 10).join('\n      ')}`);
  }
}

function must(condition, text) {
  if (!condition) throw new Error(text);
}

/** A wire to the server that can be cut: new connections are refused until it is mended. */
async function startWire(target) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  let whole = true;
  const server = createServer((near) => {
    if (!whole) return near.destroy();
    const far = connect(Number(port) || 80, hostname);
    for (const [a, b] of [[near, far], [far, near]]) {
      sockets.add(a);
      a.on('error', () => b.destroy());
      a.on('close', () => { sockets.delete(a); b.destroy(); });
      a.pipe(b);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut() { whole = false; for (const socket of sockets) socket.destroy(); },
    mend() { whole = true; },
    stop() { this.cut(); server.close(); },
  };
}

const wire = await startWire(process.env.TEPUI_URL);
const base = wire.url;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});

async function open(view) {
  const { width, height, colorScheme } = view;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('dialog', (dialog) => { problems.push(`a dialog: ${dialog.message()}`); void dialog.dismiss(); });
  page.on('console', (message) => {
    // Whether there is a session is asked first; a cut wire is what some checks are about.
    const expected = /status of 4(01|22)|WebSocket connection|net::ERR_/.test(message.text());
    if (message.type() === 'error' && !expected) problems.push(message.text());
  });
  await page.goto(`${base}/`);
  await page.getByLabel('User').fill(process.env.TEPUI_USER ?? 'admin');
  await page.getByLabel('Password').fill(process.env.TEPUI_PASSWORD ?? 'admin');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
  return { context, page, problems };
}

const service = (id) => `${base}/ui/services/-${id}`;

/** Runs a service by the page's own origin, signed in as it is. */
async function run(page, spec) {
  const status = await page.evaluate(async (body) => {
    const answer = await fetch('/service/marathon/v2/apps', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    return answer.status;
  }, { cpus: 0.02, mem: 32, instances: 1, ...spec });
  must(status === 201, `the app was answered with ${status}`);
}

const screen = (page) => page.locator('[role=tabpanel]:not([hidden]) .xterm-rows');
const text = async (page) => (await screen(page).locator('> div').allTextContents()).join('\n');
async function shows(page, pattern) {
  const until = Date.now() + WAIT_MS;
  for (;;) {
    const now = await text(page);
    if (pattern.test(now)) return now;
    must(Date.now() < until, `${pattern} is not on the screen:\n${now.trimEnd().slice(-600)}`);
    await page.waitForTimeout(50);
  }
}

async function examine(page, view, name) {
  await page.screenshot({ path: join(shots, `${view.name}-${name}.png`) });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  must(wide <= 0, `${name} is ${wide} px wider than the screen`);
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  must(violations.length === 0, violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`).join('\n'));
}

async function openShell(page, view) {
  await page.goto(`${service(stays)}?tab=instances`);
  const code = page.locator('[data-task]').first();
  await code.waitFor();
  if (view.width < 720) {
    await page.getByRole('button', { name: /^Actions for instance/ }).first().click();
    await page.getByRole('menuitem', { name: 'Shell' }).click();
  } else {
    await code.hover();
    await page.keyboard.press('x');
  }
  await shows(page, /[#$] /);
}

async function shells(view) {
  const { context, page, problems } = await open(view);
  const input = page.locator('[role=tabpanel]:not([hidden]) textarea');
  const type = async (line) => {
    await input.focus();
    await page.keyboard.type(`${line}\n`);
  };
  await check(`${view.name}: a shell is a key away and has the size of its window`, async () => {
    await openShell(page, view);
    await type('PS1="> "; echo $((6*7)) $TERM');
    await shows(page, /42 xterm-256color/);
    await type('stty size');
    const before = /^(\d+) (\d+)\s*$/m.exec(await shows(page, /^\d+ \d+\s*$/m));
    const { width, height } = page.viewportSize();
    await page.setViewportSize({ width: Math.max(360, width - 300), height });
    await page.waitForTimeout(300);
    await type('clear; stty size');
    const until = Date.now() + WAIT_MS;
    for (;;) {
      const after = /^(\d+) (\d+)\s*$/m.exec(await text(page));
      if (after && Number(after[2]) < Number(before[2])) break;
      must(Date.now() < until, `it is told no new size: ${before[0]}`);
      await page.waitForTimeout(100);
    }
    await page.setViewportSize({ width, height });
  });
  await check(`${view.name}: hostile output stays text`, async () => {
    const title = await page.title();
    await type(`clear; printf '${HOSTILE}\\n'; printf '\\033]0;stolen\\007\\033]52;c;c3RvbGVu\\007\\033]8;;javascript:alert(1)\\007link\\033]8;;\\007\\n'; printf '\\033[38;2;200;80;0mtrue\\033[0m colour\\n'`);
    await shows(page, /true colour/);
    must((await text(page)).includes(HOSTILE), 'the mark-up is not on the screen');
    must((await page.locator('.xterm img').count()) === 0, 'it became an element');
    must((await page.title()) === title, `it wrote the title: ${await page.title()}`);
    await screen(page).getByText('link', { exact: true }).first().click({ force: true });
    // Asked for in one go: the terminal puts new elements into its rows at any moment.
    const colour = await screen(page).evaluate((rows) => {
      const found = [...rows.querySelectorAll('span')].filter((span) => span.textContent === 'true').at(-1);
      return found ? getComputedStyle(found).color : 'not there';
    });
    // Its contrast is seen to; that it is an orange stays.
    const [red, green, blue] = [...colour.matchAll(/\d+/g)].map(Number);
    must(red > green + 50 && green > blue + 20, `true colour is ${colour}`);
  });
  await check(`${view.name}: it survives navigation and passes axe`, async () => {
    await type('echo first of all');
    await page.getByRole('link', { name: /Nodes/ }).first().click();
    await page.getByRole('heading', { name: 'Nodes', level: 1 }).waitFor();
    await shows(page, /first of all/);
    await examine(page, view, 'shell');
  });
  await check(`${view.name}: a paste arrives whole`, async () => {
    await type('clear; stty -echo; cat > /tmp/pasted-$$; stty echo; wc -c < /tmp/pasted-$$; rm /tmp/pasted-$$');
    await page.waitForTimeout(300);
    const line = `${'p'.repeat(99)}\n`;
    await input.evaluate((at, data) => {
      const clipboard = new DataTransfer();
      clipboard.setData('text/plain', data);
      at.dispatchEvent(new ClipboardEvent('paste', { clipboardData: clipboard, bubbles: true }));
    }, line.repeat(500));
    await page.keyboard.press('Control+d');
    await shows(page, /^\s*50000\s*$/m);
  });
  await check(`${view.name}: a cut connection is made good without a byte missing`, async () => {
    await type('clear; for i in 1 2 3 4 5 6 7 8; do echo tick $i; sleep 0.5; done');
    await shows(page, /^tick 2/m);
    wire.cut();
    await page.getByText('Connection lost, trying again').waitFor();
    await page.waitForTimeout(1_500);
    wire.mend();
    const all = await shows(page, /^tick 8/m);
    const ticks = [...all.matchAll(/^tick (\d)\s*$/gm)].map((match) => match[1]).join('');
    must(ticks === '12345678', `it shows ${ticks}`);
  });
  await check(`${view.name}: a page loaded anew has its shell again`, async () => {
    await type('kept=as-it-was; clear; echo before');
    await shows(page, /^before/m);
    await page.reload();
    await shows(page, /^before/m);
    await type('echo $kept');
    await shows(page, /^as-it-was/m);
  });
  await check(`${view.name}: the keyboard gets out, and the end is said`, async () => {
    await page.keyboard.press('F6');
    must((await page.evaluate(() => document.activeElement?.getAttribute('role'))) === 'tab', 'F6 leads nowhere');
    await page.keyboard.press('F6');
    await type('exit 3');
    await page.getByText('The shell has ended with exit code 3.').waitFor();
    await page.getByRole('button', { name: 'New shell' }).click();
    await shows(page, /[#$] /);
    await page.getByRole('button', { name: /^Close the shell/ }).click();
    await page.getByRole('tab').waitFor({ state: 'detached' });
  });
  await check(`${view.name}: nothing broke the page's policy`, () => must(problems.length === 0, problems.slice(0, 3).join('\n')));
  await context.close();
}

async function files(view) {
  const { context, page, problems } = await open(view);
  await check(`${view.name}: files of what has ended are listed, read and followed`, async () => {
    await page.goto(`${service(ends)}?tab=instances`);
    const past = page.getByRole('button', { name: /^Show \d+ ended/ });
    await past.or(page.locator('[data-task]').first()).first().waitFor();
    if (await past.isVisible()) await past.click();
    await page.getByRole('button', { name: /^Actions for instance/ }).first().click();
    await page.getByRole('menuitem', { name: 'Files' }).click();
    const drawer = page.getByRole('region', { name: 'Shells and files' });
    await drawer.getByRole('button', { name: /^data\// }).click();
    await drawer.getByRole('button', { name: /^hostile/ }).click();
    await drawer.getByText(HOSTILE).waitFor();
    must((await drawer.locator('pre img').count()) === 0, 'a file became an element');
    await drawer.getByRole('button', { name: 'sandbox' }).click();
    await drawer.getByRole('button', { name: /^blob/ }).click();
    await drawer.getByText('This is no text.').waitFor();
    await drawer.getByRole('button', { name: /^stdout/ }).click();
    await drawer.getByText('said at the end').waitFor();
    await drawer.getByRole('button', { name: 'Follow the end' }).click();
    await drawer.getByText('said at the end').waitFor();
    const download = page.waitForEvent('download');
    await drawer.getByRole('link', { name: /^Download stdout/ }).click();
    const name = (await download).suggestedFilename();
    must(/[0-9a-f]{8}(\.\d+)?-stdout\.log$/.test(name), `the download is called ${name}`);
    await examine(page, view, 'files');
  });
  await check(`${view.name}: a long file is searched on its node, and one leads from match to match`, async () => {
    const drawer = page.getByRole('region', { name: 'Shells and files' });
    await drawer.getByRole('button', { name: /^long/ }).click();
    const search = drawer.getByLabel('Search with a regular expression');
    await search.fill('NEEDLE [0-9]$');
    await drawer.getByText('3 lines found').waitFor();
    const lines = drawer.getByRole('option');
    must((await lines.allTextContents()).join('|').replaceAll(/[.,\s]/g, '') === '1<b>x</b>needle1|200002needle2|400003needle3', (await lines.allTextContents()).join('|'));
    await search.press('Enter');
    await search.press('Enter');
    // Far beyond what is read of a file that is opened.
    await drawer.locator('pre mark', { hasText: 'needle 2' }).waitFor();
    must(await drawer.locator('pre mark', { hasText: 'needle 2' }).isVisible(), 'the match is not in view');
    await drawer.getByText('line 200,002, 2 of 3').waitFor();
    await lines.nth(2).click();
    await drawer.locator('pre mark', { hasText: 'needle 3' }).waitFor();
    must((await drawer.locator('b').count()) === 0, 'a line became an element');
    await examine(page, view, 'search');
    await drawer.getByRole('button', { name: 'Match case' }).click();
    await drawer.getByText('No line matches “NEEDLE [0-9]$”.').waitFor();
    await search.fill('(');
    await drawer.getByText(/regex parse error/).waitFor();
    await search.fill('');
    await drawer.getByText('… more: the first').waitFor();
  });
  await check(`${view.name}: what all attempts wrote is one list, searched by the cluster`, async () => {
    await page.goto(`${service(ends)}?tab=logs&previous=true`);
    const log = page.getByRole('log');
    await log.getByText('said at the end').first().waitFor();
    await log.getByText(HOSTILE).first().waitFor();
    must((await log.locator('img').count()) === 0, 'a line became an element');
    const search = page.getByLabel('Search with a regular expression');
    await search.fill('SAID.*end$');
    await log.locator('mark', { hasText: 'said at the end' }).first().waitFor();
    must((await log.getByText(HOSTILE).count()) === 0, 'a line that does not match is shown');
    await search.fill('(');
    await log.getByText(/regex parse error/).waitFor();
    await search.fill('');
    await log.getByText(HOSTILE).first().waitFor();
    await examine(page, view, 'logs');
  });
  await check(`${view.name}: nothing broke the page's policy`, () => must(problems.length === 0, problems.slice(0, 3).join('\n')));
  await context.close();
}

const { context, page } = await open(VIEWS[0]);
await run(page, { id: stays, cmd: 'sleep 100000' });
await run(page, {
  id: ends,
  backoffSeconds: 600,
  cmd: `mkdir -p data; printf '${HOSTILE}' > data/hostile; head -c 3000 /dev/urandom > blob; { echo '<b>x</b> needle 1'; seq 200000; echo needle 2; seq 200000; echo needle 3; } > long; echo '${HOSTILE}'; echo said at the end; exit 3`,
});
await page.goto(`${service(stays)}?tab=instances`);
await page.getByTestId('instances').getByText('1 of 1').waitFor();
for (const view of VIEWS) {
  await shells(view);
  await files(view);
}
for (const id of [stays, ends]) {
  await page.evaluate((path) => fetch(`/service/marathon/v2/apps${path}?force=true`, { method: 'DELETE' }), id);
}
await context.close();
await browser.close();
wire.stop();
console.log(`${passed} passed, ${failures.length} failed; pictures in ${shots}`);
process.exit(failures.length > 0 ? 1 : 0);
