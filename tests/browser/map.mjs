// The map of the nodes, a drain, an invitation and the traffic, against made-up clusters (ui/dev).
//
//   node tests/browser/map.mjs
//
// Needs `make ui` and Debian's chromium. Pictures go to a folder it prints.
import { join } from 'node:path';
import { check, cluster, finish, focused, launch, must, picturesOf, signedIn, sound } from './common.mjs';

const shots = picturesOf('map');
const picture = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });
const [base, broken, many] = await Promise.all([cluster('demo'), cluster('broken'), cluster('map')]);
const browser = await launch();

const nodes = (page) => page.locator('[data-map] [data-node]');
const names = (page) => nodes(page).evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
async function map(page, at = base, query = '') {
  await page.goto(`${at}/ui/nodes?view=map${query}`);
  await nodes(page).first().waitFor();
}
/** The colour of the canvas in the middle of what `at` says, from its left upper corner. */
const pixel = (page, x, y) =>
  page.evaluate(([x, y]) => {
    const canvas = document.querySelector('[data-map] canvas');
    const scale = canvas.width / canvas.clientWidth;
    return [...canvas.getContext('2d').getImageData(Math.round(x * scale), Math.round(y * scale), 1, 1).data];
  }, [x, y]);
/** Where the picture has an instance: the first pixel, row by row from below, that is not the ground. */
const instanceOn = (page, host) =>
  page.evaluate((host) => {
    const link = [...document.querySelectorAll('[data-node]')].find((one) => one.getAttribute('aria-label').startsWith(`${host} `));
    const [left, top] = [parseFloat(link.style.left), parseFloat(link.style.top)];
    return { x: left + link.offsetWidth / 2, y: top + link.offsetHeight - 8 };
  }, host);
const toPage = async (page, { x, y }) => {
  const box = await page.locator('[data-map]').boundingBox();
  return [box.x + x, box.y + y];
};

