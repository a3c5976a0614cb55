// What the page may cost: bytes and requests of a first visit, bytes and redrawing while nothing
// happens, work for a letter in a list of 3,000 services. Counts and sizes only, which are the same on
// a slow machine; how long it all takes is a subject of `make bench` (tests/bench/page.mjs).
//
//   TEPUI_URL=http://127.0.0.1:8000 TEPUI_PASSWORD=… TEPUI_APP=… TEPUI_QUIET=… node tests/browser/budget.mjs
//
// TEPUI_APP is a service that writes about 400 lines a second, TEPUI_QUIET one that writes nothing; the
// long list is made up (ui/dev). Needs `make ui` and Debian's chromium.
import { check, cluster, finish, launch, must } from './common.mjs';
import { apart, firstPaint, keystrokes, session, usableList, visitor, watch, weigh } from './measure.mjs';

const KIB = 1024;
/** Of one visit, compressed. */
const MAX = { script: 150 * KIB, stylesheet: 20 * KIB, document: 3 * KIB };
/** The dashboard has the most: its charts, its traffic and what was done last are parts and questions of their own. */
const REQUESTS_MAX = 18;
/** A second in which nothing happens: ages go on, samples come every five. */
const IDLE_MAX = { bytes: KIB, styles: 2, layouts: 2, commits: 2 };
const IDLE_MS = 12_000;
/** Elements of the whole page, however long the list is, and rows that a letter may add. */
const ELEMENTS_MAX = 2_500;
const ROWS_MAX = 40;
/** Components that a letter calls: those of the line, and of some twenty rows once. */
const RENDERS_MAX = 1_000;
const LINES_MAX = 150;
const LOG_MAX = { styles: 14, layouts: 14, commits: 14 };

const { TEPUI_URL: base, TEPUI_PASSWORD: password, TEPUI_APP: app, TEPUI_QUIET: quiet } = process.env;
const many = await cluster('many');
const browser = await launch();
const cookies = await session(base, 'admin', password);
const rounded = (n) => Math.round(n * 100) / 100;

/** What a visit asks for, until nothing more is. */
async function visit(path, known) {
  const context = await visitor(browser, known, false);
  const page = await context.newPage();
  const asked = [];
  page.on('request', (request) => asked.push({ url: request.url(), type: request.resourceType() }));
  await page.goto(base + path);
  await page.getByRole('heading', { level: 1 }).waitFor();
  for (let n = -1; n !== asked.length; ) {
    n = asked.length;
    await page.waitForTimeout(700);
  }
  await context.close();
  const sizes = { script: 0, stylesheet: 0, document: 0 };
  for (const { url: address, type } of asked) {
    if (!(type in sizes)) continue;
    const { bytes, encoding } = await weigh(address);
    must(encoding === 'gzip', `${address} is not compressed`);
    sizes[type] += bytes;
  }
  return { asked, sizes };
}

for (const [name, path, known] of [['the dashboard', '/ui/', cookies], ['the services', '/ui/services', cookies], ['the sign-in', '/', []]]) {
  await check(`first visit of ${name}: small, and from here only`, async () => {
    const { asked, sizes } = await visit(path, known);
    must(sizes.script > 50 * KIB && sizes.stylesheet > KIB, `that is no page: ${JSON.stringify(sizes)}`);
    for (const [type, most] of Object.entries(MAX)) must(sizes[type] <= most, `${type}: ${sizes[type]} bytes, at most ${most}`);
    must(asked.length <= REQUESTS_MAX, `${asked.length} requests:\n${asked.map((one) => one.url).join('\n')}`);
    const foreign = asked.filter((one) => !one.url.startsWith(`${base}/`) && !one.url.startsWith('data:'));
    must(foreign.length === 0, `asks elsewhere: ${foreign.map((one) => one.url).join(', ')}`);
    const told = Object.entries(sizes).map(([type, bytes]) => `${type} ${(bytes / KIB).toFixed(1)} KiB`);
    return `${told.join(', ')}, ${asked.length} requests`;
  });
}

await check('first paint: the frame is there before any script or style sheet', async () => {
  const context = await visitor(browser, cookies, false);
  // They are asked for and never come.
  await context.route('**/assets/**', () => undefined);
  const page = await context.newPage();
  await page.goto(`${base}/ui/services`, { waitUntil: 'commit' });
  await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0);
  must(await page.locator('#skeleton').isVisible(), 'the frame is not seen');
  await context.close();
});

