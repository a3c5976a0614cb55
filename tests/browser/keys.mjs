// The frame, the keys, the search box and the lists of the page, against made-up clusters (ui/dev).
//
//   node tests/browser/keys.mjs
//
// Needs `make ui` and Debian's chromium. Pictures go to a folder it prints.
import { join } from 'node:path';
import { check, cluster, finish, focused, launch, must, picturesOf, signedIn, sound } from './common.mjs';

const shots = picturesOf('keys');
const picture = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });
const [base, many, below] = await Promise.all([cluster('broken'), cluster('many'), cluster('demo', '--prefix', '/ops')]);
const browser = await launch();

const list = async (page, query = '') => {
  await page.goto(`${base}/ui/services${query && `?q=${encodeURIComponent(query)}`}`);
  await page.getByRole('table').waitFor();
};
const row = (page, key) => page.locator(`[data-row="${key}"]`);
const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const closed = async (page) => {
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
};

async function dialogs(page) {
  /** Each opens a dialog from something that has the focus, and says what that is. */
  const openers = [];
  const onRow = (key, id) => ({
    name: `${key} on a row`,
    open: async () => {
      await row(page, id).focus();
      await press(page, key);
    },
    back: `DIV ${id}`,
  });
  openers.push(onRow('s', '/demo/web'), onRow('r', '/demo/web'), onRow('d', '/demo/web'), onRow('s', '/demo/'), onRow('d', '/demo/'));
  for (const item of ['Scale…', 'Restart…', 'Suspend…', 'Delete…']) {
    openers.push({
      name: `${item} in a row's menu`,
      open: async () => {
        await page.getByRole('button', { name: 'Actions for /demo/redis' }).click();
        await page.getByRole('menuitem', { name: item }).click();
      },
      back: 'BUTTON Actions for /demo/redis',
    });
  }
  for (const item of ['Scale by…', 'Restart…', 'Suspend…', 'Delete…']) {
    openers.push({
      name: `${item} for what is selected`,
      open: () => page.getByRole('region', { name: 'Selected services' }).getByRole('button', { name: item }).click(),
      back: `BUTTON ${item}`,
    });
  }
  openers.push(
    { name: 'the search box', open: () => press(page, 'Control+k'), back: 'BUTTON Delete…' },
    { name: 'the help', open: () => press(page, '?'), back: 'BUTTON Delete…' },
  );
  await list(page);
  await row(page, '/shop/data').focus();
  await press(page, ' ');
  for (const { name, open, back } of openers) {
    await check(`focus: back where it was after ${name}`, async () => {
      await open();
      await page.getByRole('dialog').waitFor();
      await closed(page);
      const at = await focused(page);
      must(at === back, `it is on ${at}, not ${back}`);
    });
  }
}

async function navigations(page) {
  const heading = async (name) => {
    await page.waitForFunction((text) => document.activeElement?.tagName === 'H1' && document.activeElement.textContent.includes(text), name);
  };
  await check('focus: on the heading after each of six ways to another page', async () => {
    await list(page);
    const side = page.getByRole('navigation', { name: 'Main' });
    await side.getByRole('link', { name: 'Nodes' }).click();
    await heading('Nodes');
    await page.locator('[data-map] [data-node]').first().press('Enter');
    await heading('10.0.');
    await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link', { name: 'Nodes' }).click();
    await heading('Nodes');
    await press(page, 'g', 's');
    await heading('Services');
    await row(page, '/demo/web').focus();
    await press(page, 'Enter');
    await heading('web');
    await press(page, 'Control+k');
    await page.keyboard.type('deploym');
    await press(page, 'Enter');
    await heading('Deployments');
  });
}

