// The page in a real browser, for the subject `page` of `make bench`: reads from standard input which
// systems there are, measures them in turn, and prints what it found as lines of JSON.
//
//   {"systems": [{"name": "tepui", "url": "http://…", "lists": "http://…", "password": {…}, "node": "…"}], …}
//
// `lists` is a second system of the same build with 3,000 services. A screen that a system's page does not
// have leaves its cell empty.
import { apart, firstPaint, keystrokes, median, session, usableList, visitor, watch } from '../browser/measure.mjs';
import { launch } from '../browser/common.mjs';

const parts = [];
for await (const part of process.stdin) parts.push(part);
const { systems, visits, idle_s, posts, rounds, service, writer } = JSON.parse(Buffer.concat(parts).toString());
const say = (found) => console.log(JSON.stringify(found));
const browser = await launch();

const best = (values) => Math.min(...values);
/** A row: what it is, with a value for each system. */
const told = (what, unit, by) => say({ what, unit, values: systems.map(({ name }) => by(name)) });

const cookies = new Map();
for (const { name, url, password, lists } of systems) {
  cookies.set(name, await session(url, 'admin', password.own));
  cookies.set(`${name} lists`, await session(lists, 'admin', password.lists));
}

/** One visit of a browser that was never here; what is painted first, and when the list can be used. */
async function visit(url, known, list) {
  const context = await visitor(browser, known, list);
  const { page, at } = await firstPaint(context, url);
  const used = list ? await usableList(page) : 0;
  await context.close();
  return [at, used];
}

/** Visits taken in turn, so that a slow minute concerns all. */
async function visitAll() {
  const paints = new Map();
  const lists = new Map();
  const many = new Map();
  const note = (map, name, value) => map.set(name, [...(map.get(name) ?? []), value]);
  // The first pages of a browser are slow; they belong to nobody's time.
  for (const { name, url } of systems) await visit(`${url}/ui/services`, cookies.get(name), true);
  for (let i = 0; i < visits; i += 1) {
    for (const { name, url, lists: long } of systems) {
      const known = cookies.get(name);
      note(paints, `${name} blank`, (await visit(`${url}/tepui/v1/me`, known, false))[0]);
      const [paint, list] = await visit(`${url}/ui/services`, known, true);
      note(paints, name, paint);
      note(lists, name, list);
      note(many, name, (await visit(`${long}/ui/services`, cookies.get(`${name} lists`), true))[1]);
    }
  }
  told('first contentful paint, best', 'ms', (name) => best(paints.get(name)));
  told('first contentful paint, median', 'ms', (name) => median(paints.get(name)));
  told('… of a line of text from the same server, best', 'ms', (name) => best(paints.get(`${name} blank`)));
  told('… of a line of text from the same server, median', 'ms', (name) => median(paints.get(`${name} blank`)));
  told('usable list, 15 services, median', 'ms', (name) => median(lists.get(name)));
  told('usable list, 3,000 services, median', 'ms', (name) => median(many.get(name)));
}

/** What is typed: a first letter that most rows have, words of many and few hits, letters taken back. */
const KEYS = [...'app-17', 'Backspace', 'Backspace', ...'204', ...Array(8).fill('Backspace'), ...'g7/app-1'];

async function typeAll() {
  const all = new Map(systems.map(({ name }) => [name, { first: [], ms: [], rows: 0, elements: 0 }]));
  for (let i = 0; i < rounds; i += 1) {
    for (const { name, lists } of systems) {
      const context = await visitor(browser, cookies.get(`${name} lists`));
      const { page } = await firstPaint(context, `${lists}/ui/services`);
      await usableList(page);
      await page.waitForTimeout(1_500);
      const keys = await keystrokes(page, KEYS);
      const found = all.get(name);
      found.first.push(keys[0].ms);
      found.ms.push(...keys.slice(1).map(({ ms }) => ms));
      found.elements = await page.evaluate(() => document.querySelectorAll('*').length);
      await context.close();
    }
  }
  told('first letter in the filter of 3,000, median', 'ms', (name) => median(all.get(name).first));
  told('first letter in the filter of 3,000, worst', 'ms', (name) => Math.max(...all.get(name).first));
  told('each later letter, median', 'ms', (name) => median(all.get(name).ms));
  told('each later letter, worst', 'ms', (name) => Math.max(...all.get(name).ms));
  told('elements of the page of 3,000', '', (name) => all.get(name).elements);
}

