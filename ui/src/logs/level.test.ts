import { expect, test } from 'vitest';
import { type Level, levelOf } from './level';

const SAID: [Level, string[]][] = [
  [
    'error',
    [
      '2026-01-01T00:00:00Z ERROR db: connection refused',
      '{"level":"error","msg":"no"}',
      '{"level":50,"msg":"pino"}',
      'level=fatal msg="cannot open"',
      'E1128 23:00:01.123456       1 main.go:7] cannot',
      'E/Tag: broken',
      '[error] 7#7: *1 open() failed',
      '<err> it broke',
      'error: cannot find module',
      'java.lang.NullPointerException: null',
      "thread 'main' panicked at src/main.rs",
      'Traceback (most recent call last):',
      'an error occurred while reading',
      'ts=1 severity: CRITICAL x',
    ],
  ],
  ['warn', ['WARN slow', '{"severity":"WARNING"}', 'W1128 23:00:01 x', '[warn] y', 'warning: unused variable', 'DeprecationWarning: old is deprecated', 'level=warn error=timeout']],
  ['info', ['INFO listening', 'level=info msg="error rate is low"', 'I1128 23:00:01 ok', '[notice] started', '2026 | info | up', 'INFO 0 errors']],
  ['debug', ['DEBUG x', 'level=trace y', 'TRACE enter', '{"lvl":"debug"}']],
  [
    'other',
    [
      '',
      'GET /errors.html 200',
      'finished with 0 errors',
      'no error was found',
      'terror and mirrors',
      'informational text',
      '10.0.0.1 - - "GET / HTTP/1.1" 200 12',
      'the warden of the debugger',
      'info about things',
      'level 5 reached',
    ],
  ],
];

test.each(SAID)('%s is what they say', (level, all) => {
  for (const text of all) expect(levelOf(text), text).toBe(level);
});

test('only the beginning counts, and long lines cost nothing', () => {
  expect(levelOf(`${'x'.repeat(300)} ERROR`)).toBe('other');
  const start = performance.now();
  for (const text of ['['.repeat(1 << 20), 'a'.repeat(1 << 20), ' :'.repeat(1 << 19)]) levelOf(text);
  expect(performance.now() - start).toBeLessThan(500);
});
