import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** As the table in ARCHITECTURE.md: a folder imports from those before it. */
const LAYERS = ['styles', 'words', 'api', 'lib', 'components', 'map', 'logs', 'screens', 'shell'];
const src = join(import.meta.dirname, '..', 'src');
const layerOf = (path) => LAYERS.indexOf(path.split('/')[0]);

test('no part of the page imports from a layer above its own', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name));
  expect(files.length).toBeGreaterThan(40);
  const wrong = [];
  for (const file of files.filter((name) => layerOf(name) >= 0 && !name.includes('.test.'))) {
    const text = readFileSync(join(src, file), 'utf8');
    for (const [, from] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
      const target = relative(src, resolve(src, dirname(file), from));
      if (layerOf(target) > layerOf(file)) wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});
