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

export default defineConfig({
  base: './',
  plugins: [react(), gzip],
  build: {
    target: ['chrome123', 'firefox121', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
