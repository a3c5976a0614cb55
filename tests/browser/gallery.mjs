// The gallery of the kit (ui/gallery) in both themes, compared with what it was.
//
//   node tests/browser/gallery.mjs            compares
//   node tests/browser/gallery.mjs --write    takes what there is now as what is right
//
// Text looks different on each machine, by its fonts, so it is not compared point by point. Of every
// specimen the facts are compared that no font changes: what it is to a screen reader, its height,
// its colours. What is drawn without a word (status shapes, meters) is compared point by point, with
// a tolerance for the smoothing of edges.
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { check, finish, launch, must, picturesOf, sound, UI } from './common.mjs';

const WRITE = process.argv.includes('--write');
const KEPT = join(import.meta.dirname, 'gallery');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
/** A point differs when one of its colours does by more than this; so many of a thousand may. */
const POINT = 48;
const POINTS_OF_1000 = 15;

const built = mkdtempSync(join(tmpdir(), 'tepui-gallery-'));
execFileSync(process.execPath, [join(UI, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--config', 'gallery/vite.config.ts', '--outDir', built, '--logLevel', 'error'], { cwd: UI, stdio: 'inherit' });
const server = createServer((req, res) => {
  const file = join(built, normalize(req.url === '/' ? '/index.html' : req.url));
  if (!existsSync(file)) return res.writeHead(404).end();
  res.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
  createReadStream(file).pipe(res);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

/** Of each specimen: what it says and is, how high it is, which colours it has. */
async function factsOf(page) {
  const facts = [];
  for (const specimen of await page.locator('[data-specimen]').all()) {
    const [name, { height, colours }] = await specimen.evaluate((element) => {
      const seen = new Set();
      for (const one of [element, ...element.querySelectorAll('*')]) {
        const { color, backgroundColor, borderTopColor, borderTopWidth } = getComputedStyle(one);
        seen.add(color);
        if (backgroundColor !== 'rgba(0, 0, 0, 0)') seen.add(backgroundColor);
        if (borderTopWidth !== '0px') seen.add(borderTopColor);
      }
      return [element.dataset.specimen, { height: element.offsetHeight, colours: [...seen].sort() }];
    });
    facts.push(`## ${name}\nheight ${height}\n${colours.join('\n')}\n${(await specimen.ariaSnapshot()).trim()}\n`);
  }
  return facts.join('\n');
}

/** The first lines that are others than they were. */
function difference(old, now) {
  const [a, b] = [old.split('\n'), now.split('\n')];
  const at = a.findIndex((line, i) => line !== b[i]);
  const head = a.slice(0, Math.max(0, at) + 1).findLast((line) => line.startsWith('## ')) ?? '';
  return `${head}\n- ${a[at] ?? '(end)'}\n+ ${b[at] ?? '(end)'}\nIf this is meant: node tests/browser/gallery.mjs --write`;
}

/** How many of a thousand points differ. Both pictures are read by the browser: it knows the format. */
function differing(page, old, now) {
  return page.evaluate(
    async ([a, b, point]) => {
      const points = async (data) => {
        const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
        const canvas = new OffscreenCanvas(picture.width, picture.height);
        const pen = canvas.getContext('2d');
        pen.drawImage(picture, 0, 0);
        return pen.getImageData(0, 0, picture.width, picture.height);
      };
      const [x, y] = [await points(a), await points(b)];
      if (x.width !== y.width || x.height !== y.height) return 1000;
      let n = 0;
      for (let i = 0; i < x.data.length; i += 4) {
        if ([0, 1, 2].some((k) => Math.abs(x.data[i + k] - y.data[i + k]) > point)) n += 1;
      }
      return (n * 4000) / x.data.length;
    },
    [old.toString('base64'), now.toString('base64'), POINT],
  );
}

/** All is there twice, once in each theme, landmarks as well. */
const TWICE = ['landmark-unique'];
const browser = await launch();
const page = await (await browser.newContext({ viewport: { width: 1500, height: 1000 }, reducedMotion: 'reduce', locale: 'en-US' })).newPage();
const problems = [];
page.on('pageerror', (error) => problems.push(error.message));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.getByRole('heading', { level: 1 }).first().waitFor();
await page.waitForTimeout(300);
const shots = picturesOf('gallery');
await page.screenshot({ path: join(shots, 'gallery.png'), fullPage: true });

await check('gallery: no rule of axe is broken in either theme', async () => {
  await sound(page, 'gallery', TWICE);
  must(problems.length === 0, problems.join('\n'));
});
await check('gallery: what each specimen is, its height and its colours', async () => {
  const file = join(KEPT, 'facts.txt');
  const now = await factsOf(page);
  if (WRITE) writeFileSync(file, now);
  const old = readFileSync(file, 'utf8');
  must(old === now, difference(old, now));
  return `${now.split('## ').length - 1} specimens`;
});
for (const theme of ['light', 'dark']) {
  await check(`gallery: shapes and meters, ${theme}`, async () => {
    const file = join(KEPT, `drawn-${theme}.png`);
    const now = await page.locator(`[data-theme=${theme}] [data-drawn]`).screenshot();
    if (WRITE) writeFileSync(file, now);
    const n = await differing(page, readFileSync(file), now);
    must(n <= POINTS_OF_1000, `${n.toFixed(1)} of 1000 points differ (${join(shots, `drawn-${theme}.png`)})`);
    writeFileSync(join(shots, `drawn-${theme}.png`), now);
    return `${n.toFixed(1)} of 1000 points differ`;
  });
}
await check('gallery: menu, dialog and message open, are sound and give the focus back', async () => {
  for (const theme of ['light', 'dark']) {
    const side = page.locator(`section[aria-label="Small parts"] [data-theme=${theme}]`);
    const menu = side.getByRole('button', { name: 'Open a menu' });
    await menu.click();
    await page.getByRole('menuitem', { name: 'Scale…' }).waitFor();
    await sound(page, `menu, ${theme}`, TWICE);
    await page.keyboard.press('Escape');
    must(await menu.evaluate((button) => button === document.activeElement), 'the menu took the focus along');
    const ask = side.getByRole('button', { name: 'Open a dialog' });
    await ask.click();
    await page.getByRole('dialog').waitFor();
    await sound(page, `dialog, ${theme}`, TWICE);
    await page.keyboard.press('Escape');
    must(await ask.evaluate((button) => button === document.activeElement), 'the dialog took the focus along');
  }
  await page.getByRole('button', { name: 'Show a message' }).first().click();
  await page.getByRole('button', { name: 'Undo' }).waitFor();
  await sound(page, 'message', TWICE);
});
console.log(`pictures in ${shots}`);
server.close();
server.closeAllConnections();
rmSync(built, { recursive: true });
await finish();