async function overview(page) {
  await check('map: the page of nodes opens as one, says so in its address and remembers a choice', async () => {
    await page.goto(`${base}/ui/nodes`);
    await nodes(page).first().waitFor();
    await page.getByRole('group', { name: 'View' }).getByRole('button', { name: 'List' }).click();
    await page.getByRole('table', { name: 'Nodes' }).waitFor();
    must(page.url().includes('view=list'), page.url());
    await page.goto(`${base}/ui/nodes`);
    await page.getByRole('table', { name: 'Nodes' }).waitFor();
    await page.goto(`${base}/ui/nodes?view=map&area=cpu`);
    await nodes(page).first().waitFor();
    const area = page.getByRole('group', { name: 'Area' });
    must((await area.getByRole('button', { name: 'CPU' }).getAttribute('aria-pressed')) === 'true', 'the address says CPU');
    await area.getByRole('button', { name: 'Memory' }).click();
    must(page.url().includes('area=memory'), page.url());
  });
  await check('map: says of each node in words what it draws', async () => {
    await map(page);
    const all = await names(page);
    must(all.length === 6, `${all.length} nodes`);
    must(all.some((name) => /^10\.0\.0\.11 Active, Memory 7\d % reserved, \d+ instances?$/.test(name)), all.join(' | '));
    must(all.some((name) => name.startsWith('10.0.0.15 Draining')), all.join(' | '));
    must((await page.getByRole('region', { name: /Zone eu-1/ }).count()) === 3, 'three zones are named');
  });
  await check('map: areas are in proportion to memory', async () => {
    const areas = await nodes(page).evaluateAll((all) => Object.fromEntries(all.map((one) => [one.getAttribute('aria-label').split(' ')[0], one.offsetWidth * one.offsetHeight])));
    const part = areas['10.0.0.11'] / areas['10.0.0.12'];
    must(part > 3.5 && part < 4.8, `64 GiB are ${part.toFixed(2)} times 16 GiB`);
  });
  await check('map: one tab stop, arrows lead from node to node, Enter opens one', async () => {
    await map(page);
    must((await page.locator('[data-map] [tabindex="0"]').count()) === 1, 'more than one tab stop');
    await page.locator('[data-map] [tabindex="0"]').focus();
    const seen = new Set();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowDown']) {
      await page.keyboard.press(key);
      seen.add(await focused(page));
    }
    must(seen.size >= 4, [...seen].join(' | '));
    must((await page.locator('[data-map] [tabindex="0"]').count()) === 1, 'the tab stop did not move along');
    const at = /A ([\d.]+) /.exec(await focused(page))?.[1];
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: at }).waitFor();
  });
  await check('map: an instance under the pointer is named, a click holds it, Escape lets go', async () => {
    await map(page);
    const [x, y] = await toPage(page, await instanceOn(page, '10.0.0.11'));
    await page.mouse.move(x, y, { steps: 5 });
    const about = page.locator('[aria-live=polite]').filter({ hasText: 'CPU' });
    await about.getByRole('link', { name: '/prod/billing/ledger' }).waitFor();
    await page.mouse.click(x, y);
    await page.mouse.move(5, 5);
    await about.getByRole('link', { name: '/prod/billing/ledger' }).waitFor();
    await about.getByRole('button', { name: 'Let go' }).click();
    await page.getByText('Point at a node or an instance').waitFor();
  });
  await check('map: a service that is pointed at stands out on all nodes', async () => {
    await map(page);
    await page.mouse.move(5, 5);
    const other = await instanceOn(page, '10.0.0.12');
    const before = await pixel(page, other.x - 20, other.y);
    await page.getByRole('list', { name: 'Services, the largest first' }).getByRole('button', { name: /ledger/ }).hover();
    await page.waitForTimeout(100);
    const dim = await pixel(page, other.x - 20, other.y);
    must(`${before}` !== `${dim}`, 'what is no part of it stays as it was');
    await picture(page, 'lit');
  });
  await check('map: the filter knows nodes and what runs on them', async () => {
    const line = page.getByLabel('Filter nodes');
    await line.fill('service:redis');
    await page.waitForFunction(() => document.querySelectorAll('[data-node]').length === 1);
    await line.fill('zone:eu-1b');
    await page.waitForFunction(() => document.querySelectorAll('[data-node]').length === 2);
    await line.fill('nothing-like-this');
    await page.getByText('No node matches').waitFor();
    await line.fill('');
    await page.waitForFunction(() => document.querySelectorAll('[data-node]').length === 6);
  });
  await check('map: a node whose engine is down is crossed out', async () => {
    const other = await signedIn(browser, broken);
    await map(other, broken);
    const dead = (await names(other)).find((name) => name.includes('Engine down'));
    must(dead, (await names(other)).join(' | '));
    const { x, y } = await other.evaluate((name) => {
      const link = document.querySelector(`[data-node][aria-label="${name}"]`);
      const head = link.textContent ? 20 : 1;
      return { x: parseFloat(link.style.left) + link.offsetWidth / 2, y: parseFloat(link.style.top) + head + (link.offsetHeight - head) / 2 };
    }, dead);
    const [r, g, b] = await pixel(other, x, y);
    must(r > 150 && g < 80 && b < 90, `the middle of ${dead} is ${r} ${g} ${b}`);
    await picture(other, 'broken');
    await sound(other, 'map of a broken cluster');
    await other.context().close();
  });
}

async function widths() {
  for (const colorScheme of ['light', 'dark']) {
    await check(`map: sound at every width (${colorScheme})`, async () => {
      const page = await signedIn(browser, base, { colorScheme });
      for (const width of [320, 390, 720, 1024, 1440, 2560]) {
        await page.setViewportSize({ width, height: width < 720 ? 844 : 900 });
        for (const by of ['service', 'state']) {
          await map(page, base, `&by=${by}&show=${by === 'state' ? 'used' : 'reserved'}`);
          await sound(page, `${width} ${by}`);
          await picture(page, `${width}-${by}-${colorScheme}`);
        }
      }
      await page.context().close();
    });
  }
}

