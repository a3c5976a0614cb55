// One chart over time. Several of them share a cursor: each says what it was at that moment.
import { memo, type PointerEvent, type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import { timeOfDay } from '../lib/format';
import { say } from '../words';
import css from './chart.module.css';
import { across, areaPath, bars, greatest, linePath, roundUp, stepAt, timeTicks, up, type Values } from './scale';

export interface Line {
  name: string;
  values: Values;
  /** A colour of the tokens. */
  hue: string;
  /** A bound is dashed and says what the others are measured by. */
  look: 'area' | 'line' | 'bound' | 'bars';
}

/** Something that happened, on every chart. */
export interface Moment {
  at: number;
  text: string;
}

export interface Frame {
  start: number;
  stepMs: number;
  n: number;
  moments: readonly Moment[];
  /** The step that is pointed at. */
  cursor: number | undefined;
  onCursor: (step: number | undefined) => void;
}

interface Props {
  title: string;
  lines: readonly Line[];
  frame: Frame;
  format: (value: number) => string;
  /** Memory counts in powers of two. */
  binary?: boolean;
  /** Steps at which something went wrong, marked on the first line. */
  alarms?: { steps: readonly number[]; text: string } | undefined;
  /** What is said when there is nothing to draw. */
  empty: ReactNode;
  height?: number;
}

const HEIGHT = 112;
/** Half of what a time takes: none hangs over an edge. */
const TICK_PX = 24;
/** Narrower bars than this cannot be seen. */
const BAR_PX = 5;

function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return;
    const measure = () => setWidth(Math.floor(box.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  return [ref, width] as const;
}

export function Chart({ title, lines, frame, format, binary, alarms, empty, height = HEIGHT }: Props) {
  const [ref, width] = useWidth();
  const { n, cursor, onCursor } = frame;
  const drawn = lines.filter((line) => line.values.some((value) => value !== null));
  const perBar = Math.max(1, Math.ceil((n * BAR_PX) / Math.max(width, 1)));
  const top = roundUp(
    greatest(...drawn.map((line) => (line.look === 'bars' ? bars(line.values, perBar) : line.values))),
    binary,
  );
  const point = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    onCursor(stepAt(event.clientX - box.left, n, box.width));
  };
  const at = (line: Line) =>
    cursor === undefined ? line.values.findLast((value) => value !== null) : line.values[cursor];
  return (
    <figure className={css.figure}>
      <figcaption className={css.caption}>
        <h3>{title}</h3>
        <ul className={css.legend}>
          {drawn.map((line) => (
            <li key={line.name}>
              <i className={css[line.look]} style={{ color: `var(--${line.hue})` }} aria-hidden />
              <span className={css.name}>{line.name}</span>
              <span className="nums">{told(at(line), format)}</span>
            </li>
          ))}
        </ul>
      </figcaption>
      <div ref={ref} className={css.box}>
        {drawn.length === 0 ? (
          <p className={css.empty}>{empty}</p>
        ) : (
          width > 0 && (
            <svg
              className={css.plot}
              width={width}
              height={height + 18}
              role="img"
              aria-label={summary(title, drawn, format)}
              onPointerMove={point}
              onPointerDown={point}
              onPointerLeave={() => onCursor(undefined)}
            >
              <Drawing {...{ lines: drawn, frame, format, top, width, height, perBar, alarms }} />
              {cursor !== undefined && (
                <Cursor {...{ lines: drawn, n, cursor, top, width, height }} />
              )}
            </svg>
          )
        )}
      </div>
    </figure>
  );
}

function told(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value);
}

/** The chart in a sentence, for who does not see it. */
export function summary(title: string, lines: readonly Line[], format: (value: number) => string): string {
  const all = lines.map(({ name, values }) => {
    const last = values.findLast((value) => value !== null) ?? 0;
    return say('overview.atMost', { name, last: format(last), most: format(greatest(values)) });
  });
  return `${title}: ${all.join('; ')}`;
}

interface DrawingProps {
  lines: readonly Line[];
  frame: Frame;
  format: (value: number) => string;
  top: number;
  width: number;
  height: number;
  perBar: number;
  alarms?: { steps: readonly number[]; text: string } | undefined;
}

