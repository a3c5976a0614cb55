// What a page costs, as numbers: of its first visit, of a letter in the filter, of a minute in which
// nothing happens. For the budgets (budget.mjs) and for the benchmark (tests/bench/page.mjs).
import { request } from 'node:http';
import { wire } from './wire.mjs';

/** A row of the list of services, in any release of the page: of a service, or of a group. */
const ROW = 'main [role=row] a[href*="/services/-/"], main [role=row][data-row]';
const FILTER = 'main input:not([type=checkbox])';
/** A key has had its whole effect when nothing changes for this long; the address follows later. */
const REST_MS = 150;

/** The cookies of a session, for contexts that need not ask. */
export async function session(base, uid, password) {
  const answer = await fetch(`${base}/acs/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uid, password }),
  });
  if (!answer.ok) throw new Error(`${base} does not let ${uid} in: ${answer.status}`);
  return answer.headers.getSetCookie().map((line) => {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    return { name, value, domain: '127.0.0.1', path: '/', httpOnly: /httponly/i.test(line), sameSite: 'Lax' };
  });
}

/** A context of its own: nothing is cached, and the reader is known already. Its pages watch for the list if `list`. */
export async function visitor(browser, cookies, list = true) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(30_000);
  await context.addCookies(cookies);
  await context.addInitScript(probe, { ROW, REST_MS, list });
  return context;
}

/** Runs in the page before all else: notes when the list was drawn and what became of a key. */
function probe({ ROW: row, REST_MS: rest, list }) {
  const noted = { list: 0, commits: 0, renders: 0 };
  globalThis.noted = noted;
  /** Calls `f` when what is in the document now has been painted. */
  const painted = (f) =>
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => f(performance.now());
      port2.postMessage(0);
    });
  const look = () => {
    if (!document.querySelector(row)) return requestAnimationFrame(look);
    return painted((at) => {
      noted.list = at;
    });
  };
  // At each frame: so what only rests must not be watched.
  if (list) requestAnimationFrame(look);
  /** Components below a fiber that were called for this commit: marked so, and not left as they were before. */
  const rendered = (fiber) => {
    const before = fiber.alternate;
    let n = typeof fiber.type === 'function' && (fiber.flags & 1) === 1 ? 1 : 0;
    if (before && fiber.child === before.child) return n;
    for (let child = fiber.child; child; child = child.sibling) n += rendered(child);
    return n;
  };
  // React tells those who ask of every tree that it has written to the document.
  globalThis.__REACT_DEVTOOLS_GLOBAL_HOOK__ = {
    supportsFiber: true,
    checkDCE() {},
    inject: () => 1,
    onCommitFiberRoot: (_, { current }) => {
      noted.commits += 1;
      noted.renders += rendered(current);
    },
    onCommitFiberUnmount() {},
    onPostCommitFiberRoot() {},
  };
  /** Waits for the next key and tells when its last effect was painted, and how much it changed. */
  noted.key = () =>
    new Promise((resolve) => {
      let from = 0;
      let to = 0;
      let rows = 0;
      let timer;
      const { commits, renders } = noted;
      const observer = new MutationObserver((all) => {
        // A value that is taken away and written again as it was changes nothing that is seen: what it was first counts.
        const first = new Map();
        const changes = all.filter(({ type, target, attributeName, oldValue }) => {
          if (type !== 'attributes') return true;
          const known = first.get(target) ?? first.set(target, new Map()).get(target);
          if (!known.has(attributeName)) known.set(attributeName, oldValue);
          return target.getAttribute(attributeName) !== known.get(attributeName);
        });
        if (changes.length === 0) return;
        for (const change of changes) for (const node of change.addedNodes) if (node.getAttribute?.('role') === 'row') rows += 1;
        painted((at) => {
          to = at;
        });
        wait();
      });
      let idle;
      const wait = () => {
        clearTimeout(timer);
        cancelIdleCallback(idle);
        // And nothing is left to do: on a busy machine work waits longer than that.
        timer = setTimeout(() => {
          idle = requestIdleCallback(() => {
            observer.disconnect();
            resolve({ ms: to - from, rows, commits: noted.commits - commits, renders: noted.renders - renders });
          }, { timeout: 1_000 });
        }, rest);
      };
      const pressed = (event) => {
        from = event.timeStamp;
        observer.observe(document.body, { subtree: true, childList: true, attributes: true, attributeOldValue: true, characterData: true });
        wait();
      };
      addEventListener('keydown', pressed, { capture: true, once: true });
    });
  /** When the row of a service was painted, in milliseconds since 1970. */
  noted.row = (id) =>
    new Promise((resolve) => {
      const seen = () => document.querySelector(`main [role=row] a[href$="/services/-${id}"]`);
      const done = () => painted((at) => resolve(performance.timeOrigin + at));
      if (seen()) return done();
      const observer = new MutationObserver(() => {
        if (!seen()) return;
        observer.disconnect();
        done();
      });
      return observer.observe(document.body, { subtree: true, childList: true });
    });
}

/** When something was painted for the first time, of an address that was never visited; in ms. */
export async function firstPaint(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  const at = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const of = (entries) => entries.find((entry) => entry.name === 'first-contentful-paint');
        new PerformanceObserver((list) => of(list.getEntries()) && resolve(of(list.getEntries()).startTime)).observe({ type: 'paint', buffered: true });
      }),
  );
  return { page, at };
}

/** When the list of services could be used: its rows are painted, and the page is free to answer. */
export async function usableList(page) {
  await page.waitForFunction(() => globalThis.noted.list > 0, undefined, { polling: 20 });
  return page.evaluate(() => globalThis.noted.list);
}

/** What each key did that is pressed in the filter of the list. */
export async function keystrokes(page, keys) {
  await page.locator(FILTER).first().focus();
  const all = [];
  for (const key of keys) {
    const effect = page.evaluate(() => globalThis.noted.key());
    await page.evaluate(() => undefined);
    await page.keyboard.press(key);
    all.push({ key, ...(await effect) });
  }
  return all;
}

/** A page in a process and on a wire of its own, so that its costs can be told from all others. */
export async function apart(browser, base, cookies, path) {
  const line = await wire(base);
  const context = await visitor(browser, cookies, false);
  const page = await context.newPage();
  await page.goto(line.url + path);
  const cdp = await context.newCDPSession(page);
  await cdp.send('Performance.enable');
  return {
    path,
    page,
    wire: line,
    /** What it has cost so far. */
    async costs() {
      const { metrics } = await cdp.send('Performance.getMetrics');
      const of = (name) => metrics.find((metric) => metric.name === name).value;
      return {
        at: performance.now(),
        bytes: line.bytes(),
        cpu: of('ProcessTime'),
        main: of('ThreadTime'),
        styles: of('RecalcStyleCount'),
        layouts: of('LayoutCount'),
        commits: await page.evaluate(() => globalThis.noted.commits),
      };
    },
    async close() {
      await context.close();
      line.stop();
    },
  };
}

/** What pages cost while nothing is done to them, by the second. */
export async function watch(pages, ms) {
  const before = await Promise.all(pages.map((page) => page.costs()));
  await new Promise((resolve) => setTimeout(resolve, ms));
  const after = await Promise.all(pages.map((page) => page.costs()));
  return pages.map(({ path }, i) => {
    const seconds = (after[i].at - before[i].at) / 1000;
    const rate = (name) => (after[i][name] - before[i][name]) / seconds;
    return { path, bytes: rate('bytes'), cpu: rate('cpu'), main: rate('main'), styles: rate('styles'), layouts: rate('layouts'), commits: rate('commits') };
  });
}

/** Bytes of an answer as they come, compressed where the server does that. */
export async function weigh(url, headers = {}) {
  return new Promise((resolve, reject) => {
    request(url, { headers: { 'accept-encoding': 'gzip', ...headers } }, (answer) => {
      let bytes = 0;
      answer.on('data', (part) => {
        bytes += part.length;
      });
      answer.on('end', () => resolve({ bytes, type: answer.headers['content-type'] ?? '', encoding: answer.headers['content-encoding'] }));
    })
      .on('error', reject)
      .end();
  });
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