async function crowd() {
  const page = await signedIn(browser, many);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  const script = async () => (await cdp.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'ScriptDuration').value;
  await check('map: 400 nodes with 10,000 instances are cells that show how full they are', async () => {
    await map(page, many);
    must((await nodes(page).count()) === 400, `${await nodes(page).count()} nodes`);
    const least = await nodes(page).evaluateAll((all) => Math.min(...all.map((one) => Math.min(one.offsetWidth, one.offsetHeight))));
    must(least >= 12, `one is ${least} px`);
    await picture(page, 'crowd');
    await sound(page, 'crowd');
    const box = await page.locator('[data-map]').boundingBox();
    const before = await script();
    for (let i = 0; i < 40; i++) await page.mouse.move(box.x + 20 + i * 20, box.y + 40 + i * 6);
    for (let i = 0; i < 20; i++) await page.keyboard.press('Tab');
    const each = ((await script()) - before) * (1000 / 60);
    must(each < 25, `${each.toFixed(1)} ms of script for a move`);
    return `${each.toFixed(1)} ms of script for a move`;
  });
  await check('map: fewer of them, by the filter, show their instances again', async () => {
    await page.getByLabel('Filter nodes').fill('zone:eu-1a');
    await page.waitForFunction(() => document.querySelectorAll('[data-node]').length === 134);
    await page.getByText('reserved, not used').waitFor();
    await picture(page, 'zone');
    await page.getByLabel('Filter nodes').fill('service:/load/g3/app-3');
    await page.waitForFunction(() => document.querySelectorAll('[data-node]').length < 134);
  });
  await page.context().close();
}

async function drain(page) {
  const host = '10.0.0.12';
  await check('drain: says of each instance where it goes or that it has no place', async () => {
    await page.goto(`${base}/ui/nodes/${host}`);
    await page.getByRole('button', { name: 'Drain…' }).click();
    const dialog = page.getByRole('dialog', { name: `Drain ${host}?` });
    const targets = dialog.getByRole('list', { name: 'What would happen' });
    const first = await targets.locator(':scope > li').first().innerText();
    must(/No place: it stays until something has room/.test(first) && /none of 6 nodes fits/.test(first), first);
    must((await targets.locator(':scope > li').count()) >= 2, 'only one target');
    must((await focused(page)) === 'BUTTON Cancel', `the focus is on ${await focused(page)}`);
    await picture(page, 'drain-asked');
    await sound(page, 'drain');
  });
  await check('drain: the same picture follows it to its end', async () => {
    await page.getByRole('dialog').getByRole('button', { name: 'Drain', exact: true }).click();
    const bar = page.getByRole('progressbar', { name: 'Moving off this node' });
    await bar.waitFor();
    const all = Number(await bar.getAttribute('aria-valuemax'));
    must(all >= 2, `${all} instances`);
    await page.waitForFunction(() => Number(document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')) > 0);
    await picture(page, 'drain-under-way');
    await sound(page, 'draining');
    await page.getByText('Drained').first().waitFor({ timeout: 20_000 });
    await page.getByText('Nothing runs here').waitFor();
    await map(page);
    const all_ = await names(page);
    must(all_.some((name) => name.startsWith(`${host} Drained`) && name.endsWith('0 instances')), all_.join(' | '));
  });
  await check('drain: the node takes work again', async () => {
    await page.goto(`${base}/ui/nodes/${host}`);
    await page.getByRole('button', { name: 'Take work again' }).click();
    await page.getByRole('button', { name: 'Drain…' }).waitFor();
  });
}

async function node(page) {
  await check('node: instances by service with id, processors and memory; groups fold', async () => {
    await page.goto(`${base}/ui/nodes/10.0.0.14`);
    const table = page.getByRole('table', { name: 'Instances on 10.0.0.14' });
    const group = table.getByRole('row', { name: /\/prod\/billing\/ledger/ });
    await group.waitFor();
    const text = await table.innerText();
    must(/1\.2 of 4/.test(text) && /24 GiB of 48 GiB/.test(text), text);
    const before = await table.getByRole('row').count();
    await group.focus();
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction((n) => document.querySelectorAll('[role=table] [role=row]').length < n, before);
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction((n) => document.querySelectorAll('[role=table] [role=row]').length === n, before);
    must(/1,001: 31000–32000/.test(await page.locator('dl').innerText()), 'ports');
    await picture(page, 'node');
    await sound(page, 'node');
  });
  await check('node: what happens elsewhere is not read again here', async () => {
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    const put = (instances) =>
      page.evaluate((n) => fetch('/service/marathon/v2/apps//demo/web?force=true', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ instances: n }) }), instances);
    await put(5);
    await page.waitForTimeout(4_000);
    await put(3);
    await page.waitForTimeout(4_000);
    const reads = asked.filter((path) => !path.startsWith('/service/'));
    must(reads.length === 0, reads.join(', '));
  });
}

