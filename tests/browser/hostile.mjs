// What a hostile task can choose – labels, variables, names of files, output, the reason of its failure –
// is text on every view of the page, against a running tepui. Its id is not its choice: the server
// refuses what is no name.
//
//   TEPUI_URL=http://127.0.0.1:8000 TEPUI_USER=… TEPUI_PASSWORD=… node tests/browser/hostile.mjs
//
// Needs `make ui` and Debian's chromium. What it runs it removes. Screenshots go to a folder it prints.
import { join } from 'node:path';
import { check, finish, launch, must, picturesOf, watched } from './common.mjs';

const { TEPUI_URL: base, TEPUI_USER: user = 'admin', TEPUI_PASSWORD: password = 'admin' } = process.env;
const WAIT_MS = 20_000;
const group = `/hostile-${Date.now().toString(36)}`;
const shots = picturesOf('hostile');
/** Taken for what it says it is, each would change the title, leave an element or open a window. */
const IMAGE = '<img src=x onerror=document.title=1>';
const SCRIPT = '</script><script>document.title=1</script>';
const LINK = 'javascript:document.title=1';
/** A title, a clipboard, a link, a clean screen, the other direction of writing. */
const STEERING = String.raw`\033]0;stolen\007\033]52;c;c3RvbGVu\007\033]8;;${LINK}\007link\033]8;;\007\033[2J\033[31mred\033(B\033[m\302\23331m\342\200\256`;

const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
context.setDefaultTimeout(WAIT_MS);
const page = await context.newPage();
const problems = watched(page, [401, 404, 422]);
context.on('page', (other) => other !== page && problems.push(`a window: ${other.url()}`));

await page.goto(`${base}/`);
await page.getByLabel('User').fill(user);
await page.getByLabel('Password').fill(password);
await page.keyboard.press('Enter');
await page.getByRole('navigation', { name: 'Main' }).waitFor();

/** Asks by the page's own origin, signed in as it is. */
const ask = (method, path, body) =>
  page.evaluate(
    async ([verb, to, json]) => {
      const answer = await fetch(to, { method: verb, headers: { 'content-type': 'application/json' }, body: json });
      return answer.status;
    },
    [method, path, body && JSON.stringify(body)],
  );
const APPS = '/service/marathon/v2/apps';
const SPEC = { cpus: 0.01, mem: 16, instances: 1, labels: { [IMAGE]: SCRIPT, link: LINK }, env: { IMAGE, SCRIPT } };
const stays = {
  ...SPEC,
  id: `${group}/stays`,
  cmd: `mkdir -p "$IMAGE"; printf '${STEERING}' > "$IMAGE/$(printf 'a\\033]0;stolen\\007b')"; printf '${STEERING}\\n' | tee -a "$IMAGE/text"; echo "$IMAGE"; echo "$SCRIPT" >&2; exec sleep 3600`,
};
const ends = { ...SPEC, id: `${group}/ends`, cmd: `printf '${STEERING}\\n'; echo "$IMAGE" >&2; exit 3`, backoffSeconds: 600 };
const nobody = { ...SPEC, id: `${group}/nobody`, cmd: 'sleep 3600', user: IMAGE, backoffSeconds: 600 };

const service = ({ id }, tab = '') => `${base}/ui/services/-${id}${tab && `?tab=${tab}`}`;

/** Nothing of it became more than text, and what steers a terminal is not left in it. */
async function isText(where) {
  const seen = await page.evaluate(() => ({
    title: document.title,
    made: document.querySelectorAll('img, iframe, object, embed, main script, a[href^="javascript" i]').length,
    steering: /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.exec(document.body.innerText)?.[0],
  }));
  await page.screenshot({ path: join(shots, `${where.replace(/\W+/g, '-')}.png`) });
  must(!/^1$|stolen/.test(seen.title), `${where}: the title is ${seen.title}`);
  must(seen.made === 0, `${where}: ${seen.made} elements were made`);
  must(seen.steering === undefined, `${where}: character ${seen.steering?.charCodeAt(0)} is on the screen`);
}

