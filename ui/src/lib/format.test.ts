// The server is held to the same table (src/base/units.rs).
import { expect, test } from 'vitest';
import told from '../../../tests/golden/quantities.json';
import { type Key, say } from '../words';
import { cpus, duration, mebibytes, percent } from './format';

const table = told as unknown as {
  memory_mib: [number, string][];
  cpus: [number, string][];
  percent: [number, number, string][];
  duration_ms: [number, string][];
  count: [number, string, string][];
};

test.each(table.memory_mib)('memory %d MiB', (n, text) => expect(mebibytes(n)).toBe(text));
test.each(table.cpus)('cpus %d', (n, text) => expect(cpus(n)).toBe(text));
test.each(table.percent)('%d of %d', (n, of, text) => expect(percent(n, of)).toBe(text));
test.each(table.duration_ms)('%d ms', (n, text) => expect(duration(n)).toBe(text));
test.each(table.count)('%d %s', (n, one, text) => expect(say(`count.${one}s` as Key & 'count.nodes', { n })).toBe(text));
