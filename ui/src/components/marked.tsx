// A text in which what was looked for is marked.
import { marked } from '../lib/query';
import css from './ui.module.css';

export function Marked({ text, words }: { text: string; words: readonly string[] }) {
  if (words.length === 0) return text;
  return marked(text, words).map((piece, i) =>
    piece.hit ? (
      <mark key={i} className={css.hit}>
        {piece.text}
      </mark>
    ) : (
      piece.text
    ),
  );
}