/** All but the cursor, which moves far more often than the numbers change. */
const Drawing = memo(
  function Drawing({ lines, frame, format, top, width, height, perBar, alarms }: DrawingProps) {
    const { start, stepMs, n } = frame;
    const end = start + (n - 1) * stepMs;
    const x = (at: number) => ((at - start) / (end - start)) * width;
    const first = lines[0];
    return (
      <>
        {[0, 0.5, 1].map((part) => (
          <line key={part} className={css.grid} x2={width} y1={height * part + 0.5} y2={height * part + 0.5} />
        ))}
        {timeTicks(start, end, Math.max(2, Math.floor(width / 90)))
          .filter((at) => x(at) >= TICK_PX && x(at) <= width - TICK_PX)
          .map((at) => (
            <text key={at} className={css.tick} x={x(at)} y={height + 14} textAnchor="middle">
              {clock(at)}
            </text>
          ))}
        {lines.map((line) => (
          <Drawn key={line.name} {...{ line, top, width, height, perBar }} />
        ))}
        {frame.moments
          .filter(({ at }) => at >= start && at <= end)
          .map(({ at, text }) => (
            <g key={at} className={css.moment}>
              <line x1={x(at)} x2={x(at)} y2={height} />
              <path d={`M${x(at) - 4} 0h8l-4 5z`} />
              <title>{text}</title>
            </g>
          ))}
        {first &&
          alarms?.steps.map((step) => (
            <g
              key={step}
              className={css.alarm}
              transform={`translate(${across(step, n, width) - 5} ${Math.max(0, up(first.values[step] ?? top, top, height) - 5)}) scale(.833)`}
            >
              <path d="M3.6 0h4.8L12 3.6v4.8L8.4 12H3.6L0 8.4V3.6z" />
              <path className={css.cut} d="m4 4 4 4M8 4 4 8" />
              <title>{alarms.text}</title>
            </g>
          ))}
        <text className={css.scale} x={4} y={12}>
          {format(top)}
        </text>
        <text className={css.scale} x={4} y={height / 2 + 12}>
          {format(top / 2)}
        </text>
      </>
    );
  },
  (a, b) =>
    a.lines.length === b.lines.length &&
    a.lines.every((line, i) => line.values === b.lines[i]?.values) &&
    a.frame.start === b.frame.start &&
    a.frame.moments === b.frame.moments &&
    a.top === b.top &&
    a.width === b.width,
);

function Drawn({
  line: { values, hue, look },
  top,
  width,
  height,
  perBar,
}: {
  line: Line;
  top: number;
  width: number;
  height: number;
  perBar: number;
}) {
  const style = { color: `var(--${hue})` };
  if (look === 'bars') {
    const wide = width / Math.ceil(values.length / perBar);
    return (
      <g style={style} className={css.bar}>
        {bars(values, perBar).map(
          (sum, i) =>
            sum !== null &&
            sum > 0 && (
              <rect
                key={i}
                x={i * wide + 0.5}
                width={Math.max(1, wide - 1)}
                y={up(sum, top, height)}
                height={height - up(sum, top, height)}
              />
            ),
        )}
      </g>
    );
  }
  return (
    <g style={style}>
      {look === 'area' && <path className={css.fill} d={areaPath(values, top, width, height)} />}
      <path
        className={look === 'bound' ? css.dashes : css.stroke}
        d={linePath(values, top, width, height)}
      />
    </g>
  );
}

function Cursor({
  lines,
  n,
  cursor,
  top,
  width,
  height,
}: {
  lines: readonly Line[];
  n: number;
  cursor: number;
  top: number;
  width: number;
  height: number;
}) {
  const x = across(cursor, n, width);
  return (
    <g className={css.cursor}>
      <line x1={x} x2={x} y2={height} />
      {lines.map((line) => {
        const value = line.values[cursor];
        if (line.look === 'bars' || value === null || value === undefined) return null;
        return (
          <circle key={line.name} cx={x} cy={up(value, top, height)} r="3" style={{ color: `var(--${line.hue})` }} />
        );
      })}
    </g>
  );
}

function clock(at: number): string {
  return timeOfDay(new Date(at), { hour: '2-digit', minute: '2-digit' });
}
