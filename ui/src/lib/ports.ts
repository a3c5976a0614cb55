// Host ports as a node tells them, `31000-32000,33000-33999`.

export interface Ports {
  n: number;
  /** First and last of each run. */
  ranges: [number, number][];
}

/** What is no range of ports is left out. */
export function ports(text: string): Ports {
  const ranges = text
    .split(',')
    .map((part) => part.trim().split('-').map(Number))
    .map(([from, to = from]) => [from, to])
    .filter((range): range is [number, number] => range.every((port) => Number.isInteger(port) && (port ?? 0) > 0));
  return { n: ranges.reduce((sum, [from, to]) => sum + Math.max(0, to - from + 1), 0), ranges };
}
