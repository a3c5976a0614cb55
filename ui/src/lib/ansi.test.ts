import { expect, test } from 'vitest';
import { plain, plainText, spans, visible } from './ansi';

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

test('whatever steers a terminal is left out, and what stands beside it stays', () => {
  for (const [written, seen] of [
    // As `tput sgr0` and `tput smacs` write it.
    ['\u001b(B\u001b[mdone', 'done'],
    ['a\u001b)0\u001b#8b', 'ab'],
    ['\u001b]52;c;c3RvbGVu\u001b\\kept', 'kept'],
    ['\u001b]8;;javascript:alert(1)\u0007link\u001b]8;;\u0007', 'link'],
    ['\u001bP1$r0m\u001b\\x\u001b_app\u001b\\y', 'xy'],
    ['\u001bc\u001b7\u001b>z', 'z'],
    ['\u001b[?25l\u001b[>4;1m\u001b[1 qv', 'v'],
    ['\u009b31mred\u009b0m', 'red'],
    ['bell\u0007 back\u0008space\u0000', 'bell backspace'],
    ['a\ttab and ü', 'a\ttab and ü'],
    ['<b>&amp;</b>', '<b>&amp;</b>'],
    // Cut off at the end of a line.
    ['end\u001b[3', 'end'],
  ]) {
    expect(plain(written ?? ''), JSON.stringify(written)).toBe(seen);
    expect(spans(written ?? '').map(({ text }) => text).join(''), JSON.stringify(written)).toBe(seen);
  }
});

test('what was written over is gone', () => {
  expect(plain('10 %\r50 %\r\u001b[32m100 %\u001b[0m\r')).toBe('100 %');
});

test('lines that end as on other systems are all there', () => {
  expect(plainText('one\r\n10 %\r100 %\r\nthree\n')).toBe('one\n100 %\nthree\n');
});

test('what has no look is seen in a name', () => {
  expect(visible('a\u001b]0;t\u0007b\u007f')).toBe('a␛]0;t␇b␡');
  expect(visible('photo\u202egnp.exe\u009b')).toBe('photo\ufffdgnp.exe\ufffd');
  expect(visible('one\r\n\ttwo äöü 漢')).toBe('one\r\n\ttwo äöü 漢');
});
