// Builds the page into dist/, every file gzipped once: the binary embeds only the compressed form.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
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

const gzip: Plugin = {
  name: 'gzip-dist',
  apply: 'build',
  closeBundle() {
    compress(join(import.meta.dirname, 'dist'));
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