async function rows(page) {
  await check('list: one tab stop, whatever is in the rows', async () => {
    await list(page);
    await row(page, '/demo/web').waitFor();
    const stops = await page.evaluate(
      () => [...document.querySelectorAll('[data-row], [data-row] a, [data-row] button, [data-row] input')].filter((e) => e.tabIndex === 0).length,
    );
    must(stops === 1, `${stops} tab stops`);
  });
  await check('list: arrows, j and k, ends, folding', async () => {
    await press(page, 'j');
    const first = await focused(page);
    must(/^DIV \/prod\//.test(first), `the worst group comes first: ${first}`);
    await press(page, 'ArrowDown', 'j', 'k');
    must((await focused(page)) === 'DIV /prod/search/indexer', await focused(page));
    await press(page, 'Home', 'ArrowLeft');
    await row(page, '/prod/search/indexer').waitFor({ state: 'detached' });
    await press(page, 'ArrowRight');
    await row(page, '/prod/search/indexer').waitFor();
    await press(page, 'End');
    must(/^DIV \/staging/.test(await focused(page)), await focused(page));
    await press(page, 'ArrowRight');
    must(/^(A|BUTTON|INPUT)/.test(await focused(page)), `into the row: ${await focused(page)}`);
    await press(page, 'ArrowLeft');
    must(/^DIV/.test(await focused(page)), `back to the row: ${await focused(page)}`);
  });
  await check('list: Space selects, Shift a range, Escape nothing', async () => {
    await row(page, '/shop/data').focus();
    await press(page, ' ', 'j', 'Shift+ ');
    await page.getByText('2 selected').waitFor();
    await press(page, 'Shift+ArrowDown');
    await page.getByText('3 selected').waitFor();
    await picture(page, 'selected');
    await press(page, 'Escape');
    await page.getByRole('region', { name: 'Selected services' }).waitFor({ state: 'detached' });
  });
  await check('list: a letter opens a view, g s still goes to the services', async () => {
    await row(page, '/demo/web').focus();
    await press(page, 'l');
    await page.waitForURL(/\/services\/-\/demo\/web\?tab=logs/);
    await press(page, 'g', 's');
    await page.waitForURL(/\/ui\/services$/);
  });
  await check('list: a group is scaled by one request', async () => {
    await row(page, '/demo/').focus();
    await press(page, 's');
    const asked = page.waitForRequest((request) => request.method() === 'PUT');
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Factor').fill('2');
    await dialog.getByRole('button', { name: 'Scale 3 services' }).click();
    const request = await asked;
    must(/\/v2\/groups\/demo$/.test(request.url()) && request.postData() === '{"scaleBy":2}', `${request.url()} ${request.postData()}`);
    await dialog.waitFor({ state: 'detached' });
    await row(page, '/demo/web').getByText('3 / 6').waitFor();
  });
  await check('list: many are changed with the outcome of each; what is held can be forced', async () => {
    await list(page);
    await row(page, '/demo/redis').focus();
    await press(page, ' ');
    await row(page, '/tools/grafana').focus();
    await press(page, ' ');
    await page.getByRole('region', { name: 'Selected services' }).getByRole('button', { name: 'Scale by…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Instances more or fewer').fill('2');
    await dialog.getByText('1 → 3').waitFor();
    await dialog.getByRole('button', { name: 'Scale 2 services' }).click();
    await dialog.getByText('1 of 2 failed.').waitFor();
    must((await dialog.getByRole('img', { name: 'done' }).count()) === 1, 'the one that went well is not told');
    await picture(page, 'outcomes');
    await sound(page, 'outcomes');
    await dialog.getByLabel(/Cancel the deployments/).check();
    await dialog.getByRole('button', { name: 'Try 1 again' }).click();
    await dialog.waitFor({ state: 'detached' });
  });
  await check('list: instances are stopped together', async () => {
    await page.goto(`${base}/ui/services/-/demo/web?tab=instances`);
    const table = page.getByRole('table', { name: 'Instances of /demo/web' });
    await table.getByRole('checkbox', { name: 'Select all' }).check();
    const bar = page.getByRole('region', { name: 'Selected instances' });
    await bar.getByText('3 selected').waitFor();
    await picture(page, 'instances');
    await bar.getByRole('button', { name: 'Stop…' }).click();
    const dialog = page.getByRole('dialog');
    must((await focused(page)) === 'BUTTON Cancel', `the focus is on ${await focused(page)}`);
    await sound(page, 'stopping');
    await dialog.getByRole('button', { name: 'Stop 3 instances' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('No instance runs').waitFor();
  });
  await check('list: many are deleted after a word, and the focus stays in the list', async () => {
    await list(page);
    await row(page, '/shop/data').focus();
    await press(page, ' ');
    await row(page, '/shop/slept').focus();
    await press(page, ' ');
    await page.getByRole('region', { name: 'Selected services' }).getByRole('button', { name: 'Delete…' }).click();
    const dialog = page.getByRole('dialog');
    const go = dialog.getByRole('button', { name: 'Delete 2 services' });
    must(await go.isDisabled(), 'one click deletes two services');
    await dialog.getByLabel('Type delete to confirm').fill('delete');
    await go.click();
    await row(page, '/shop/data').waitFor({ state: 'detached' });
    await row(page, '/shop/slept').waitFor({ state: 'detached' });
    must((await focused(page)) !== 'body', 'the focus fell to the body');
    // By somebody else's hand.
    await row(page, '/shop/rolling').focus();
    await page.evaluate(() => fetch('/service/marathon/v2/apps/shop/rolling', { method: 'DELETE' }));
    await row(page, '/shop/rolling').waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.activeElement?.matches('[data-row]'));
    // Who has left the list is not brought back.
    await page.locator('h1').click();
    await page.evaluate(() => fetch('/service/marathon/v2/apps/shop/made?force=true', { method: 'DELETE' }));
    await row(page, '/shop/made').waitFor({ state: 'detached' });
    must(!/^DIV/.test(await focused(page)), `the list took the focus: ${await focused(page)}`);
  });
}

async function searching(page) {
  await check('search: typed at 40 ms right after Ctrl K, nothing is lost', async () => {
    await list(page);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('tools/grafana', { delay: 40 });
    const box = page.getByRole('combobox', { name: /Search/ });
    must((await box.inputValue()) === 'tools/grafana', `it holds ${await box.inputValue()}`);
    await press(page, 'Escape');
  });
  await check('search: "scale … 5" does it and can be taken back', async () => {
    await press(page, 'Control+k');
    await page.keyboard.type('scale indexer 5');
    await page.getByRole('option', { name: /2 → 5/ }).waitFor();
    await picture(page, 'search');
    await press(page, 'Enter');
    await row(page, '/prod/search/indexer').getByText('2 / 5').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await row(page, '/prod/search/indexer').getByText('2 / 5').waitFor({ state: 'detached' });
  });
  await check('search: verbs that ask, that change the look, and what was chosen last', async () => {
    await press(page, 'Control+k');
    await page.keyboard.type('restart relay');
    await press(page, 'Enter');
    await page.getByRole('dialog').getByRole('heading', { name: 'Restart /prod/mail/relay?' }).waitFor();
    await closed(page);
    await press(page, 'Control+k');
    await page.keyboard.type('theme dark');
    await press(page, 'Enter');
    must(await page.evaluate(() => document.documentElement.dataset.theme === 'dark'), 'it is not dark');
    await press(page, 'Control+k');
    const first = await page.getByRole('option').first().innerText();
    must(/theme dark/.test(first), `first is ${first}`);
    await page.keyboard.type('theme system');
    await press(page, 'Enter');
  });
}

async function filtering(page) {
  await check('filter: completes, marks, keeps, and says what it does not understand', async () => {
    await list(page);
    await press(page, '/');
    const box = page.getByRole('combobox', { name: 'Filter services' });
    await page.keyboard.type('is:unh');
    await page.getByRole('option', { name: 'unhealthy' }).waitFor();
    await sound(page, 'offers');
    await press(page, 'ArrowDown', 'Enter');
    must((await box.inputValue()) === 'is:unhealthy', await box.inputValue());
    await box.fill('indexer OR "demo/re"');
    await page.locator('mark', { hasText: 'indexer' }).first().waitFor().catch(async (error) => {
      throw new Error(`${error.message}: ${await box.inputValue()} at ${page.url()}`);
    });
    await page.locator('[data-row="/prod/search/indexer"]').waitFor();
    must((await page.locator('[data-row]').count()) === 2, `${await page.locator('[data-row]').count()} rows`);
    await page.waitForURL(/q=indexer/);
    await page.getByRole('button', { name: 'Keep this filter' }).click();
    await page.getByRole('list', { name: 'Kept filters' }).getByRole('button').waitFor();
    await box.fill('is:asleep');
    await page.getByText('is:asleep means nothing here.').waitFor();
    await sound(page, 'fault');
    await picture(page, 'filter');
    await page.waitForURL(/q=is%3Aasleep/);
    await page.reload();
    await page.getByRole('list', { name: 'Kept filters' }).getByRole('button').click();
    await page.locator('[data-row="/demo/redis"]').waitFor();
    await page.getByRole('button', { name: 'Forget this filter' }).click();
  });
  await check('filter: with 3,000 services a keystroke draws few rows', async () => {
    const other = await signedIn(browser, many);
    await other.goto(`${many}/ui/services?sort=name`);
    await other.getByRole('table').waitFor();
    await other.getByRole('combobox', { name: 'Filter services' }).focus();
    const times = [];
    for (const letter of 'app-1') {
      const took = await other.evaluate((text) => {
        const input = document.activeElement;
        const start = performance.now();
        document.execCommand('insertText', false, text);
        return new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => resolve(input.value ? performance.now() - start : -1))));
      }, letter);
      times.push(took);
      const drawn = await other.locator('[data-row]').count();
      must(drawn > 0 && drawn <= 60, `${drawn} rows are drawn`);
    }
    await picture(other, 'many');
    await press(other, 'Escape', 'ArrowDown', 'End');
    await other.waitForFunction(() => document.activeElement?.matches('[data-row]'));
    await other.context().close();
    return `${times.map((t) => t.toFixed(0)).join(', ')} ms`;
  });
}

