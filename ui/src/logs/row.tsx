// One line: when, whose, what. Whatever it says is text.
import { memo } from 'react';
import { css as colour, onPage, readable, type Rgb } from '../lib/contrast';
import { say } from '../words';
import type { Line } from './line';
import { type Piece, pieces } from './marks';
import { hue, sign } from './names';
import css from './row.module.css';
import { clock, type Times } from './times';

export interface RowProps {
  line: Line;
  times: Times;
  /** For ages; the same for all rows, and for all times where ages are not shown. */
  now: number;
  /** Short name of whose line it is, where there are several. */
  name: string | undefined;
  mark: RegExp | undefined;
  /** The reader is at this line. */
  current: boolean;
  /** Shown for a line beside it, and no match itself. */
  aside: boolean;
}

export const Row = memo(function Row({ line, times, now, name, mark, current, aside }: RowProps) {
  const { level, stream } = line;
  const look = `${css.line} ${level === 'error' || level === 'warn' ? css[level] : ''} ${stream === 'stderr' ? css.stderr : ''}`;
  return (
    <div data-line={line.n} data-level={level} aria-current={current || undefined} className={`${look} ${aside ? css.aside : ''}`}>
      {times !== 'none' && (
        <time className={times === 'age' ? css.age : css.time} dateTime={line.at} title={line.at}>
          {line.at ? clock(line.ms, times, now) : '–'}
        </time>
      )}
      {name !== undefined && (
        <span className={css.gutter} style={{ ['--hue' as string]: hue(line.task) }} title={`${line.task} ${stream}`}>
          <span aria-hidden="true" className={css.sign}>
            {sign(line.task)}
          </span>
          {name}
        </span>
      )}
      <span className={css.text}>
        <Text text={line.text} mark={mark} />
        {(line.cut || line.partial) && (
          <span className={css.more} title={say(line.cut ? 'log.cutLine' : 'log.partial')}>
            {' …'}
          </span>
        )}
      </span>
    </div>
  );
});

function Text({ text, mark }: { text: string; mark: RegExp | undefined }) {
  if (!text) return '\u00a0';
  return pieces(text, mark).map((piece, i) => {
    const look = lookOf(piece);
    const inner = piece.hit ? <mark key={i}>{piece.text}</mark> : piece.text;
    if (!look.className && !look.style) return inner;
    return (
      <span key={i} {...look}>
        {inner}
      </span>
    );
  });
}

const NAMED = ['bold', 'dim', 'italic', 'underline', 'strike'] as const;

function lookOf(piece: Piece): { className?: string; style?: Record<string, string> } {
  const names = NAMED.filter((name) => piece[name]).map((name) => css[name] ?? '');
  const { fore, back, inverse } = piece;
  const style: Record<string, string> = {};
  if (inverse && back === undefined && typeof fore !== 'number') names.push(css.inverse ?? '', fore ? (css[fore] ?? '') : '');
  else {
    const [text, ground] = inverse ? [back, fore] : [fore, back];
    if (typeof ground === 'number') {
      style.background = colour(ground);
      style.color = colour(readable(typeof text === 'number' ? text : contrary(ground), ground));
    } else if (typeof text === 'number') style.color = onPage(text);
    else if (text) names.push(css[text] ?? '');
  }
  return { ...(names.length > 0 && { className: names.join(' ') }), ...(style.color && { style }) };
}

/** What certainly stands out from a ground. */
const contrary = (ground: Rgb): Rgb => readable(ground, ground);
