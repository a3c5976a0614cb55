import { expect, test } from 'vitest';
import { plain, plainText, spans, visible } from './ansi';
import { contrast, onPage, readable } from './contrast';

test('basic colours become hues, others keep theirs, and other sequences vanish', () => {
  expect(spans('plain')).toEqual([{ text: 'plain' }]);
  expect(spans('\u001b[1;31merror\u001b[0m: \u001b[38;5;200mpink\u001b[39m\u001b[2K end')).toEqual([
    { text: 'error', fore: 'bad', bold: true },
    { text: ': ' },
    { text: 'pink', fore: 0xff00d7 },
    { text: ' end' },
  ]);
  expect(spans('\u001b]0;title\u0007x\u001b[mY').map((s) => s.text)).toEqual(['x', 'Y']);
  expect(spans('\u001b[91mbright\u001b[37mplain')).toEqual([{ text: 'bright', fore: 'bad' }, { text: 'plain' }]);
});

test('grounds, lines and whatever else a terminal can do', () => {
  expect(spans('\u001b[4;3;9;2ma\u001b[24;22mb\u001b[7mc\u001b[0md')).toEqual([
    { text: 'a', underline: true, italic: true, strike: true, dim: true },
    { text: 'b', italic: true, strike: true },
    { text: 'c', italic: true, strike: true, inverse: true },
    { text: 'd' },
  ]);
  expect(spans('\u001b[41ma\u001b[48;2;1;2;3mb\u001b[48:2::255:0:0mc\u001b[38;5;244;48;5;232md\u001b[49me')).toEqual([
    { text: 'a', back: 0xb3132b },
    { text: 'b', back: 0x010203 },
    { text: 'c', back: 0xff0000 },
    { text: 'd', back: 0x080808, fore: 0x808080 },
    { text: 'e', fore: 0x808080 },
  ]);
});

test('what is broken is no colour', () => {
  for (const codes of ['38;5', '38', '38;5;999', '48;2;1', '999', ';;', '38;7;1', '1:2:3']) {
    expect(spans(`\u001b[${codes}mx`).map((s) => s.text), codes).toEqual(['x']);
  }
});

test('any colour can be read on its ground', () => {
  for (const ground of [0xeef2f7, 0x1b2531, 0x808080, 0xff0000, 0x00ff00]) {
    for (const colour of [0x000000, 0xffffff, 0x0000ff, 0xffff00, 0x777777]) {
      expect(contrast(readable(colour, ground), ground)).toBeGreaterThanOrEqual(4.5);
    }
  }
  expect(readable(0x000080, 0xffffff), 'what is fit stays as it is').toBe(0x000080);
  expect(onPage(0xffff00)).toMatch(/^light-dark\(#[0-9a-f]{6}, #ffff00\)$/);
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
