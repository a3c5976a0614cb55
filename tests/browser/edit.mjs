// Services are made and changed in the page, against a running tepui: by the form, by YAML with a
// comment, from Compose text, and while somebody else changes the same one.
//
//   TEPUI_URL=http://127.0.0.1:8000 TEPUI_USER=… TEPUI_PASSWORD=… node tests/browser/edit.mjs
//
// Needs `make ui` and Debian's chromium. Screenshots go to a folder it prints.
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const UI = join(import.meta.dirname, '..', '..', 'ui');
const require = createRequire(join(UI, 'package.json'));
const { chromium } = require('playwright-core');
const axe = require('axe-core');

const WAIT_MS = 20_000;
const base = (process.env.TEPUI_URL ?? 'http://127.0.0.1:8000').replace(/\/$/, '');
const user = process.env.TEPUI_USER ?? 'admin';
const password = process.env.TEPUI_PASSWORD ?? 'admin';
/** Every run makes services of its own. */
const group = `/edit-test-${Date.now().toString(36)}`;
const VIEWS = [
  { name: '1440-light', width: 1440, height: 900, colorScheme: 'light' },
  { name: '1440-dark', width: 1440, height: 900, colorScheme: 'dark' },
  { name: '390-light', width: 390, height: 844, colorScheme: 'light' },
  { name: '390-dark', width: 390, height: 844, colorScheme: 'dark' },
];
const shots = mkdtempSync(join(tmpdir(), 'tepui-edit-'));
let passed = 0;
const failures = [];

function must(condition, text) {
  if (!condition) throw new Error(text);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});

async function open(view) {
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height },
    colorScheme: view.colorScheme,
  });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => {
    // Refusals are expected: of the first question without a session, and of a change that came too late.
    if (message.type() === 'error' && !/status of (401|409)/.test(message.text())) page.problems.push(message.text());
  });
  await page.goto(`${base}/`);
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
  return page;
}

const page = await open(VIEWS[0]);

async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failures.push(name);
    await page.screenshot({ path: join(shots, `failed-${failures.length}.png`) });
    console.log(`FAIL  ${name}\n      ${String(error.message ?? error).split('\n').slice(0, 12).join('\n      ')}`);
  }
}

const signedIn = await fetch(`${base}/acs/api/v1/auth/login`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ uid: user, password }),
});
const { token } = await signedIn.json();

