// What goes wrong in a real cluster is named on the page: a check that fails, a program that ends again
// and again, a service that fits nowhere; one after another beside one that is well.
//
//   TEPUI_URL=http://127.0.0.1:8000 TEPUI_USER=… TEPUI_PASSWORD=… node tests/browser/broken.mjs
//
// Needs Debian's chromium. Screenshots go to a folder it prints. What it runs it removes.
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const UI = join(import.meta.dirname, '..', '..', 'ui');
const { chromium } = createRequire(join(UI, 'package.json'))('playwright-core');
const { TEPUI_URL: base, TEPUI_USER: user, TEPUI_PASSWORD: password } = process.env;
/** From the order until the container has started; the trouble itself is to be named in the 10 s after. */
const START_MS = 20_000;
const NAMED_MS = 10_000;
const shots = mkdtempSync(join(tmpdir(), 'tepui-broken-'));

const WELL = { id: '/truth/well', cmd: 'sleep 3600', cpus: 0.01, mem: 32 };
const TROUBLES = [
  {
    app: {
      id: '/truth/check', cmd: 'sleep 3600', cpus: 0.01, mem: 32, portDefinitions: [{ port: 0, name: 'http' }],
      healthChecks: [{ protocol: 'TCP', gracePeriodSeconds: 1, intervalSeconds: 1, timeoutSeconds: 1, maxConsecutiveFailures: 0, portIndex: 0 }],
    },
    headline: '/truth/check fails its health check.',
    word: 'Unhealthy',
    // Nobody listens there.
    cause: /TCP check on port index 0: \w+/,
  },
  {
    app: { id: '/truth/crash', cmd: 'exit 3', cpus: 0.01, mem: 32, backoffSeconds: 1, backoffFactor: 1 },
    headline: '/truth/crash ends again and again.',
    word: 'Crash loop',
    cause: /exited with status 3/,
  },
  {
    app: { id: '/truth/full', cmd: 'sleep 3600', cpus: 0.01, mem: 104_857_600 },
    headline: '/truth/full has no place to run.',
    word: 'Waiting',
    cause: /too little memory free \(needs 100 TiB of memory/,
  },
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
page.setDefaultTimeout(START_MS + NAMED_MS);

const must = (condition, text) => {
  if (!condition) throw new Error(text);
};
const marathon = async (method, path, body) => {
  const status = await page.evaluate(
    async ([verb, to, json]) =>
      (await fetch(`/service/marathon/v2${to}`, { method: verb, headers: { 'content-type': 'application/json' }, body: json })).status,
    [method, path, body && JSON.stringify(body)],
  );
  must(status < 300, `${method} ${path} answers ${status}`);
};

/** No sentence stands on the screen twice. */
async function once(where) {
  const twice = await page.evaluate(() => {
    const seen = new Map();
    for (const element of document.querySelectorAll('main *')) {
      const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join('').trim();
      // What was done to one thing and to another is two things: there the name belongs to the sentence.
      const past = element.closest('[data-past]');
      if (own.length < 24 || own.split(/\s+/).length < 4 || element.offsetParent === null) continue;
      const said = past ? `${past.textContent}: ${own}` : own;
      seen.set(said, (seen.get(said) ?? 0) + 1);
    }
    return [...seen].filter(([, n]) => n > 1).map(([text]) => text);
  });
  must(twice.length === 0, `${where} says twice: ${twice.join(' | ')}`);
}

async function isNamed({ app: { id }, headline, word, cause }) {
  const began = Date.now();
  await page.goto(`${base}/ui/`);
  await page.getByRole('heading', { level: 1, name: headline, exact: true }).waitFor();
  const took = (Date.now() - began) / 1000;
  await page.getByText('1 service needs attention').waitFor({ state: 'attached' });
  must((await page.title()).startsWith('(1) '), `the title is ${await page.title()}`);
  await page.getByText(cause).first().waitFor();
  await once('the dashboard');
  await page.screenshot({ path: join(shots, `${word}-dashboard.png`) });
  await page.goto(`${base}/ui/services`);
  const row = (name) => page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });
  await row(id).getByText(word, { exact: true }).waitFor();
  await row(WELL.id).getByText('Running', { exact: true }).waitFor();
  for (const tab of ['', '?tab=why']) {
    await page.goto(`${base}/ui/services/-${id}${tab}`);
    await page.getByText(cause).first().waitFor();
    await once(`${id}${tab}`);
  }
  await page.screenshot({ path: join(shots, `${word}-why.png`) });
  return took;
}

let failed = 0;
try {
  await page.goto(`${base}/`);
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
  await marathon('POST', '/apps', WELL);
  await page.getByRole('heading', { level: 1, name: 'Everything runs as wanted.' }).waitFor();
  for (const trouble of TROUBLES) {
    await marathon('POST', '/apps', trouble.app);
    try {
      console.log(`ok    ${trouble.app.id} is named ${(await isNamed(trouble)).toFixed(1)} s after it was ordered`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${trouble.app.id}\n      ${String(error.message ?? error).split('\n').slice(0, 8).join('\n      ')}`);
      await page.screenshot({ path: join(shots, `failed-${failed}.png`) });
    }
    await marathon('DELETE', `/apps${trouble.app.id}?force=true`);
    await page.goto(`${base}/ui/`);
    await page.getByRole('heading', { level: 1, name: 'Everything runs as wanted.' }).waitFor();
  }
  await marathon('DELETE', `/apps${WELL.id}?force=true`);
} finally {
  await browser.close();
}
console.log(`screenshots in ${shots}`);
process.exitCode = failed > 0 ? 1 : 0;
