// What of the logs stands in the address: what is looked at, what is looked for, and one line of it.
import { LEVELS, type Level } from './level';
import type { Line } from './line';

export interface Address {
  /** An instance or a task; all of the service without it. */
  task: string;
  stream: '' | 'stdout' | 'stderr';
  grep: string;
  /** Capitals count. */
  cased: boolean;
  /** Lines that do not match are shown too. */
  all: boolean;
  /** What attempts before the present ones wrote. */
  previous: boolean;
  /** Only these; none named: all of them. */
  levels: readonly Level[];
  /** A moment that is looked at, in milliseconds. */
  at: number | undefined;
  /** The line of a link. */
  line: Place | undefined;
}

/** Where a line stands. */
export interface Place {
  task: string;
  stream: string;
  offset: number;
}

export function read(search: URLSearchParams): Address {
  const text = (name: string) => search.get(name) ?? '';
  const stream = text('file');
  const named = text('level').split(',');
  const at = Date.parse(text('at'));
  const [task = '', of = '', offset = ''] = text('line').split('~');
  const isPlace = task && (of === 'stdout' || of === 'stderr') && /^\d+$/.test(offset);
  return {
    task: text('task'),
    stream: stream === 'stdout' || stream === 'stderr' ? stream : '',
    grep: text('grep'),
    cased: text('case') === 'true',
    all: text('all') === 'true',
    previous: text('previous') === 'true',
    levels: LEVELS.filter((level) => named.includes(level)),
    at: Number.isFinite(at) ? at : undefined,
    line: isPlace && Number.isFinite(at) ? { task, stream: of, offset: Number(offset) } : undefined,
  };
}

/** The address with changes; what is false or empty is left out. */
export function written(search: URLSearchParams, changes: Record<string, string | boolean | undefined>): URLSearchParams {
  const next = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, `${value}`);
    else next.delete(name);
  }
  return next;
}

/** The address of one line; nothing where it has no time, by which it is found again. */
export function linkTo(search: URLSearchParams, line: Line): URLSearchParams | undefined {
  return line.at ? written(search, { at: line.at, line: `${line.task}~${line.stream}~${line.offset}` }) : undefined;
}

export function isAt(line: Line, place: Place): boolean {
  return line.task === place.task && line.stream === place.stream && line.offset === place.offset;
}