await check('first paint: nothing is seen without its style, however late that comes', async () => {
  const context = await visitor(browser, cookies, false);
  await context.route('**/assets/*.css', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 700));
    await route.continue();
  });
  const page = await context.newPage();
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.getElementById('root')?.firstChild) return;
      observer.disconnect();
      globalThis.styled = [...document.styleSheets].filter((sheet) => sheet.href).length;
    }).observe(document, { subtree: true, childList: true });
  });
  await page.goto(`${base}/ui/services`);
  await page.waitForFunction(() => globalThis.styled !== undefined);
  const linked = await page.locator('link[rel=stylesheet]').count();
  const styled = await page.evaluate(() => globalThis.styled);
  must(styled >= 1 && styled <= linked, `${styled} style sheets were there`);
  must(await page.locator('#skeleton').count() === 0, 'the frame of the document stays');
  await context.close();
});

// All screens at rest at once, each on a wire of its own; what follows does not concern them.
const known = { headers: { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') } };
const { nodes } = await (await fetch(`${base}/tepui/v1/nodes`, known)).json();
const tabs = ['', 'instances', 'logs', 'why', 'activity', 'versions', 'config'];
const ofService = tabs.map((tab) => `/ui/services/-${quiet}?tab=${tab}`);
const screens = ['/ui/', '/ui/services', ...ofService, '/ui/nodes', `/ui/nodes/${nodes[0].id}`, '/ui/deployments', '/ui/volumes', '/ui/efficiency', '/ui/cluster', '/ui/activity', '/ui/services/create'];
const resting = await Promise.all(screens.map((path) => apart(browser, base, cookies, path)));
const writing = await apart(browser, base, cookies, `/ui/services/-${app}?tab=logs`);
await new Promise((resolve) => setTimeout(resolve, 4_000));
const watched = watch(resting, IDLE_MS);
const followed = watch([writing], IDLE_MS);

await check('3,000 services: little of the list is in the document, a letter changes what is seen only', async () => {
  const context = await visitor(browser, await session(many, 'admin', 'admin'));
  const { page } = await firstPaint(context, `${many}/ui/services`);
  await usableList(page);
  await page.getByText(/^3,\d\d\d services/).first().waitFor();
  const all = await keystrokes(page, [...'app-17', 'Backspace', 'Backspace', '2', '0', ...'0 OR relay']);
  const elements = await page.evaluate(() => document.querySelectorAll('*').length);
  must(elements <= ELEMENTS_MAX, `${elements} elements`);
  for (const [i, { key, rows, renders }] of all.entries()) {
    must(rows <= ROWS_MAX, `${key} (${i + 1}.) adds ${rows} rows`);
    must(renders <= RENDERS_MAX, `${key} (${i + 1}.) calls ${renders} components, at most ${RENDERS_MAX}`);
    must(renders > 0, `${key} (${i + 1}.) was not seen`);
  }
  await context.close();
  return `${elements} elements; components ${all.map(({ renders }) => renders).join(' ')}`;
});

for (const costs of await watched) {
  await check(`at rest: ${costs.path}`, async () => {
    for (const [what, most] of Object.entries(IDLE_MAX)) must(costs[what] <= most, `${rounded(costs[what])} ${what} a second, at most ${most}`);
    return `${Math.round(costs.bytes)} bytes, ${rounded(costs.styles)} styles, ${rounded(costs.layouts)} layouts, ${rounded(costs.commits)} commits a second`;
  });
}
await check('400 lines a second: drawn where they are seen, a few times a second', async () => {
  const [costs] = await followed;
  const lines = await writing.page.locator('[role=log] [data-line]').count();
  must(lines > 5 && lines <= LINES_MAX, `${lines} lines are drawn`);
  must(costs.bytes > 10 * KIB, `${Math.round(costs.bytes)} bytes a second are no 400 lines`);
  for (const [what, most] of Object.entries(LOG_MAX)) must(costs[what] <= most, `${rounded(costs[what])} ${what} a second, at most ${most}`);
  return `${lines} lines, ${rounded(costs.layouts)} layouts, ${rounded(costs.commits)} commits a second`;
});

for (const page of [...resting, writing]) await page.close();
await finish();