async function widths(page) {
  for (const path of ['', 'services', 'services/-/demo/web', 'nodes', 'deployments']) {
    await check(`widths: /${path} is never wider than the window, no menu is cut off`, async () => {
      await page.goto(`${base}/ui/${path}`);
      await page.locator('main h1').waitFor();
      if (path === 'services') await row(page, '/demo/web').waitFor();
      for (const width of [320, 390, 720, 1024, 1180, 1440, 2560]) {
        await page.setViewportSize({ width, height: 900 });
        // Two frames: what is measured is drawn anew with what it was measured as.
        const [wide, cut] = await page.evaluate(async () => {
          for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
          const menus = [...document.querySelectorAll('[data-row] button[aria-haspopup=menu]')].filter((b) => b.offsetWidth > 0);
          const out = menus.filter((b) => b.getBoundingClientRect().right > innerWidth).length;
          return [document.documentElement.scrollWidth - innerWidth, out];
        });
        must(wide <= 0, `at ${width} it is ${wide} px wider than the window`);
        must(cut === 0, `at ${width} ${cut} menus are cut off`);
        if (path === 'services') await picture(page, `width-${width}`);
      }
    });
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

async function views() {
  for (const [name, options] of [
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['phone-light', { colorScheme: 'light', viewport: { width: 390, height: 844 } }],
    ['phone-dark', { colorScheme: 'dark', viewport: { width: 390, height: 844 } }],
  ]) {
    await check(`${name}: panel, dense rows, help, old links and German are sound`, async () => {
      const page = await signedIn(browser, base, options);
      const wide = !options.viewport;
      await list(page);
      await page.getByRole('button', { name: 'Look of the list' }).click();
      await page.getByRole('menuitemcheckbox', { name: 'Dense rows' }).waitFor();
      if (wide) await sound(page, 'look');
      await page.getByRole('menuitemcheckbox', { name: 'Dense rows' }).click();
      await row(page, '/demo/web').focus();
      await press(page, 'p', ' ');
      if (wide) await page.getByRole('complementary').getByText('web.demo.marathon.mesos').waitFor();
      await sound(page, 'panel');
      await picture(page, `${name}-panel`);
      if (wide) {
        await press(page, '?');
        const help = page.getByRole('dialog');
        await help.waitFor();
        await page.waitForTimeout(200);
        must((await help.evaluate((dialog) => dialog.scrollTop)) === 0, 'the help does not begin at its beginning');
        await sound(page, 'help');
        await closed(page);
      }
      await page.goto(`${base}/#/jobs/overview`);
      await page.getByText('tepui has no page for this yet').waitFor();
      await sound(page, 'old');
      await page.getByRole('button', { name: 'Menu of admin' }).click();
      await page.getByRole('menuitemcheckbox', { name: 'Deutsch' }).click();
      await page.getByRole('link', { name: /Dienste/ }).first().click();
      await row(page, '/demo/web').getByText('Läuft').waitFor();
      must((await page.evaluate(() => document.documentElement.lang)) === 'de', 'the document is not German');
      await sound(page, 'German');
      await picture(page, `${name}-de`);
      await page.context().close();
    });
  }
}

async function frame(page) {
  await check('skeleton: a frame is painted before any script runs', async () => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    // As of somebody who is signed in: this cookie is no secret, it only says that there is a session.
    await context.addCookies([{ name: 'dcos-acs-info-cookie', value: 'e30', url: base }]);
    const bare = await context.newPage();
    await bare.route(/\.js$/, (route) => route.abort());
    await bare.goto(`${base}/ui/services`);
    must((await bare.locator('#skeleton').innerText()).trim() === 'tepui', 'there is no word to paint');
    const painted = await bare.waitForFunction(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    const after = Math.round(await painted.jsonValue());
    await picture(bare, 'skeleton');
    await context.close();
    await list(page);
    must((await page.locator('#skeleton').count()) === 0, 'the skeleton stays');
    return `first contentful paint after ${after} ms`;
  });
  await check('motion: nothing moves without end', async () => {
    for (const path of ['', 'services', 'deployments', 'nodes', 'services/-/shop/payments']) {
      await page.goto(`${base}/ui/${path}`);
      await page.locator('main h1').waitFor();
      const endless = await page.evaluate(() =>
        document.getAnimations().filter((a) => a.effect?.getComputedTiming().endTime === Number.POSITIVE_INFINITY).map((a) => a.animationName),
      );
      must(endless.length === 0, `/${path}: ${endless}`);
    }
    await page.goto(`${base}/ui/deployments`);
    await page.waitForFunction(() => document.documentElement.hasAttribute('data-beat'));
  });
  await check('icon: the tab shows that there is trouble', async () => {
    await page.waitForFunction(() => /f2c94c/.test(document.querySelector('link[rel=icon]').href));
  });
  await check('times: as age, or by UTC', async () => {
    await list(page);
    await page.getByRole('button', { name: 'Menu of admin' }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Times in UTC' }).click();
    await row(page, '/demo/web').locator('time').getByText(/:|\d+\D+\d+|[A-Z][a-z]{2} \d/).waitFor();
    await page.getByRole('button', { name: 'Menu of admin' }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Times as age' }).click();
  });
  await check('times: the full one beside a row the keyboard rests on, and where a finger touches', async () => {
    const full = /\d:\d\d:\d\d.*UTC\)$/;
    const tip = page.locator('body > [data-tip]');
    await list(page);
    await row(page, '/demo/web').focus();
    await press(page, 'j');
    await tip.waitFor();
    must(full.test(await tip.textContent()), await tip.textContent());
    await press(page, 'Escape');
    await tip.waitFor({ state: 'detached' });
    await press(page, 't');
    await page.locator('main time', { hasText: /\d:\d\d/ }).first().waitFor();
    await press(page, 't', 't');
    const touch = await signedIn(browser, base, { viewport: { width: 1280, height: 900 }, hasTouch: true });
    await touch.goto(`${base}/ui/services`);
    // The link of the row lies over it.
    const tap = async () => {
      const at = await touch.locator('[data-row="/demo/web"] time').boundingBox();
      await touch.touchscreen.tap(at.x + at.width / 2, at.y + at.height / 2);
    };
    await row(touch, '/demo/web').locator('time').waitFor();
    await tap();
    await touch.locator('body > [data-tip]').waitFor();
    must(/\/services$/.test(touch.url()), `it led to ${touch.url()}`);
    await tap();
    await touch.waitForURL(/\/services\/-\//);
    await touch.context().close();
  });
  await check('upgrade: another version of the cluster is said', async () => {
    await fetch(`${base}/__fixture/upgrade?to=9.9.9`);
    await page.getByText('The cluster runs tepui 9.9.9 now').waitFor();
    await sound(page, 'upgraded');
    await page.getByRole('button', { name: 'Load it anew' }).click();
    await page.getByRole('table').waitFor();
    must((await page.getByText('runs tepui 9.9.9 now').count()) === 0, 'it is said of the new page too');
  });
  await check('prefix: behind a proxy that adds a path, nothing is asked outside of it', async () => {
    const context = await browser.newContext();
    const other = await context.newPage();
    const outside = [];
    // The browser looks ahead for files before the document has said where it is: those come to nothing.
    other.on('request', (request) => !/^\/(ops|assets)\//.test(new URL(request.url()).pathname) && outside.push(request.url()));
    await other.goto(`${below}/ops/ui/services`);
    await other.locator('input[name=uid]').fill('admin');
    await other.locator('input[name=password]').fill('admin');
    await other.locator('button[type=submit]').click();
    await other.locator('[data-row="/demo/web"]').waitFor();
    must((await other.getByRole('link', { name: 'Open /demo/web' }).getAttribute('href')) === '/ops/service/demo-web/', 'the service is linked elsewhere');
    await other.getByRole('link', { name: 'Nodes' }).click();
    await other.waitForURL(`${below}/ops/ui/nodes`);
    await other.goto(`${below}/ops/#/nodes`);
    await other.waitForURL(`${below}/ops/ui/nodes`);
    must(outside.length === 0, outside.join('\n'));
    await context.close();
  });
}

try {
  const page = await signedIn(browser, base);
  await dialogs(page);
  await navigations(page);
  await filtering(page);
  await searching(page);
  await widths(page);
  await views();
  await frame(page);
  await rows(page);
} finally {
  console.log(`pictures in ${shots}`);
  await finish();
}