async function list(page) {
  await check('list: runtime and seen have values', async () => {
    await page.goto(`${broken}/ui/nodes?view=list`);
    const text = await page.getByRole('table', { name: 'Nodes' }).innerText();
    must(/Docker answers/.test(text) && /Docker is silent/.test(text) && /tepui 0\.1\.0/.test(text), text);
    must(/\bnow\b/.test(text) && !/–/.test(text), text);
    await picture(page, 'list');
    await sound(page, 'list');
  });
}

async function invitation(page) {
  await check('invite: a line to copy, and a row that turns green when the node is there', async () => {
    await map(page);
    await page.getByRole('button', { name: 'Add a node' }).click();
    const row = page.locator('[data-invited]');
    await row.getByText('Waiting for the node').waitFor();
    const command = await page.getByRole('group', { name: 'Add a node' }).locator('code').first().innerText();
    must(/TEPUI_JOIN_TOKEN=\S+/.test(command) && /TEPUI_MASTERS=10\.0\.0\.11:5070/.test(command), command);
    await page.getByLabel('a node reached from outside').check();
    await page.getByText('--role public-agent').waitFor();
    await sound(page, 'invitation');
    // It waits while the reader is elsewhere.
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Services' }).click();
    await page.getByRole('heading', { level: 1, name: 'Services' }).waitFor();
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Nodes' }).click();
    await page.locator('[data-invited=waiting]').waitFor();
    await page.evaluate(() => fetch('/__fixture/join'));
    await page.locator('[data-invited=here]').getByRole('link').waitFor();
    await picture(page, 'joined');
    await sound(page, 'joined');
    await page.getByRole('button', { name: 'Put away' }).click();
    await row.waitFor({ state: 'detached' });
  });
}

async function traffic(page) {
  await check('traffic: the dashboard shows what flows to each service', async () => {
    await page.goto(`${base}/`);
    const panel = page.locator('section').filter({ has: page.getByRole('heading', { name: 'Traffic' }) }).last();
    await panel.getByText('Front door', { exact: true }).waitFor();
    const text = await panel.innerText();
    must(/\/demo\/web/.test(text) && /\d+\/s/.test(text) && /p99 \d+ ms/.test(text), text);
    await panel.scrollIntoViewIfNeeded();
    await picture(page, 'traffic');
    await sound(page, 'traffic');
    await page.setViewportSize({ width: 320, height: 844 });
    await sound(page, 'traffic on a phone');
    await picture(page, 'traffic-phone');
    await page.setViewportSize({ width: 1440, height: 900 });
  });
}

const page = await signedIn(browser, base);
await overview(page);
await widths();
await node(page);
await drain(page);
await invitation(page);
await traffic(page);
await crowd();
const other = await signedIn(browser, broken);
await list(other);
console.log(`pictures in ${shots}`);
await finish();