await check('a hostile name is refused', async () => {
  for (const id of [`/${IMAGE}`, '/ü', '/a b', `/${'a'.repeat(300)}`]) {
    const status = await ask('POST', APPS, { ...SPEC, id, cmd: 'sleep 1' });
    must(status === 422, `${id} is answered with ${status}`);
  }
});

await check('labels and variables are text wherever they stand', async () => {
  for (const spec of [stays, ends, nobody]) must((await ask('POST', APPS, spec)) === 201, `${spec.id} is refused`);
  await page.goto(service(stays));
  await page.getByText(`${IMAGE}=${SCRIPT}`).waitFor();
  await page.getByTestId('instances').getByText('1 of 1').waitFor();
  await isText('overview');
  await page.goto(service(stays, 'config'));
  await page.getByText(IMAGE).first().waitFor();
  await isText('configuration');
  await page.goto(`${base}/ui/services?q=${encodeURIComponent(`label:"${IMAGE}"`)}`);
  await page.getByRole('link', { name: stays.id, exact: true }).waitFor();
  await isText('filtered');
  await page.goto(`${base}/ui/services?q=${encodeURIComponent(IMAGE)}`);
  await page.getByText(IMAGE).first().waitFor();
  await isText('not found');
  for (const view of ['form', 'yaml', 'json']) {
    await page.goto(`${base}/ui/services/edit/-${stays.id}?view=${view}`);
    if (view === 'form') await page.getByLabel('Name', { exact: true }).waitFor();
    else await page.getByTestId('editor').getByText('onerror').first().waitFor();
    await isText(`edit ${view}`);
  }
  must((await ask('PUT', `${APPS}${stays.id}?force=true`, { labels: { [IMAGE]: LINK } })) === 200, 'no other version');
  await page.goto(service(stays, 'versions'));
  await page.getByRole('region', { name: 'Fields that differ' }).getByText(LINK).first().waitFor();
  await isText('versions');
});

await check('output is text in the log, the past and the search', async () => {
  await page.goto(service(ends, 'logs&previous=true'));
  const log = page.getByRole('log');
  await log.getByText(IMAGE).first().waitFor();
  await log.getByText('linkred').first().waitFor();
  await isText('log');
  await page.getByLabel('Search with a regular expression').fill('red');
  await log.locator('mark').first().waitFor();
  await isText('searched');
  await page.goto(service(ends, 'activity'));
  await page.getByRole('button', { name: /^Details of attempt/ }).first().click();
  await page.getByRole('button', { name: 'Show stdout' }).first().click();
  await page.getByLabel('End of stdout').getByText('linkred').waitFor();
  await isText('attempt');
});

await check('names and contents of files are text', async () => {
  await page.goto(service(stays, 'instances'));
  await page.getByTestId('instances').getByText('1 of 1').waitFor();
  await page.locator('[data-task]').first().hover();
  await page.keyboard.press('f');
  const drawer = page.getByRole('region', { name: 'Shells and files' });
  await drawer.getByRole('button', { name: IMAGE }).click();
  await drawer.getByRole('button', { name: /^text/ }).waitFor();
  await isText('names of files');
  await drawer.getByRole('button', { name: /^text/ }).click();
  await drawer.locator('pre').getByText('␛[31mred').waitFor();
  await isText('a file');
  await drawer.getByRole('button', { name: /^a.*stolen.*b/ }).click();
  await drawer.locator('pre').getByText('link').waitFor();
  await isText('a file of a hostile name');
});

await check('the reason of a failure is text', async () => {
  await page.goto(service(nobody));
  await page.getByText(IMAGE).first().waitFor();
  await isText('failure');
  await page.goto(`${base}/ui/`);
  await page.getByText(`${nobody.id}`).first().waitFor();
  await isText('dashboard');
  await page.goto(`${base}/ui/activity?of=${nobody.id}`);
  await page.getByText(IMAGE).first().waitFor();
  await isText('activity');
});

await check('nothing of it ran', () => must(problems.length === 0, problems.slice(0, 5).join('\n')));
await ask('DELETE', `/service/marathon/v2/groups${group}?force=true`);
console.log(`screenshots in ${shots}`);
await finish();
