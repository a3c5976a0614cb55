// The server is held to the same table (src/base/units.rs).
import { expect, test } from 'vitest';
import told from '../../../tests/golden/quantities.json';
import { type Key, say } from '../words';
import { cpus, duration, mebibytes, percent, took } from './format';

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

// As in src/core/history/tests.rs.
test.each([
  [0, '0.0 s'],
  [2_049, '2.0 s'],
  [12_999, '12 s'],
  [80_000, '1 min 20 s'],
  [7_200_000, '2 h'],
  [273_600_000, '3 d 4 h'],
])('took %d ms', (ms, text) => expect(took(ms)).toBe(text));
