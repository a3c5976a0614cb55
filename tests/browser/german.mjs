// Every screen in German: nothing of it is English but what the server says, which is marked so; nothing
// is wider than a phone; no rule of axe is broken. Against a made-up cluster in which much is wrong.
//
//   node tests/browser/german.mjs [part of a screen's name]
//
// Needs `make ui` and Debian's chromium. Pictures go to a folder it prints.
import { join } from 'node:path';
import { check, cluster, finish, fits, launch, must, picturesOf, signedIn, sound } from './common.mjs';

/** Said alike in both languages. A word that stands here no more is told. */
const SAME = [
  'CPU', 'CPUs', 'Cluster', 'Debug', 'Definition', 'Deutsch', 'GPU', 'GPUs', 'Info', 'JSON', 'Labels', 'Master', 'Name', 'Plan', 'Ports', 'Text', 'Version', 'Volumes',
  'YAML', 'Zone', 'curl', 'stderr', 'stdout',
];
/** Words of English sentences that no German one has. */
const ENGLISH = /\b(the|of|is|are|and|this|these|with|for|has|have|been|yet|its|to|by|from|more|not|no|nothing|cannot)\b/i;
const PHONE = { width: 390, height: 844 };
const WIDE = { width: 1440, height: 900 };
/** Screens that are looked at side by side. */
const LANES = 2;

const only = process.argv[2] ?? '';
const shots = picturesOf('german');
const base = await cluster('broken');
const browser = await launch();

const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const row = (page, id) => page.locator(`[data-row="${id}"]`);
const dialog = (page) => page.getByRole('dialog').waitFor();
/** The page of the first node of the map, by a key: a click may meet an instance. */
const onNode = async (page) => {
  await page.locator('[data-map] [data-node]').first().press('Enter');
  await page.locator('main dl').waitFor();
};
const tab = (id, name) => `services/-${id}${name ? `?tab=${name}` : ''}`;
/** A key on a row of the list. */
const onRow = (id, key) => async (page) => {
  await row(page, id).focus();
  await press(page, key);
  await dialog(page);
};
/** The item of a service's menu, by its place. */
const inMenu = (nth) => async (page) => {
  await page.locator('main button[aria-haspopup=menu]').first().click();
  await page.getByRole('menuitem').nth(nth).click();
  await dialog(page);
};
const sample = (nth, then) => async (page) => {
  await page.locator('main li button[type=button]').nth(nth).click();
  await page.getByTestId('plan').locator('p').first().waitFor();
  await then?.(page);
};
const typed = (text) => async (page) => {
  await page.getByTestId('editor').locator('.cm-content').click();
  await press(page, 'Control+a');
  await page.keyboard.type(text);
  await page.getByTestId('problems').waitFor();
};
const COMPOSE = `services:
  app:
    build: .
    ports: ["1.2.3.4:80:80", "90-99"]
    volumes: ["./x:/y", "data:/z"]
    environment: [SECRET]
    restart: "no"
networks: {}
`;

