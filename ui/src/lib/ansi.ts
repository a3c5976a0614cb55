// Terminal colours in output. The sixteen basic ones become tokens of the theme, so that they can be read
// on both; others keep their hue. Every other control sequence is left out.
import type { Rgb } from './contrast';

export type Hue = 'bad' | 'good' | 'attention' | 'moving' | 'memory' | 'disk' | 'muted';

/** How text looks; what is not said is as usual. */
export interface Look {
  /** One of the basic colours, or any. */
  fore?: Hue | Rgb;
  back?: Rgb;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  strike?: boolean;
  inverse?: boolean;
}

export interface Span extends Look {
  text: string;
}

const HUES: (Hue | undefined)[] = ['muted', 'bad', 'good', 'attention', 'moving', 'memory', 'disk', undefined];
/** The basic colours where they are a ground, on which no token is meant to stand. */
const BASIC: Rgb[] = [
  0x2e3440, 0xb3132b, 0x0a7a4b, 0x8a6100, 0x0b62c4, 0xb0479b, 0x2c7a86, 0xd9dfe7,
  0x566273, 0xff6b7a, 0x3fcf8e, 0xf2c94c, 0x6cb2ff, 0xe58fd3, 0x63c2cf, 0xffffff,
];
const CUBE = [0, 95, 135, 175, 215, 255];
// Control sequences (ESC [ … letter), texts to the terminal (ESC ] … BEL and the like), shorter escapes,
// and the other characters that steer a terminal and have no look of their own.
const SEQUENCE =
  /(?:\u001b\[|\u009b)([0-9;:<=>?]*)[ -/]*(?:([@-~])|$)|(?:\u001b[P\]X^_]|[\u0090\u009d\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u009c|\u001b\\)?|\u001b[ -/]*[0-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
/** What is on and off by one number each. */
const ON: Record<number, keyof Look> = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 7: 'inverse', 9: 'strike' };
const OFF: Record<number, (keyof Look)[]> = {
  22: ['bold', 'dim'], 23: ['italic'], 24: ['underline'], 27: ['inverse'], 29: ['strike'], 39: ['fore'], 49: ['back'],
};

/** A colour of the table of 256. */
function ofTable(n: number): Rgb {
  if (n < 16) return BASIC[n] ?? 0;
  if (n >= 232) return (8 + (n - 232) * 10) * 0x010101;
  const part = (by: number) => CUBE[Math.floor((n - 16) / by) % 6] ?? 0;
  return (part(36) << 16) | (part(6) << 8) | part(1);
}

/** The colour after a 38 or 48, and how many numbers it takes. */
function extended(numbers: readonly number[]): [colour: Rgb | undefined, taken: number] {
  const [kind, a = 0, b = 0, c = 0] = numbers;
  if (kind === 5) return [a <= 255 ? ofTable(a) : undefined, 2];
  if (kind === 2) return [((a & 255) << 16) | ((b & 255) << 8) | (c & 255), 4];
  return [undefined, numbers.length];
}

function restyle(old: Look, codes: string): Look {
  let look: Look = { ...old };
  // A colour in one group may leave out or name the space it is of.
  const groups = codes.replace(/\b([34]8):2:\d*:(\d+:\d+:\d+)/g, '$1:2:$2');
  const numbers = groups.split(/[;:]/).map(Number);
  for (let i = 0; i < numbers.length; i++) {
    const code = numbers[i] ?? 0;
    if (code === 0) look = {};
    else if (ON[code]) look = { ...look, [ON[code]]: true };
    else if (OFF[code]) for (const name of OFF[code]) delete look[name];
    else if (code === 38 || code === 48) {
      const [colour, taken] = extended(numbers.slice(i + 1));
      i += taken;
      if (colour !== undefined) look[code === 38 ? 'fore' : 'back'] = colour;
    } else paint(look, code);
  }
  return look;
}

/** The basic colours, plain and bright. */
function paint(look: Look, code: number): void {
  const bright = code >= 90;
  const n = code % 10;
  if (n > 7) return;
  const decade = Math.floor((bright ? code - 60 : code) / 10);
  if (decade === 3) {
    const hue = HUES[n];
    if (hue) look.fore = hue;
    else delete look.fore;
  } else if (decade === 4) look.back = BASIC[bright ? n + 8 : n] ?? 0;
}

/** A line as plain text: what a search looks at. */
export function plain(line: string): string {
  return overwritten(line).replace(SEQUENCE, '');
}

/** Each line of a text as plain text. */
export function plainText(text: string): string {
  return text.split('\n').map(plain).join('\n');
}

/** A name or a file as it is: what has no look of its own is seen as a sign that stands for it. */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (sign) => {
    const code = sign.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : '\ufffd';
  });
}

/** A line that was written over with carriage returns shows what came last. */
function overwritten(line: string): string {
  if (!line.includes('\r')) return line;
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf('\r') + 1);
}

/** A line in pieces of one look each. */
export function spans(line: string): Span[] {
  const text = overwritten(line);
  if (text.search(SEQUENCE) < 0) return [{ text }];
  const out: Span[] = [];
  let look: Look = {};
  let at = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index > at) out.push({ ...look, text: text.slice(at, match.index) });
    at = match.index + match[0].length;
    if (match[2] === 'm') look = restyle(look, match[1] ?? '');
  }
  if (at < text.length) out.push({ ...look, text: text.slice(at) });
  return out;
}
