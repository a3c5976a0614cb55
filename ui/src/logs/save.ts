// Lines as a file, and files of the cluster, under a name that says whose they are.
import { plain } from '../lib/ansi';
import type { Line } from './line';

/** A line as text: when, whose, on which stream, what. */
function written(line: Line, name: string | undefined): string {
  return [line.at ?? '-', ...(name === undefined ? [] : [name]), line.stream, plain(line.text)].join(' ');
}

/** A name for a file, of parts that may be anything. */
export function fileName(...parts: string[]): string {
  return `${parts.filter(Boolean).join('-').replace(/[^\w.-]+/g, '_').replace(/^[_.]+/, '')}.log`;
}

export function asText(lines: readonly Line[], nameOf: ((line: Line) => string) | undefined): string {
  return `${lines.map((line) => written(line, nameOf?.(line))).join('\n')}\n`;
}

/** Has the browser save what is at an address. */
export function saveFrom(href: string, name: string): void {
  const link = document.createElement('a');
  link.href = href;
  link.download = name;
  link.click();
}

export function saveText(text: string, name: string): void {
  const href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  saveFrom(href, name);
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
