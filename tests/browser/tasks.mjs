// Whole tasks of an operator, by mouse and keys, against a running tepui: a rollout that fails, an
// attempt of long ago, a node taken out of service, many instances stopped, a change taken back, data
// at stake, links of before, a copy.
//
//   TEPUI_URL=http://127.0.0.1:8000 TEPUI_USER=… TEPUI_PASSWORD=… node tests/browser/tasks.mjs
//
// TEPUI_MANY says how many instances are stopped together. Needs `make ui` and Debian's chromium.
// What it runs it removes. Screenshots go to a folder it prints.
import { join } from 'node:path';
import { check, finish, focused, launch, must, picturesOf, sound, watched } from './common.mjs';

const { TEPUI_URL: base, TEPUI_USER: user = 'admin', TEPUI_PASSWORD: password = 'admin' } = process.env;
const MANY = Number(process.env.TEPUI_MANY ?? 40);
const WAIT_MS = 20_000;
/** Until so many containers have started, or were replaced, on two cores. */
const MANY_MS = 20_000 + MANY * 1_000;
const group = `/tasks-${Date.now().toString(36)}`;
const id = (name) => `${group}/${name}`;
const shots = picturesOf('tasks');

const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
context.setDefaultTimeout(WAIT_MS);
const page = await context.newPage();
// There is no session at first, what a deployment holds is refused, what was deleted is gone.
const problems = watched(page, [401, 404, 409]);

/** A check with a picture of where it ended. */
let n = 0;
const task = (name, body) =>
  check(name, async () => {
    try {
      return await body();
    } finally {
      n += 1;
      await page.screenshot({ path: join(shots, `${n}.png`) }).catch(() => undefined);
    }
  });

const login = await fetch(`${base}/acs/api/v1/auth/login`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ uid: user, password }),
});
const { token } = await login.json();

