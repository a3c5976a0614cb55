// Finding names by parts of them: whole pieces first, then letters in their order.

export interface Hit {
  /** Lower is better. */
  score: number;
  /** Places of the letters that were found. */
  at: number[];
}

const EDGES = '/ .-_:';
const run = (from: number, length: number) => Array.from({ length }, (_, i) => from + i);

/** One word in a text of small letters. */
function one(low: string, word: string): Hit | undefined {
  let inner: number | undefined;
  for (let at = low.indexOf(word); at >= 0; at = low.indexOf(word, at + 1)) {
    if (at === 0 || EDGES.includes(low[at - 1] ?? '')) return { score: 0, at: run(at, word.length) };
    inner ??= at;
  }
  if (inner !== undefined) return { score: 1, at: run(inner, word.length) };
  const places: number[] = [];
  let from = 0;
  for (const letter of word) {
    const at = low.indexOf(letter, from);
    if (at < 0) return undefined;
    places.push(at);
    from = at + 1;
  }
  const spread = (places.at(-1) ?? 0) - (places[0] ?? 0) + 1 - word.length;
  return { score: 3 + spread / 10, at: places };
}

/** All words in a text, in any order; undefined when one does not occur. */
export function fuzzy(text: string, words: readonly string[]): Hit | undefined {
  const low = text.toLowerCase();
  let score = low.length / 1000;
  const at = new Set<number>();
  for (const word of words) {
    const hit = one(low, word);
    if (!hit) return undefined;
    score += hit.score;
    for (const place of hit.at) at.add(place);
  }
  return { score, at: [...at].sort((a, b) => a - b) };
}
