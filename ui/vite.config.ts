// Builds the page into dist/, every file gzipped once: the binary embeds only the compressed form.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** Replaces each file of `dir` by its gzip form `<name>.gz`. */
function compress(dir: string): void {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    if (statSync(path).isDirectory()) compress(path);
    else if (!name.endsWith('.gz')) {
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      rmSync(path);
    }
  }
}

/** What a first visit loads in scripts: those the document names. */
const INITIAL_JS_MAX_BYTES = 150 * 1024;

/** Fails the build when the first visit has grown beyond its budget. */
function weigh(dir: string): void {
  const html = gunzipSync(readFileSync(join(dir, 'index.html.gz'))).toString();
  const names = new Set([...html.matchAll(/assets\/[^"]+\.js/g)].map(([name]) => name));
  let bytes = 0;
  for (const name of names) bytes += statSync(join(dir, `${name}.gz`)).size;
  console.log(`initial JavaScript: ${(bytes / 1024).toFixed(1)} KiB gzip`);
  if (bytes > INITIAL_JS_MAX_BYTES) throw new Error(`more than ${INITIAL_JS_MAX_BYTES} bytes`);
}

const gzip: Plugin = {
  name: 'gzip-dist',
  apply: 'build',
  closeBundle() {
    const dist = join(import.meta.dirname, 'dist');
    compress(dist);
    weigh(dist);
  },
};

/** Style sheets behind what is drawn without them: the browser paints the frame before it has them (index.html). */
const frameFirst: Plugin = {
  name: 'frame-first',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler(html) {
      const sheets = html.match(/\n *<link rel="stylesheet"[^>]*>/g) ?? [];
      const rest = sheets.reduce((text, sheet) => text.replace(sheet, ''), html);
      const root = /\n *<div id="root">/;
      if (sheets.length === 0 || !root.test(rest)) throw new Error('the document has no style sheets, or no place for them');
      return rest.replace(root, (place) => sheets.join('') + place);
    },
  },
};

/** The places where the terminal writes styles in ways that the page's policy refuses. */
const STYLES: [RegExp, string, number][] = [
  [/[\w.$]+\.createElement\("style"\)/g, 'lawfulStyleElement()', 3],
  [/([\w$]+)\.setAttribute\("style",/g, 'lawfulSetStyle($1,', 1],
];

/** Has the terminal write its styles lawfully; another release of it has to be looked at first. */
const lawful: Plugin = {
  name: 'lawful-terminal',
  enforce: 'pre',
  transform(code, id) {
    if (!id.endsWith('/@xterm/xterm/lib/xterm.mjs')) return undefined;
    let text = code;
    for (const [pattern, by, wanted] of STYLES) {
      const found = text.match(pattern)?.length ?? 0;
      if (found !== wanted) throw new Error(`xterm has ${found} of ${pattern}, not ${wanted}`);
      text = text.replace(pattern, by);
    }
    const from = join(import.meta.dirname, 'src/dock/lawful.ts');
    const names = '{ setStyle as lawfulSetStyle, styleElement as lawfulStyleElement }';
    return { code: `import ${names} from ${JSON.stringify(from)};\n${text}`, map: null };
  },
};

export default defineConfig({
  base: './',
  plugins: [lawful, react(), frameFirst, gzip],
  build: {
    target: ['chrome123', 'firefox121', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    // What every visit needs comes in one piece, not in one for each set of lazy parts that share it.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'base', tags: ['$initial'] }] } } },
  },
});