/** What is opened: an address, and what is done there. */
const SCREENS = [
  ['dashboard', ''],
  ['services', 'services'],
  ['services, none', 'services?q=zzz'],
  ['services, what a filter may not be', 'services?q=is%3Aasleep'],
  ['services, selected and the panel', 'services', async (page) => {
    await row(page, '/shop/payments').focus();
    await press(page, ' ', 'p');
  }],
  ['services, look', 'services', (page) => page.locator('main button[aria-haspopup=menu]').first().click(), 'wide'],
  ['scale', 'services', onRow('/shop/data', 's')],
  ['restart', 'services', onRow('/shop/data', 'r')],
  ['delete', 'services', onRow('/shop/data', 'd')],
  ['delete a group', 'services', onRow('/shop/', 'd')],
  ['scale a group', 'services', onRow('/shop/', 's')],
  ['resume', tab('/shop/slept'), inMenu(3)],
  ['search', 'services', async (page) => {
    await press(page, 'Control+k');
    await dialog(page);
  }],
  ['search, verbs', 'services', async (page) => {
    await press(page, 'Control+k');
    await page.keyboard.type('scale web');
    await dialog(page);
  }],
  ['help', 'services', async (page) => {
    await press(page, '?');
    await dialog(page);
  }],
  ['user menu', '', async (page) => {
    await page.locator('header button[aria-haspopup=menu]').last().click();
    await page.getByRole('menu').waitFor();
  }],
  ['overview', tab('/demo/web')],
  ['overview, unhealthy', tab('/shop/payments'), (page) => page.getByRole('option').first().click()],
  ['overview, rolling', tab('/shop/rolling')],
  ['overview, stopped', tab('/staging/old-report')],
  ['overview, delayed', tab('/prod/mail/relay')],
  ['instances', tab('/demo/web', 'instances')],
  ['instances, none', tab('/staging/old-report', 'instances')],
  ['instances, stop', tab('/demo/web', 'instances'), async (page) => {
    await page.locator('[data-row]').first().focus();
    await press(page, 'd');
    await dialog(page);
  }],
  ['logs', tab('/demo/web', 'logs')],
  ...['/demo/web', '/shop/payments', '/prod/mail/relay', '/prod/billing/ledger', '/shop/made'].map((id) => [`why ${id}`, tab(id, 'why')]),
  ['activity of a service', tab('/prod/mail/relay', 'activity')],
  ['versions', tab('/demo/web', 'versions')],
  ['versions, back', tab('/demo/web', 'versions'), async (page) => {
    await page.getByTestId('version').nth(1).getByRole('button').click();
    await page.getByTestId('effect').waitFor();
  }],
  ['configuration', tab('/demo/web', 'config')],
  ['files', tab('/demo/web', 'instances'), async (page) => {
    await page.locator('[data-row]').first().focus();
    await press(page, 'f');
    await page.getByRole('tablist').waitFor();
    await page.getByRole('tabpanel').getByRole('alert').waitFor();
  }],
  ['shell', tab('/demo/web', 'instances'), async (page) => {
    await page.locator('[data-row]').first().focus();
    await press(page, 'x');
    await page.locator('[data-phase=failed]').waitFor();
  }],
  ['volumes', 'volumes', (page) => page.locator('[data-row$=" pgdata"]').waitFor()],
  ['users', 'users', (page) => page.getByRole('row', { name: /^ann/ }).waitFor()],
  ['cluster', 'cluster', (page) => page.getByText('(Stufe 5)').or(page.getByText('(level 5)')).first().waitFor()],
  ['efficiency, reserve less', 'efficiency', (page) => page.getByRole('button', { name: /^(Weniger vergeben an|Reserve less for)/ }).first().click()],
  ['activity', 'activity', async (page) => {
    await page.getByTestId('record').first().waitFor();
    await page.getByTestId('record').locator('button[aria-pressed]').first().click();
    await page.locator('main dl').waitFor();
  }],
  ['activity, none', 'activity?q=zzz'],
  ['deployments', 'deployments'],
  ['deployments, back', 'deployments', async (page) => {
    await page.locator('main section button').first().click();
    await dialog(page);
  }],
  ['deployments, back and delete', 'deployments', async (page) => {
    await page.locator('main section button').last().click();
    await dialog(page);
  }],
  ['nodes', 'nodes'],
  ['nodes, a list', 'nodes?view=list'],
  ['node', 'nodes', onNode],
  ['drain', 'nodes', async (page) => {
    await onNode(page);
    await page.locator('main button').first().click();
    await dialog(page);
  }],
  ['invitation', 'nodes', async (page) => {
    await page.locator('main button:has(svg)').first().click();
    await page.locator('[data-invited]').waitFor();
  }],
  ['start', 'services/create'],
  ['start, Compose', 'services/create', async (page) => {
    await page.locator('main button[aria-expanded]').click();
    await page.locator('textarea').fill(COMPOSE);
  }],
  ['form', 'services/create', sample(2)],
  ['YAML', 'services/create?view=yaml', sample(0, (page) => page.getByTestId('editor').locator('.cm-content').waitFor())],
  ['YAML, wrong', 'services/create?view=yaml', sample(0, typed('id: a: b'))],
  ['form, of wrong JSON', 'services/create?view=json', sample(0, async (page) => {
    await typed('x')(page);
    await page.locator('nav').filter({ hasText: 'YAML' }).getByRole('link').first().click();
  })],
  ['edit', 'services/edit/-/demo/web', (page) => page.getByTestId('bar').waitFor()],
  ['no such page', 'no-such-page'],
  ['no such service', 'services/-/no/such'],
  ['no such node', 'nodes/none'],
];

/** What is read or heard of a page, without code and what is marked as English. */
function texts() {
  const found = new Set();
  const skipped = 'code, pre, i[aria-hidden], kbd, del, ins, textarea, script, style, svg title, body [lang=en], [data-testid=editor], .xterm';
  const put = (text, element) => {
    if (!element || element.closest(skipped) || !element.checkVisibility()) return;
    const said = text.replace(/\s+/g, ' ').trim();
    if (/\p{L}{2,}/u.test(said)) found.add(said);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) put(walker.currentNode.data, walker.currentNode.parentElement);
  for (const name of ['aria-label', 'title', 'placeholder', 'alt']) {
    for (const element of document.querySelectorAll(`body [${name}]`)) put(element.getAttribute(name), element);
  }
  return [...found];
}

/** Dialogs that are scrolled sideways, buttons and headings whose words are cut off. */
function cut() {
  const words = document.querySelectorAll('dialog, main button, main a, main dt, main label, h1, h2, h3, nav a, dialog button');
  return [...words]
    .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible')
    .filter((e) => e.matches('dialog') || (!e.matches('[title]') && !e.querySelector('[title]')))
    .map((e) => e.textContent);
}

