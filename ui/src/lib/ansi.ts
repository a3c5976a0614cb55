// Terminal colours in output: the sixteen basic ones become tokens of the theme, so that they can
// be read on both; every other control sequence is left out.

export type Hue = 'bad' | 'good' | 'attention' | 'moving' | 'memory' | 'disk' | 'muted';

export interface Span {
  text: string;
  hue?: Hue | undefined;
  bold?: boolean;
}

const HUES: (Hue | undefined)[] = [
  'muted',
  'bad',
  'good',
  'attention',
  'moving',
  'memory',
  'disk',
  undefined,
];
// Control sequences (ESC [ … letter), texts to the terminal (ESC ] … BEL and the like), shorter escapes,
// and the other characters that steer a terminal and have no look of their own.
const SEQUENCE =
  /(?:\u001b\[|\u009b)([0-9;:<=>?]*)[ -/]*(?:([@-~])|$)|(?:\u001b[P\]X^_]|[\u0090\u009d\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u009c|\u001b\\)?|\u001b[ -/]*[0-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

interface Style {
  hue?: Hue | undefined;
  bold: boolean;
}

function restyle(old: Style, codes: string): Style {
  let { hue, bold } = old;
  const numbers = codes.split(/[;:]/).map(Number);
  for (let i = 0; i < numbers.length; i++) {
    const code = numbers[i] ?? 0;
    if (code === 0) [hue, bold] = [undefined, false];
    else if (code === 1) bold = true;
    else if (code === 22) bold = false;
    else if (code === 39) hue = undefined;
    else if (code >= 30 && code <= 37) hue = HUES[code - 30];
    else if (code >= 90 && code <= 97) hue = HUES[code - 90];
    else if (code === 38 || code === 48) i += numbers[i + 1] === 5 ? 2 : 4;
  }
  return { hue, bold };
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
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf('\r') + 1);
}

/** A line in pieces of one look each. */
export function spans(line: string): Span[] {
  const text = overwritten(line);
  if (text.search(SEQUENCE) < 0) return [{ text }];
  const out: Span[] = [];
  let style: Style = { bold: false };
  let at = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index > at) out.push({ text: text.slice(at, match.index), ...style });
    at = match.index + match[0].length;
    if (match[2] === 'm') style = restyle(style, match[1] ?? '');
  }
  if (at < text.length) out.push({ text: text.slice(at), ...style });
  return out;
}