/** Asks the server as a colleague's program does. */
async function ask(method, path, body) {
  const answer = await fetch(`${base}${path}`, {
    method,
    headers: { authorization: `token=${token}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await answer.text();
  must(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}
const run = (spec) => ask('POST', '/service/marathon/v2/apps', { cpus: 0.01, mem: 16, ...spec });
const definition = async (of) => (await ask('GET', `/service/marathon/v2/apps${of}`)).app;
const change = (of, spec) => ask('PUT', `/service/marathon/v2/apps${of}?force=true`, spec);

/** Waits until what is asked again and again is so. */
async function until(what, test, within = WAIT_MS) {
  const end = Date.now() + within;
  for (;;) {
    const found = await test();
    if (found) return found;
    must(Date.now() < end, `${what}: not within ${within / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const service = (of, tab = '') => `${base}/ui/services/-${of}${tab && `?tab=${tab}`}`;
const dialog = page.getByRole('dialog');
const tab = (name) => page.getByRole('navigation', { name: /^Views of/ }).getByRole('link', { name });
const runs = (running, wanted = running, within = WAIT_MS) =>
  page.getByTestId('instances').getByText(`${running} of ${wanted}`).waitFor({ timeout: within });
const more = async (item) => {
  await page.getByRole('button', { name: /^More actions/ }).click();
  await page.getByRole('menuitem', { name: item }).click();
};

const WEB = {
  id: id('web'), cmd: 'touch up; exec sleep 3600', instances: 2, backoffSeconds: 1, backoffFactor: 1,
  healthChecks: [{ protocol: 'COMMAND', command: { value: 'test -e up' }, gracePeriodSeconds: 5, intervalSeconds: 1, timeoutSeconds: 5, maxConsecutiveFailures: 3 }],
};
await run(WEB);
// Each attempt has its own name to tell, and is over at once.
await run({ id: id('loop'), cmd: 'echo "this is $MESOS_TASK_ID"; exec no-such-program', backoffSeconds: 1, backoffFactor: 1 });
await run({
  id: id('data'), cmd: 'sleep 3600',
  container: { type: 'MESOS', volumes: [{ containerPath: 'rows', mode: 'RW', persistent: { size: 24 } }] },
  residency: { taskLostBehavior: 'WAIT_FOREVER' },
  upgradeStrategy: { minimumHealthCapacity: 0, maximumOverCapacity: 0 },
});

await task('a deep link leads to its view once the user has signed in', async () => {
  const to = `${service(WEB.id, 'why')}`;
  await page.goto(to);
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'web', exact: true }).waitFor();
  must(page.url() === to, `it leads to ${page.url()}`);
  must((await tab('Why').getAttribute('aria-current')) === 'page', 'another view is open');
});

await task('links of the original page lead to the same things here', async () => {
  const old = encodeURIComponent(WEB.id);
  const [running] = await until('web runs', async () => (await definition(WEB.id)).tasks);
  for (const [link, wanted] of [
    [`services/detail/${old}`, service(WEB.id)],
    [`services/detail/${old}/tasks`, service(WEB.id)],
    [`services/detail/${old}/configuration`, service(WEB.id, 'config')],
    [`services/detail/${old}/debug`, service(WEB.id, 'why')],
    [`services/detail/${old}/tasks/${running.id}/logs`, `${service(WEB.id, 'logs')}&task=${running.id}`],
    [`services/overview/${encodeURIComponent(group)}`, `${base}/ui/services?q=${encodeURIComponent(group)}`],
    ['nodes', `${base}/ui/nodes`],
  ]) {
    await page.goto('about:blank');
    await page.goto(`${base}/#/${link}`);
    await page.waitForURL(wanted);
    await page.getByRole('heading', { level: 1 }).waitFor();
  }
  // What is not there is said.
  await page.goto('about:blank');
  await page.goto(`${base}/#/jobs/detail/nightly`);
  await page.getByText('tepui has no page for this yet').waitFor();
});

const before = await definition(WEB.id);
await task('a rollout that fails is seen, read, rolled back with its difference, and that undone', async () => {
  await page.goto(service(WEB.id));
  await runs(2);
  await page.goto(`${base}/ui/`);
  await change(WEB.id, { cmd: 'echo "FATAL: cannot open /etc/web.conf" >&2; exit 78' });
  // Seen: by the headline, the badge and the title.
  const trouble = page.getByRole('link', { name: new RegExp(`^${WEB.id} crash loop`) });
  await trouble.waitFor();
  await page.getByRole('navigation', { name: 'Main' }).getByText(/services? needs? attention/).waitFor({ state: 'attached' });
  must(/^\(\d+\) /.test(await page.title()), `the title is ${await page.title()}`);
  // Read: from there.
  await trouble.click();
  await page.getByRole('log').getByText('FATAL: cannot open /etc/web.conf').first().waitFor();
  // The strip of the rollout, and that the old instances still run.
  await tab('Overview').click();
  await page.getByRole('heading', { name: 'Rollout' }).waitFor();
  await page.getByText('exited with status 78').first().waitFor();
  await sound(page, 'a failed rollout');
  await page.screenshot({ path: join(shots, 'failed-rollout.png') });
  // A number asked for meanwhile is not lost by the deployment in its way.
  await page.keyboard.press('Control+k');
  await page.keyboard.type(`scale ${group.slice(1)} web 5`);
  await page.keyboard.press('Enter');
  await dialog.getByLabel('Instances', { exact: true }).waitFor();
  must((await dialog.getByLabel('Instances', { exact: true }).inputValue()) === '5', 'the number is lost');
  await page.keyboard.press('Escape');
  // Back.
  await tab('Versions').click();
  const versions = page.getByTestId('version');
  await versions.nth(1).getByRole('button', { name: 'Roll back…' }).click();
  const fields = dialog.getByRole('region', { name: 'Fields that differ' });
  await fields.getByText(WEB.cmd).waitFor();
  await fields.getByText('exit 78').waitFor();
  await dialog.getByTestId('effect').getByRole('listitem').first().waitFor();
  const go = dialog.getByRole('button', { name: 'Roll back', exact: true });
  await go.click();
  const force = dialog.getByLabel('Cancel that deployment and do this instead');
  await force.or(page.getByRole('button', { name: /^Undo/ })).first().waitFor();
  if (await force.isVisible()) {
    await force.check();
    await go.click();
  }
  const undo = page.getByRole('button', { name: /^Undo/ });
  await undo.waitFor();
  await until('the old command is back', async () => (await definition(WEB.id)).cmd === before.cmd);
  await undo.click();
  await until('the new command is back', async () => (await definition(WEB.id)).cmd !== before.cmd);
  await undo.waitFor({ state: 'detached' });
  await versions.first().getByText('active').waitFor();
});

await task('the 10th attempt of a crash loop is found, its end explained, its output read', async () => {
  await page.goto(service(id('loop'), 'activity'));
  const dots = page.getByRole('group', { name: 'Attempts, the newest first' });
  await dots.getByRole('button', { name: /^Attempt 11, / }).first().waitFor({ timeout: 30_000 });
  await dots.getByRole('button', { name: /^Attempt 10, / }).first().focus();
  await page.keyboard.press('Enter');
  await page.getByText('10 of instance').waitFor();
  await page.getByRole('definition').getByText('exit 127 = the command was not found', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Show stdout' }).click();
  await page.getByLabel('End of stdout').getByText(/_app\.10/).waitFor();
  await page.getByRole('button', { name: 'Show stderr' }).click();
  await page.getByLabel('End of stderr').getByText(/no-such-program.*not found/).waitFor();
  await sound(page, 'attempts');
  // And what the whole loop means, where its trouble is told.
  await tab('Overview').click();
  await page.getByText('exited with status 127').first().waitFor();
});
await ask('DELETE', `/service/marathon/v2/apps${id('loop')}?force=true`);
await change(WEB.id, { cmd: WEB.cmd });
await until('web is as it was', async () => {
  const { deployments, tasksHealthy } = await definition(WEB.id);
  return deployments.length === 0 && tasksHealthy === 2;
});

await task('a service is scaled from the search box, and that taken back by its message', async () => {
  await page.goto(`${base}/ui/`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.keyboard.press('Control+k');
  await page.keyboard.type(`scale ${group.slice(1)} web 3`);
  await dialog.getByRole('option', { selected: true }).getByText('2 → 3').waitFor();
  await page.keyboard.press('Enter');
  await page.getByText(`${WEB.id}: scaling to 3`).waitFor();
  await until('three are wanted', async () => (await definition(WEB.id)).instances === 3);
  await page.getByRole('status').getByRole('button', { name: 'Undo' }).click();
  await page.getByText('Taken back').waitFor();
  await until('two are wanted', async () => (await definition(WEB.id)).instances === 2);
});

await task('a service with data is deleted only by its name, and the data is named', async () => {
  await page.goto(service(id('data')));
  await runs(1);
  await more('Delete…');
  await dialog.getByText('rows (24 MiB each)').waitFor();
  must((await focused(page)).includes('Cancel'), `the focus is on ${await focused(page)}`);
  const go = dialog.getByRole('button', { name: 'Delete', exact: true });
  const name = dialog.getByLabel(`Type ${id('data')} to confirm`);
  must(await go.isDisabled(), 'it can be deleted without its name');
  await name.fill(id('dat'));
  must(await go.isDisabled(), 'a part of its name is enough');
  await sound(page, 'the question');
  await page.screenshot({ path: join(shots, 'delete.png') });
  await name.fill(id('data'));
  await page.keyboard.press('Enter');
  await page.waitForURL(`${base}/ui/services`);
  await page.getByText(`${id('data')}: deleted`).waitFor();
  await page.getByRole('link', { name: id('data'), exact: true }).waitFor({ state: 'detached' });
});

await task('a service is made as a copy of another', async () => {
  await page.goto(service(WEB.id));
  await more('New from this one');
  const name = page.getByLabel('Name', { exact: true });
  await name.waitFor();
  must((await name.inputValue()) === `${WEB.id}-copy`, `it is called ${await name.inputValue()}`);
  await name.fill(id('copy'));
  await page.getByTestId('plan').getByTestId('fits').getByText(/^Fits: 2 on /).waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'copy', exact: true }).waitFor();
  await runs(2);
  must((await definition(id('copy'))).cmd === WEB.cmd, 'it runs something else');
});

await task('a node is drained after a look at what that does, and taken back', async () => {
  await page.goto(`${base}/ui/nodes`);
  // By a key: a click on the map may meet an instance.
  await page.locator('[data-map] [data-node]').press('Enter');
  await page.getByRole('button', { name: 'Drain…' }).click();
  // The only node there is: nothing can go elsewhere, and that is said before, by where it goes.
  const stays = (within) =>
    within
      .getByRole('list', { name: 'What would happen' })
      .getByRole('listitem')
      .filter({ hasText: 'No place' })
      .getByRole('listitem')
      .filter({ has: page.getByRole('link', { name: WEB.id, exact: true }) })
      .getByText('2', { exact: true });
  await stays(dialog).waitFor();
  await sound(page, 'the preview');
  await page.screenshot({ path: join(shots, 'drain.png') });
  await dialog.getByRole('button', { name: 'Drain', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  const back = page.getByRole('button', { name: 'Take work again' });
  await back.waitFor();
  await page.getByText('Draining', { exact: true }).first().waitFor();
  // The plan stays to be looked at while it is carried out.
  await stays(page.getByRole('main')).waitFor();
  must((await page.getByRole('progressbar', { name: 'Moving off this node' }).getAttribute('aria-valuenow')) === '0', 'something is gone');
  await back.click();
  await page.getByRole('button', { name: 'Drain…' }).waitFor();
  await page.getByText('Active', { exact: true }).first().waitFor();
  await page.goto(service(WEB.id));
  await runs(2);
});

await task(`${MANY} instances are stopped together, each with its own outcome`, async () => {
  const started = Date.now();
  await run({ id: id('many'), cmd: 'exec sleep 3600', cpus: 0.001, mem: 8, instances: MANY });
  await page.goto(service(id('many'), 'instances'));
  await runs(MANY, MANY, MANY_MS);
  const up = (Date.now() - started) / 1000;
  const old = new Set((await definition(id('many'))).tasks.map((one) => one.id));
  await page.getByRole('checkbox', { name: 'Select all' }).check();
  await page.getByRole('region', { name: 'Selected instances' }).getByText(`${MANY} selected`).waitFor();
  await page.getByRole('region', { name: 'Selected instances' }).getByRole('button', { name: 'Stop…' }).click();
  must((await focused(page)).includes('Cancel'), `the focus is on ${await focused(page)}`);
  const killing = Date.now();
  await dialog.getByRole('button', { name: `Stop ${MANY} instances` }).click();
  // Per item: some done while others still wait.
  await page.waitForFunction(() => {
    const bar = document.querySelector('dialog progress');
    return bar && bar.value > 0 && bar.value < bar.max;
  });
  await page.screenshot({ path: join(shots, 'stopping.png') });
  await page.getByText(`${MANY} instances: stopping`).waitFor({ timeout: MANY_MS });
  const asked = (Date.now() - killing) / 1000;
  await until(
    'all are replaced',
    async () => {
      const now = (await definition(id('many'))).tasks.filter((one) => one.state === 'TASK_RUNNING');
      return now.length === MANY && now.every((one) => !old.has(one.id));
    },
    MANY_MS,
  );
  await runs(MANY);
  return `up in ${up.toFixed(1)} s, asked in ${asked.toFixed(1)} s, replaced in ${((Date.now() - killing) / 1000).toFixed(1)} s`;
});

await check('the page had no errors of its own', () => must(problems.length === 0, problems.slice(0, 5).join('\n')));
await ask('DELETE', `/service/marathon/v2/groups${group}?force=true`);
console.log(`screenshots in ${shots}`);
await finish();