/** Ids, names of machines and the like are what they are. */
const isData = (text) =>
  /^\/|^\S*[/:=@]\S*$|^[\w.-]+\.[\w.-]+$|^[0-9a-f]{8}\b|^eu-1|^\(?[\d.,:]+\s?\S{1,3}\)?$|^tepui\b|^http \d|^rack=|^p99 [\d.,]+ ms$|^Zone eu-1| › |^(master|public agent|agent)\b/.test(text);
/** A sentence without the ids, filters and commands in it. */
const prose = (text) => text.replace(/\btepui .*$/, '').replace(/\S*[/:=]\S+/g, '');

const known = new Set();
const unused = new Set(SAME);

/** Names that came from the cluster. */
async function learn(page) {
  const paths = ['status', 'apps', 'apps/demo%2Fweb', 'volumes', 'me'];
  const answers = await page.evaluate((of) => Promise.all(of.map((path) => fetch(`/tepui/v1/${path}`).then((a) => a.json()))), paths);
  const walk = (value) => {
    if (typeof value === 'string') for (const part of [value, ...value.split('/')]) known.add(part);
    if (!value || typeof value !== 'object') return;
    for (const [key, inner] of Object.entries(value)) {
      known.add(key);
      if (!['verdict', 'warnings'].includes(key)) walk(inner);
    }
  };
  walk(answers);
  for (const name of ['ann', 'bob', 'eve', 'app', 'Fixture admin (admin)']) known.add(name);
}

/** Everything asked for is there, and what follows from it is drawn. */
const still = (page) =>
  page.evaluate(
    ([quiet, longest]) =>
      new Promise((resolve) => {
        const end = performance.now() + longest;
        let at = performance.now();
        const observer = new MutationObserver(() => {
          at = performance.now();
        });
        observer.observe(document.body, { subtree: true, childList: true, characterData: true });
        const look = () => {
          const now = performance.now();
          if (now < end && (now - at < quiet || document.querySelector('[class*=skeleton]'))) return setTimeout(look, 20);
          observer.disconnect();
          resolve();
        };
        look();
      }),
    [120, 1_500],
  );

async function open(page, path, act) {
  await page.evaluate(() => sessionStorage.clear());
  await page.goto(`${base}/ui/${path}`);
  await page.locator('main h1').waitFor();
  if (path.startsWith('services') && !path.includes('/') && !path.includes('zzz') && !path.includes('asleep')) await row(page, '/shop/payments').waitFor();
  await still(page);
  if (!act) return;
  await act(page);
  await still(page);
}

/** A browser context that speaks a language; a page of it for each lane. */
async function speaking(language) {
  const page = await signedIn(browser, base, { viewport: WIDE });
  await page.evaluate((tag) => localStorage.setItem('tepui.language', tag), language);
  return [page, ...(await Promise.all(Array.from({ length: LANES - 1 }, () => page.context().newPage().then(atHome))))];
}
const atHome = async (page) => {
  await page.goto(`${base}/ui/`);
  return page;
};

/** Looks at one screen in both languages, and at the German one as narrow as a phone as well. */
async function look([name, path, act, where], english, german) {
  const picture = join(shots, name.replaceAll(/\W+/g, '-'));
  await german.setViewportSize(WIDE);
  await Promise.all([english, german].map((page) => open(page, path, act)));
  const before = new Set(await english.evaluate(texts));
  const after = await german.evaluate(texts);
  await german.screenshot({ path: `${picture}.png` });
  const wrong = [];
  for (const text of after) {
    const same = SAME.find((word) => text === word);
    if (same) unused.delete(same);
    if (ENGLISH.test(prose(text))) wrong.push(`English: ${text}`);
    else if (/^[a-z]+\.[a-zA-Z.]+$/.test(text) && !known.has(text)) wrong.push(`a key: ${text}`);
    else if (before.has(text) && !same && !isData(text) && !known.has(text)) wrong.push(`the same: ${text}`);
  }
  must(after.length > 5, `only ${after.length} texts`);
  must(wrong.length === 0, wrong.join('\n'));
  // What is behind a dialog was looked at without it.
  await sound(german, name, [], (await german.locator('dialog[open]').count()) > 0 ? 'dialog[open]' : 'html');
  if (where !== 'wide') {
    await german.setViewportSize(PHONE);
    await german.screenshot({ path: `${picture}-phone.png` });
    await fits(german, `${name} on a phone`);
    const short = await german.evaluate(cut);
    must(short.length === 0, `cut off: ${short.join(' | ')}`);
  }
  return `${after.length} texts`;
}

try {
  const [english, german] = await Promise.all([speaking('en'), speaking('de')]);
  await learn(english[0]);
  const left = SCREENS.filter(([name]) => name.includes(only));
  await Promise.all(
    german.map(async (page, lane) => {
      while (left.length > 0) {
        const screen = left.shift();
        await check(screen[0], () => look(screen, english[lane], page));
      }
    }),
  );
  if (!only) {
    await check('the words that are the same are still said', () => must(unused.size === 0, [...unused].join(', ')));
  }
} finally {
  console.log(`pictures in ${shots}`);
  await finish();
}
