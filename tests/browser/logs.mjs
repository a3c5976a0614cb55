// The logs of services in a real browser against a running tepui.
//
//   TEPUI_URL=http://127.0.0.1:8000 TEPUI_USER=… TEPUI_PASSWORD=… node tests/browser/logs.mjs
//
// Runs services of its own: one whose three instances talk on both streams and begin with what is hostile,
// one that ends again and again, one that writes 400 lines a second. What the last one costs the page is
// held by counts (rows in the document, how often it is drawn); times are printed and judged by nobody.
import { join } from 'node:path';
import { check, finish, launch, must, picturesOf, signedIn, sound, watched } from './common.mjs';

const base = process.env.TEPUI_URL;
const WAIT_MS = 30_000;
const SHARE = { cpus: 0.02, mem: 32 };
const talks = `/browser-test/talks-${Date.now().toString(36)}`;
const ends = talks.replace('talks', 'ends');
const storm = talks.replace('talks', 'storm');
const HOSTILE = '<img src=x onerror=document.title=1>';
const PROGRAM = [
  `echo '${HOSTILE}'`,
  `printf '\\033]0;stolen\\007\\033[2J\\033[31mred\\033[0m \\033[48;5;52m\\033[4mand more\\033[0m\\n'`,
  `printf 'not UTF-8: \\377\\376\\n'`,
  `head -c 1000000 /dev/zero | tr '\\0' x; echo`,
  'i=0; while true; do i=$((i+1)); echo "line $i"; [ $((i%7)) = 0 ] && echo "ERROR number $i" >&2; sleep 0.25; done',
].join('; ');
/** 4 instances, 10 times a second, 10 lines. */
const STORM = 'i=0; while true; do i=$((i+1)); for n in 0 1 2 3 4 5 6 7 8 9; do echo "INFO $i.$n request handled in 12 ms"; done; sleep 0.1; done';
const STORM_S = 15;

const shots = picturesOf('logs');
const browser = await launch();
const options = { permissions: ['clipboard-read', 'clipboard-write'] };
const page = await signedIn(browser, base, options);
page.setDefaultTimeout(WAIT_MS);
// A task that is gone and a pattern that is none are what some checks are about.
const problems = watched(page, [404, 422]);

const marathon = async (method, path, body) => {
  const status = await page.evaluate(
    async ([verb, to, json]) => (await fetch(`/service/marathon/v2/apps${to}`, { method: verb, headers: { 'content-type': 'application/json' }, body: json })).status,
    [method, path, body && JSON.stringify(body)],
  );
  must(status < 300, `${method} ${path} answers ${status}`);
};
const address = (id, query = '') => `${base}/ui/services/-${id}?tab=logs${query}`;
const log = page.getByRole('log');
const rows = page.locator('[data-line]');
const named = (name) => page.getByRole('button', { name, exact: true });
const until = async (what, body) => {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const found = await body();
    if (found) return found;
    must(Date.now() < end, `waited in vain for ${what}`);
    await page.waitForTimeout(100);
  }
};
/** Task and stream of the rows that are in the document. */
const whose = () => page.$$eval('[data-line] [title]', (all) => [...new Set(all.map((at) => at.title).filter((text) => / std(out|err)$/.test(text)))]);
const tasksSeen = async () => new Set((await whose()).map((text) => text.split(' ')[0]));

await marathon('POST', '', { id: talks, instances: 3, cmd: PROGRAM, ...SHARE });
await marathon('POST', '', { id: ends, instances: 1, cmd: 'echo "needle in attempt"; sleep 1; exit 3', backoffSeconds: 1, backoffFactor: 1, ...SHARE });

await check('three instances and both streams are one list in the order of time', async () => {
  await page.goto(address(talks));
  await page.getByText('Following', { exact: true }).waitFor();
  await until('three instances', async () => (await tasksSeen()).size === 3);
  await until('both streams', async () => new Set((await whose()).map((text) => text.split(' ')[1])).size === 2);
  const times = await page.$$eval('[data-line] time', (all) => all.map((at) => at.dateTime));
  must(times.length > 10 && times.every((at, i) => i === 0 || times[i - 1] <= at), `not in order: ${times}`);
  await sound(page, 'logs');
  await page.screenshot({ path: join(shots, 'wide.png') });
});

