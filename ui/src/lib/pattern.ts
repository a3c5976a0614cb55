// A regular expression that the cluster searches by, as the page asks with it and marks what it found.

/** The pattern as it is asked with. */
export function asking(pattern: string, cased: boolean): string {
  return cased || !pattern ? pattern : `(?i)${pattern}`;
}

/** The pattern as the page marks it; nothing where the browser has another notion of it. */
export function marker(pattern: string, cased = false): RegExp | undefined {
  if (!pattern) return undefined;
  try {
    return new RegExp(pattern, cased ? 'g' : 'gi');
  } catch {
    return undefined;
  }
}

/** Where a text matches; what is empty is nowhere. */
export function places(text: string, by: RegExp): [from: number, to: number][] {
  const found = [...text.matchAll(by)].filter((match) => match[0] !== '');
  return found.map((match) => [match.index, match.index + match[0].length]);
}

/** How many characters the first `n` bytes of a text are. */
export function charsOf(text: string, n: number): number {
  let [chars, left] = [0, n];
  for (const char of text) {
    if (left <= 0) break;
    const code = char.codePointAt(0) ?? 0;
    left -= code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    chars += char.length;
  }
  return chars;
}
