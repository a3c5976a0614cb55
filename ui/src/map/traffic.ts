// What comes through the front door, service by service, from what was measured of each.
import type { AppSummary, MeasuredRow } from '../api/types';
import { byName } from '../lib/format';

export interface Stream {
  id: string;
  /** Answers a second, and how many of them were errors. */
  requests: number;
  errors: number;
  /** Milliseconds until 99 of 100 answers began. */
  p99?: number;
  /** Thirty points of the last hour, in hundredths of the greatest. */
  points: (number | null)[];
  /** Its instances, where the service is known. */
  app?: AppSummary;
}

/** Busiest first; services nobody asked in the last hour are left out. */
export function streamsOf(rows: readonly MeasuredRow[], apps: readonly AppSummary[]): Stream[] {
  const known = new Map(apps.map((app) => [app.id, app]));
  return rows
    .flatMap(({ id, series }): Stream[] => {
      const of = (name: string) => series.find((one) => one.name === name);
      const requests = of('requests');
      if (!requests || requests.max <= 0) return [];
      const app = known.get(id);
      const p99 = of('latency_p99')?.last;
      return [
        {
          id,
          requests: requests.last ?? 0,
          errors: of('errors')?.last ?? 0,
          points: requests.points,
          ...(p99 !== undefined && { p99 }),
          ...(app && { app }),
        },
      ];
    })
    .sort((a, b) => b.requests - a.requests || byName(a.id, b.id));
}

/** How thick a stream is drawn: ten times as much is one step more, nothing is a hair. */
export function thickness(requests: number): number {
  if (requests <= 0) return 1;
  return Math.min(14, Math.max(1.5, 2 + 3 * Math.log10(1 + requests)));
}

/** From the door at the left to a row at the right, `height` is that of one row. */
export function curve(at: number, n: number, width: number, height: number): string {
  const from = (n * height) / 2 + (at - (n - 1) / 2) * Math.min(6, (0.4 * height * n) / Math.max(1, n));
  const to = (at + 0.5) * height;
  return `M0 ${from.toFixed(1)}C${width / 2} ${from.toFixed(1)} ${width / 2} ${to} ${width} ${to}`;
}