await check('what is hostile stays text', async () => {
  await log.focus();
  await page.keyboard.press('Control+Home');
  await log.getByText(HOSTILE).first().waitFor();
  must((await log.locator('img').count()) === 0, 'a line became an element');
  must(!/stolen|^1$/.test(await page.title()), `it wrote the title: ${await page.title()}`);
  const ground = log.getByText('and more').first();
  const look = await ground.evaluate((at) => { const style = getComputedStyle(at); return [style.backgroundColor, style.textDecorationLine]; });
  must(look[0] === 'rgb(95, 0, 0)' && look[1] === 'underline', `colours are lost: ${look}`);
  await log.getByText('not UTF-8: \ufffd\ufffd').first().waitFor();
  const [long] = await page.$$eval('[data-line]', (all) => all.map((row) => row.textContent).filter((text) => /x{1000}/.test(text)));
  must(long && long.length < 70_000 && long.endsWith('…'), `the long line has ${long?.length} characters`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  must(wide <= 0, `the page is ${wide} px too wide`);
  await page.screenshot({ path: join(shots, 'hostile.png') });
  await named('To the end').click();
  await log.getByText(/^line \d+$/).last().waitFor();
});

await check('streams and levels are chosen', async () => {
  await named('stdout').click();
  await until('stderr alone', async () => { const seen = await whose(); return seen.length > 0 && seen.every((text) => text.endsWith('stderr')); });
  await named('stdout').click();
  await named('Errors').click();
  await until('errors alone', async () => {
    const levels = await page.$$eval('[data-line]', (all) => all.map((row) => row.dataset.level));
    return levels.length > 0 && levels.every((level) => level === 'error');
  });
  await named('Errors').click();
  await log.getByText(/^line \d+$/).last().waitFor();
});

await check('a search finds, counts, goes from match to match and shows what is around one', async () => {
  const search = page.getByLabel('Search with a regular expression');
  await search.fill('LINE 1[0-9]$');
  await log.locator('mark', { hasText: 'line 12' }).first().waitFor();
  must((await log.getByText(/^ERROR/).count()) === 0, 'a line that does not match is shown');
  const count = page.getByRole('search').getByRole('status');
  await until('a count', async () => /matches$/.test(await count.textContent()));
  await page.getByRole('button', { name: 'Next match' }).click();
  await until('a place', async () => /^\d+ of \d+$/.test(await count.textContent()));
  await log.focus();
  await page.keyboard.press('n');
  await page.keyboard.press('Shift+N');
  const current = log.locator('[aria-current]');
  const task = await current.locator('[title]').nth(1).getAttribute('title');
  const before = await rows.count();
  await page.keyboard.press('z');
  await until('lines around it', async () => (await rows.count()) > before);
  const around = await page.$$eval('[data-line]', (all) => {
    const at = all.findIndex((row) => row.hasAttribute('aria-current'));
    return [at - 1, at + 1].map((i) => all[i]?.querySelectorAll('[title]')[1]?.title ?? '');
  });
  must(around.every((title) => title.split(' ')[0] === task.split(' ')[0]), `lines of others: ${around} around ${task}`);
  await page.screenshot({ path: join(shots, 'context.png') });
  await page.getByRole('button', { name: 'Only lines that match' }).click();
  await page.getByRole('button', { name: 'Next match' }).click();
  await log.locator('[aria-current] mark').waitFor();
  await log.locator('[data-line]:not(:has(mark))').first().waitFor();
  await search.fill('(');
  await page.getByRole('button', { name: 'Only lines that match' }).click();
  await log.getByText(/regex parse error/).waitFor();
  await search.fill('');
  await log.getByText(/^line \d+$/).last().waitFor();
});

await check('earlier attempts are searched, and chosen', async () => {
  await page.goto(address(ends));
  await page.getByText('Following', { exact: true }).or(page.getByText('The task has ended', { exact: true })).waitFor();
  await until('a third attempt', async () => {
    await page.goto(address(ends, '&previous=true&grep=NEEDLE'));
    await log.locator('mark', { hasText: 'needle' }).first().waitFor();
    return (await tasksSeen()).size >= 3;
  });
  await log.getByText(/#\d+$/).first().waitFor();
  await page.getByLabel('Instance', { exact: true }).selectOption({ index: 1 });
  await page.getByLabel('Attempt', { exact: true }).selectOption({ index: 2 });
  await until('one attempt', async () => {
    // Between two attempts the cluster knows of no node to ask.
    await page.reload();
    await page.waitForTimeout(1_000);
    return /task=.+\.\d+/.test(page.url()) && (await log.locator('mark').count()) === 1;
  });
});

let link;
await check('a link leads to its line', async () => {
  await page.goto(address(talks));
  const line = log.getByText(/^line 3$/).first();
  await page.getByLabel('Search with a regular expression').fill('^line 3$');
  await line.click();
  const title = await log.locator('[aria-current] [title]').nth(1).getAttribute('title');
  await named('Copy a link to this line').click();
  link = await page.evaluate(() => navigator.clipboard.readText());
  const other = await page.context().newPage();
  await other.goto(link.replace('grep=', 'was='));
  const found = other.getByRole('log').locator('[aria-current]');
  await found.getByText(/^line 3$/).waitFor();
  must((await found.locator('[title]').nth(1).getAttribute('title')) === title, 'it is a line of another');
  const inView = await found.evaluate((row) => { const [a, b] = [row.getBoundingClientRect(), row.closest('[role=log]').getBoundingClientRect()]; return a.top >= b.top && a.bottom <= b.bottom; });
  must(inView, 'the line is not in view');
  await other.close();
});

await check('a task that is gone is said to be, and the way on is there', async () => {
  await page.goto(address(talks, '&task=talks.instance-nobody._app.1'));
  await page.getByRole('heading', { name: 'This task is gone' }).waitFor();
  await page.getByRole('button', { name: 'Show all instances' }).click();
  await page.getByText('Following', { exact: true }).waitFor();
});

await check('an instance that comes later joins', async () => {
  await until('three instances', async () => (await tasksSeen()).size === 3);
  const before = await tasksSeen();
  await marathon('PUT', `${talks}?force=true`, { instances: 4 });
  await until('a fourth instance', async () => [...(await tasksSeen())].some((task) => !before.has(task)));
});

await check('the chart leads to a time, by keys and by the pointer', async () => {
  const chart = page.getByRole('slider', { name: 'When how much was written' });
  await chart.focus();
  await page.keyboard.press('Home');
  const at = () => chart.getAttribute('aria-valuenow');
  await until('the first part', async () => (await at()) === '0');
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.2, box.y + 10);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 10, { steps: 5 });
  await page.mouse.up();
  await until('another place', async () => Number(await at()) > 40);
});

