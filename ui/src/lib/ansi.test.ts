import { expect, test } from 'vitest';
import { plain, spans } from './ansi';

test('colours become hues and other sequences vanish', () => {
  expect(spans('plain')).toEqual([{ text: 'plain' }]);
  expect(spans('\u001b[1;31merror\u001b[0m: \u001b[38;5;200mpink\u001b[39m\u001b[2K end')).toEqual([
    { text: 'error', hue: 'bad', bold: true },
    { text: ': ', hue: undefined, bold: false },
    { text: 'pink', hue: undefined, bold: false },
    { text: ' end', hue: undefined, bold: false },
  ]);
  expect(spans('\u001b]0;title\u0007x\u001b[mY').map((s) => s.text)).toEqual(['x', 'Y']);
});

test('what was written over is gone', () => {
  expect(plain('10 %\r50 %\r\u001b[32m100 %\u001b[0m\r')).toBe('100 %');
});