/** Asks the server as another program does. */
function asked(method, path, body, headers = {}) {
  return fetch(`${base}${path}`, {
    method,
    headers: { authorization: `token=${token}`, 'content-type': 'application/json', ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
}

async function ask(method, path, body) {
  const answer = await asked(method, path, body);
  const text = await answer.text();
  must(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

const definition = async (id) => (await ask('GET', `/service/marathon/v2/apps${id}`)).app;
const plan = () => page.getByTestId('plan');
const view = (name) => page.getByRole('navigation', { name: 'Views of the definition' }).getByRole('link', { name });
const editor = () => page.getByTestId('editor').getByRole('textbox');

async function begin(tile) {
  await page.goto(`${base}/ui/services/create`);
  const over = page.getByRole('button', { name: 'Start over' });
  const chosen = page.getByRole('button', { name: new RegExp(`^${tile}`) });
  await over.or(chosen).waitFor();
  // A draft of before is still there.
  if (await over.isVisible()) await over.click();
  await chosen.click();
}

const memory = () => page.getByRole('textbox', { name: 'Memory MiB' });

/** The editor's text replaced, as pasting does it: nothing is completed on the way. */
async function write(text) {
  await editor().click();
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(text);
}

async function runs(id, n) {
  await page.getByRole('heading', { name: id.split('/').at(-1), exact: true }).waitFor();
  await page.getByTestId('instances').getByText(`${n} of ${n}`).waitFor();
}

async function sound(page, name) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }),
  );
  const told = violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`);
  must(told.length === 0, `${name}: ${told.join('\n')}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  must(wide <= 0, `${name} is ${wide} px wider than the screen`);
}

const formId = `${group}/form`;
await check('a service is made by the form, with its plan beside it', async () => {
  await begin('From scratch');
  await page.getByLabel('Name', { exact: true }).fill(formId);
  await memory().fill('lots');
  await plan().getByText('mem must be a number of MiB, found "lots"').waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const focused = await page.evaluate(() => document.activeElement?.getAttribute('data-pointer'));
  must(focused === '/mem', `the focus is on ${focused}, not on the mistake`);
  await memory().fill('16');
  await page.getByLabel('CPUs').fill('0.01');
  await page.getByLabel('Instances', { exact: true }).fill('2');
  await plan().getByTestId('fits').getByText(/2 on /).waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await runs(formId, 2);
});

const yamlId = `${group}/yaml`;
await check('a service is made by YAML, and its comment outlives the form and a reload', async () => {
  await begin('From scratch');
  await view('YAML').click();
  await write(
    `# the clock of the house\nid: ${yamlId}\ncmd: while true; do date; sleep 1; done # every second\ncpus: 0.01\nmem: 16\nflavour: mint\n`,
  );
  await plan().getByText('Nobody reads').waitFor();
  await page.getByTestId('editor').locator('.cm-lintRange-warning').waitFor();
  await view('Form').click();
  await page.getByText('nobody reads this field').waitFor();
  await memory().fill('32');
  await view('YAML').click();
  await editor().getByText('# every second').waitFor();
  await page.reload();
  await editor().getByText('# the clock of the house').waitFor();
  await editor().getByText('32').waitFor();
  await view('JSON').click();
  await editor().getByText('"flavour"').waitFor();
  await view('Form').click();
  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await plan().getByTestId('fits').waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await runs(yamlId, 1);
  const made = await definition(yamlId);
  must(made.mem === 32, `mem is ${made.mem}`);
});

await check('a name that is there already leads to a change of it, and the text goes along', async () => {
  await begin('From scratch');
  await view('YAML').click();
  await write(`id: ${yamlId}\ncmd: sleep 77 # longer\ncpus: 0.01\nmem: 32\n`);
  await page.getByText('A service of this name is there already.').waitFor();
  must(await page.getByRole('button', { name: 'Run', exact: true }).isDisabled(), 'it can be run anyway');
  await sound(page, 'a name that is there');
  await page.getByRole('button', { name: 'Change it to this…' }).click();
  await page.getByRole('heading', { level: 1, name: 'Edit yaml' }).waitFor();
  await plan().getByTestId('changes').getByText('sleep 77').waitFor();
  await view('YAML').click();
  await editor().getByText('# longer').waitFor();
  await page.getByRole('button', { name: 'Discard' }).click();
  await page.getByRole('heading', { name: 'yaml', exact: true }).waitFor();
});

await check('a text that cannot be read says so at its line, and is not lost', async () => {
  await begin('Worker');
  await view('YAML').click();
  await write('id: /x\n\tcmd: sleep 1\n');
  await plan().getByText('Line 2 of the YAML: A tab stands in the indentation').waitFor();
  await view('Form').click();
  await page.getByText('The YAML text cannot be read yet').waitFor();
  await page.getByRole('button', { name: 'Go to line 2' }).click();
  await editor().getByText('sleep 1').waitFor();
});

await check('fields and words are completed from the schema', async () => {
  await begin('From scratch');
  await view('YAML').click();
  await write(`id: ${group}/c\ncmd: sleep 99\n`);
  await page.keyboard.press('Control+End');
  await page.keyboard.type('heal');
  const list = page.getByTestId('editor').locator('.cm-completionLabel');
  const line = (text) => page.getByTestId('editor').locator('.cm-line', { hasText: text });
  // What was chosen is there before anything else is typed.
  const choose = async (word) => {
    await list.getByText(word, { exact: true }).click();
    await line(`${word}:`).waitFor();
    await page.waitForTimeout(300);
  };
  await choose('healthChecks');
  await page.keyboard.type('prot');
  await choose('protocol');
  await page.keyboard.type('TC');
  await list.getByText('TCP', { exact: true }).click();
  await view('JSON').click();
  await editor().getByText('"TCP"').waitFor();
});

const composeId = `${group}/shop`;
await check('a service is made from Compose text, and what is not carried over is said', async () => {
  await begin('From Compose');
  await page.getByLabel('Compose file').fill(
    'services:\n  shop:\n    image: nginx:1.27\n    ports:\n      - "8080:80"\n    environment:\n      LEVEL: info\n    networks: [front]\n    deploy:\n      replicas: 1\n      resources:\n        limits: { cpus: "0.01", memory: 32M }\n',
  );
  await page.getByText('line 5', { exact: true }).waitFor();
  await page.getByText('line 8', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Use shop' }).click();
  await page.getByLabel('Name', { exact: true }).fill(composeId);
  await plan().getByTestId('fits').waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('heading', { name: 'shop', exact: true }).waitFor();
  const made = await definition(composeId);
  must(made.env.LEVEL === 'info' && made.mem === 32, JSON.stringify(made.env));
  must(made.container.portMappings[0].containerPort === 80, 'the port is lost');
  await ask('DELETE', `/service/marathon/v2/apps${composeId}`);
});

await check('a change shows what differs, and somebody else\'s change is not overwritten', async () => {
  await page.goto(`${base}/ui/services/-${formId}`);
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await memory().fill('24');
  await page.getByLabel('Instances', { exact: true }).fill('1');
  await page.getByTestId('changed').getByText('2 changes').waitFor();
  await plan().getByTestId('changes').getByText('mem').waitFor();
  // Somebody else, meanwhile.
  await ask('PUT', `/service/marathon/v2/apps${formId}?force=true`, { env: { FROM: 'elsewhere' }, mem: 48 });
  const conflict = page.getByTestId('conflict');
  await conflict.getByText('Somebody else changed this service').waitFor();
  await conflict.getByRole('rowheader', { name: 'mem' }).waitFor();
  await page.screenshot({ path: join(shots, 'conflict.png') });
  await sound(page, 'the conflict');
  must(await page.getByRole('button', { name: 'Apply' }).isDisabled(), 'it can be applied over the conflict');
  await conflict.getByRole('button', { name: 'Take over, keep mine' }).click();
  await conflict.waitFor({ state: 'detached' });
  const apply = page.getByRole('button', { name: 'Apply' });
  await apply.click();
  const forced = page.getByLabel('Cancel that deployment and do this instead');
  const there = page.getByRole('heading', { name: 'form', exact: true });
  await Promise.race([forced.waitFor(), there.waitFor()]);
  if (await forced.isVisible()) {
    await forced.check();
    await apply.click();
  }
  await there.waitFor();
  const now = await definition(formId);
  must(now.mem === 24 && now.instances === 1 && now.env?.FROM === 'elsewhere', JSON.stringify(now));
});

await check('a change that was begun too long ago is refused by the server, and nothing is lost', async () => {
  const before = await definition(yamlId);
  await ask('PUT', `/service/marathon/v2/apps${yamlId}?force=true`, { labels: { a: 'b' } });
  const path = `/service/marathon/v2/apps${yamlId}?partialUpdate=false&force=true`;
  const late = await asked('PUT', path, { id: yamlId, cmd: 'sleep 1' }, { 'if-match': `"${before.version}"` });
  must(late.status === 409, `the answer is ${late.status}`);
  must((await definition(yamlId)).labels.a === 'b', 'it was overwritten');
});

await check('the page had no errors of its own', async () => {
  must(page.problems.length === 0, page.problems.join('\n'));
});

for (const look of VIEWS) {
  await check(`${look.name}: the screens are sound`, async () => {
    const other = await open(look);
    await other.goto(`${base}/ui/services/create`);
    await other.getByRole('button', { name: /^Web service/ }).waitFor();
    await other.screenshot({ path: join(shots, `${look.name}-start.png`), fullPage: true });
    await sound(other, 'start');
    await other.getByRole('button', { name: /^Web service/ }).click();
    for (const name of ['form', 'yaml', 'json']) {
      await other.goto(`${base}/ui/services/create?view=${name}`);
      await other.getByTestId('fits').waitFor();
      if (name !== 'form') await other.getByTestId('editor').getByRole('textbox').waitFor();
      await other.screenshot({ path: join(shots, `${look.name}-${name}.png`), fullPage: name === 'form' });
      await sound(other, name);
    }
    await other.goto(`${base}/ui/services/edit/-${yamlId}`);
    await other.getByLabel('Instances', { exact: true }).fill('3');
    await other.getByTestId('changed').getByText('1 change').waitFor();
    await other.screenshot({ path: join(shots, `${look.name}-edit.png`) });
    await sound(other, 'edit');
    must(other.problems.length === 0, other.problems.join('\n'));
    await other.context().close();
  });
}

for (const id of [formId, yamlId]) await ask('DELETE', `/service/marathon/v2/apps${id}`).catch(() => undefined);
await browser.close();
console.log(`${passed} passed, ${failures.length} failed; screenshots in ${shots}`);
process.exit(failures.length > 0 ? 1 : 0);