await check('what is saved is called after the instance', async () => {
  await page.goto(address(talks));
  await rows.first().waitFor();
  const saved = async (item) => {
    await named('Save').click();
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: item }).click();
    return (await download).suggestedFilename();
  };
  const shown = await saved(/lines that are shown$/);
  must(/^talks-.+-all-output\.log$/.test(shown), `what is shown is called ${shown}`);
  await page.getByLabel('Instance', { exact: true }).selectOption({ index: 1 });
  await rows.first().waitFor();
  const file = await saved(/^All of stderr of/);
  must(/[0-9a-f]{8}\.\d+-stderr\.log$/.test(file), `the file is called ${file}`);
});

await check('on a phone the lines have the room', async () => {
  const phone = await signedIn(browser, base, { viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
  await phone.goto(address(talks));
  await phone.locator('[data-line]').first().waitFor();
  const tools = await phone.getByRole('search').evaluate((at) => at.parentElement.getBoundingClientRect().height);
  must(tools <= 60, `the tools take ${tools} px`);
  const room = await phone.getByRole('log').evaluate((at) => at.getBoundingClientRect().height);
  must(room >= 500, `the lines have ${room} px`);
  await phone.screenshot({ path: join(shots, 'phone.png') });
  await sound(phone, 'logs on a phone');
  await phone.getByRole('button', { name: 'Tools', exact: true }).click();
  await phone.getByRole('dialog').getByRole('button', { name: 'stderr', exact: true }).waitFor();
  await sound(phone, 'tools on a phone');
  await phone.screenshot({ path: join(shots, 'phone-tools.png') });
  await phone.getByRole('button', { name: 'Done' }).click();
  await phone.getByRole('dialog').waitFor({ state: 'detached' });
  await phone.context().close();
});

await check('400 lines a second are drawn a few times a second, few rows at a time', async () => {
  await marathon('POST', '', { id: storm, instances: 4, cmd: STORM, ...SHARE });
  await page.goto(address(storm));
  await until('four instances', async () => (await tasksSeen()).size === 4);
  await page.waitForTimeout(2_000);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const spent = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration').value;
  };
  const lines = async () => Number((await page.getByText(/^[\d,]+ lines$/).textContent()).replace(/\D/g, ''));
  const from = [await spent(), await lines(), Date.now()];
  const seen = await page.evaluate(async (ms) => {
    const box = document.querySelector('[role=log]');
    const count = { drawn: 0, rows: 0, long: [] };
    const drawn = new MutationObserver(() => { count.drawn += 1; count.rows = Math.max(count.rows, box.querySelectorAll('[data-line]').length); });
    drawn.observe(box, { childList: true, subtree: true });
    const long = new PerformanceObserver((all) => count.long.push(...all.getEntries().map((entry) => Math.round(entry.duration))));
    long.observe({ type: 'longtask' });
    await new Promise((resolve) => setTimeout(resolve, ms));
    drawn.disconnect();
    long.disconnect();
    return count;
  }, STORM_S * 1_000);
  const seconds = (Date.now() - from[2]) / 1_000;
  const rate = ((await lines()) - from[1]) / seconds;
  const busy = (((await spent()) - from[0]) / seconds) * 60;
  must(rate > 100, `only ${rate.toFixed(0)} lines a second came`);
  must(seen.rows > 10 && seen.rows <= 200, `${seen.rows} rows are in the document`);
  must(seen.drawn / seconds <= 8, `it was drawn ${(seen.drawn / seconds).toFixed(1)} times a second`);
  return `${rate.toFixed(0)} lines/s, ${seen.rows} rows, drawn ${(seen.drawn / seconds).toFixed(1)}/s, ${busy.toFixed(1)} s of the main thread a minute, long tasks ${JSON.stringify(seen.long)} ms`;
});

await check('nothing broke the page’s policy', () => must(problems.length === 0, problems.slice(0, 5).join('\n')));
for (const id of [talks, ends, storm]) await marathon('DELETE', `${id}?force=true`).catch(() => undefined);
console.log(`pictures in ${shots}`);
await finish();
