// Charts of one thing on one cursor: the last hour or day, what is pointed at, the keys.
import { type KeyboardEvent, type ReactNode, useMemo, useState } from 'react';
import { useSearchParams } from 'wouter';
import type { Measured } from '../api/types';
import { Failure, Panel, Skeleton } from '../components/ui';
import { timeOfDay } from '../lib/format';
import { number, say, sayAny } from '../words';
import type { Frame, Line, Moment } from './chart';
import { lengthOf, type Range, useMeasured, valuesOf } from './measured';
import css from './panel.module.css';

const RANGES: Range[] = ['1h', '24h'];

/** Lines by name; a percentile is called alike everywhere. */
type LineName = 'used' | 'reserved' | 'limit' | 'there' | 'restarts' | 'answered' | 'errors' | 'p50' | 'p99';

/** What a chart of the panel is drawn from. */
export interface Shown {
  measured: Measured;
  frame: Frame;
  /** A line of a series; none when that was never measured. */
  line: (name: LineName, series: string, hue: string, look: Line['look']) => Line[];
  /** A bound that does not change; none beside nothing. */
  level: (name: LineName, value: number | undefined, hue: string) => Line[];
}

/** A panel of charts of `of`, which `children` draws. */
export function Charts({
  of,
  title,
  compact,
  children,
}: {
  of: string;
  title?: string;
  /** Two beside each other in a column of a page. */
  compact?: boolean;
  children: (shown: Shown) => ReactNode;
}) {
  const [search, setSearch] = useSearchParams();
  const range: Range = search.get('range') === '24h' ? '24h' : '1h';
  const { data, error, refetch } = useMeasured(of, range);
  const [cursor, setCursor] = useState<number>();
  const turn = (next: Range) =>
    setSearch(
      (old) => {
        const params = new URLSearchParams(old);
        if (next === '1h') params.delete('range');
        else params.set('range', next);
        return params;
      },
      { replace: true },
    );
  return (
    <Panel
      title={title ?? say('overview.use')}
      aside={
        <span className={css.aside}>
          <Told measured={data} cursor={cursor} />
          <span role="group" aria-label={say('overview.time')} className={css.ranges}>
            {RANGES.map((id) => (
              <button key={id} type="button" aria-pressed={id === range} onClick={() => turn(id)}>
                {say(`overview.range.${id}`)}
              </button>
            ))}
          </span>
        </span>
      }
    >
      {data ? (
        <Grid measured={data} compact={compact} cursor={cursor} onCursor={setCursor}>
          {children}
        </Grid>
      ) : error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : (
        <Skeleton rows={4} />
      )}
    </Panel>
  );
}

/** The moment that is pointed at. */
function Told({ measured, cursor }: { measured: Measured | undefined; cursor: number | undefined }) {
  if (!measured || cursor === undefined) return null;
  const at = new Date(Date.parse(measured.start) + cursor * measured.step_s * 1000);
  return (
    <time className="nums" dateTime={at.toISOString()} aria-live="polite">
      {timeOfDay(at)}
    </time>
  );
}

export const perSecond = (value: number) => say('overview.perSecond', { n: number(value, value >= 100 ? 0 : 2) });
export const milliseconds = (value: number) =>
  value >= 1000 ? `${number(value / 1000, 1)} s` : `${number(value, value >= 10 ? 0 : 1)} ms`;
export const whole = (value: number) => (Number.isInteger(value) ? number(value) : '');

function Grid({
  measured,
  compact,
  cursor,
  onCursor,
  children,
}: {
  measured: Measured;
  compact: boolean | undefined;
  cursor: number | undefined;
  onCursor: (step: number | undefined) => void;
  children: (shown: Shown) => ReactNode;
}) {
  const n = Math.max(1, lengthOf(measured));
  const moments = useMemo<Moment[]>(
    () =>
      (measured.marks ?? []).map(({ at }) => ({
        at: Date.parse(at),
        text: say('overview.changedAt', { time: timeOfDay(new Date(at)) }),
      })),
    [measured.marks],
  );
  const frame: Frame = {
    start: Date.parse(measured.start),
    stepMs: measured.step_s * 1000,
    n,
    moments,
    cursor,
    onCursor,
  };
  const named = (name: LineName) => sayAny(`overview.line.${name}`) ?? name;
  const line: Shown['line'] = (name, series, hue, look) => {
    const values = valuesOf(measured, series);
    return values ? [{ name: named(name), values, hue, look }] : [];
  };
  // The same array for the same numbers, or each chart is drawn anew with each step of the cursor.
  const levels = useMemo(() => new Map<number, number[]>(), [n]);
  const level: Shown['level'] = (name, value, hue) => {
    if (!value || !measured.series?.length) return [];
    const values = levels.get(value) ?? Array<number>(n).fill(value);
    levels.set(value, values);
    return [{ name: named(name), values, hue, look: 'bound' }];
  };
  // The step that goes on now has no number yet.
  const ends = (measured.series ?? []).map(({ values }) => values.findLastIndex((value) => value !== null));
  const newest = Math.max(...ends, 0);
  const onKeyDown = (event: KeyboardEvent) => {
    const by: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 };
    const step = by[event.key];
    if (event.key === 'Escape') onCursor(undefined);
    else if (event.key === 'Home' || event.key === 'End') onCursor(event.key === 'Home' ? 0 : newest);
    else if (step) onCursor(Math.min(n - 1, Math.max(0, (cursor ?? newest) + step)));
    else return;
    event.preventDefault();
  };
  return (
    // The arrow keys move the cursor that the charts share.
    <div className={`${css.grid} ${compact ? css.compact : ''}`} role="group" aria-label={say('overview.charts')} tabIndex={0} onKeyDown={onKeyDown}>
      {children({ measured, frame, line, level })}
    </div>
  );
}