/** From the POST of an app until its row is painted in the open list. */
async function postAll() {
  const taken = new Map(systems.map(({ name }) => [name, []]));
  const open = new Map();
  for (const { name, url } of systems) {
    const context = await visitor(browser, cookies.get(name));
    const { page } = await firstPaint(context, `${url}/ui/services`);
    await usableList(page);
    open.set(name, { context, page });
  }
  for (let i = 0; i < posts; i += 1) {
    for (const { name, url } of systems) {
      const { page } = open.get(name);
      const id = `/posted-${i}`;
      const row = page.evaluate((wanted) => globalThis.noted.row(wanted), id);
      await page.evaluate(() => undefined);
      const headers = { 'content-type': 'application/json', authorization: `token=${cookies.get(name).find((cookie) => /auth/.test(cookie.name)).value}` };
      const from = performance.timeOrigin + performance.now();
      const answer = await fetch(`${url}/service/marathon/v2/apps`, { method: 'POST', headers, body: JSON.stringify({ id, cmd: 'sleep 1', cpus: 0.01, mem: 16, instances: 0 }) });
      if (!answer.ok) throw new Error(`${name}: POST ${id}: ${answer.status}`);
      taken.get(name).push((await row) - from);
      await fetch(`${url}/service/marathon/v2/apps${id}`, { method: 'DELETE', headers });
      await page.waitForTimeout(200);
    }
  }
  for (const { context } of open.values()) await context.close();
  told('POST of an app until its row is seen, median', 'ms', (name) => median(taken.get(name)));
}

/** The screens that rest, by name; those that a page has not are left out for it. */
const SCREENS = [
  ['dashboard', () => '/ui/'],
  ['services', () => '/ui/services'],
  ['a service', () => `/ui/services/-${service}`],
  ['its instances', () => `/ui/services/-${service}?tab=instances`],
  ['its logs', () => `/ui/services/-${service}?tab=logs`],
  ['why', () => `/ui/services/-${service}?tab=why`],
  ['nodes', () => '/ui/nodes'],
  ['a node', ({ node }) => `/ui/nodes/${node}`],
  ['deployments', () => '/ui/deployments'],
  ['activity', () => '/ui/activity'],
];

async function restAll() {
  const pages = [];
  for (const system of systems) {
    for (const [name, path] of SCREENS) {
      const page = await apart(browser, system.url, cookies.get(system.name), path(system));
      pages.push({ name, system: system.name, page });
    }
    const page = await apart(browser, system.url, cookies.get(system.name), `/ui/services/-${writer}?tab=logs`);
    pages.push({ name: 'log', system: system.name, page });
  }
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const known = await Promise.all(pages.map(({ page }) => page.page.getByRole('heading', { name: 'Not found' }).count().then((n) => n === 0)));
  const all = await watch(pages.map(({ page }) => page), idle_s * 1_000);
  const of = (system, name, what) => {
    const at = pages.findIndex((one) => one.system === system && one.name === name);
    return known[at] ? all[at][what] : undefined;
  };
  const minute = (seconds) => seconds && seconds * 60;
  for (const [name] of SCREENS) {
    told(`at rest, ${name}: processor a minute`, 's', (system) => minute(of(system, name, 'cpu')));
    told(`at rest, ${name}: on the wire`, 'B/s', (system) => of(system, name, 'bytes'));
  }
  told('400 log lines a second: processor a minute', 's', (system) => minute(of(system, 'log', 'cpu')));
  for (const { page } of pages) await page.close();
}

for (const step of [visitAll, typeAll, postAll, restAll]) await step();
await browser.close();
