// What was measured over time: asked for once, and then only for what came since.
import { useQuery } from '@tanstack/react-query';
import { request } from '../api/client';
import { queries } from '../api/hooks';
import type { Measured, MeasuredRow } from '../api/types';
import type { Values } from './scale';

export type Range = '1h' | '24h';

const STEPS: Record<Range, number> = { '1h': 360, '24h': 1440 };
/** As often as a step ends. */
const AGAIN_MS: Record<Range, number> = { '1h': 10_000, '24h': 60_000 };
/** Lists are small pictures: a minute old is new enough, and of long ones five. */
const LIST_AGAIN_MS = 60_000;
const LONG_LIST_AGAIN_MS = 300_000;
const SHORT_LIST_MAX = 60;

async function ask(query: Record<string, string>, signal: AbortSignal): Promise<Measured> {
  const answer = await request(`/tepui/v1/metrics?${new URLSearchParams(query)}`, { signal });
  return (await answer.json()) as Measured;
}

/** Steps of an answer. */
export function lengthOf(measured: Measured): number {
  return Math.max(0, ...(measured.series ?? []).map((series) => series.values.length));
}

/** Both in one, not longer than the range; where both have a step, the later one counts. */
export function merge(old: Measured, news: Measured, steps: number): Measured {
  const step = news.step_s * 1000;
  const first = Date.parse(old.start);
  const shift = Math.round((Date.parse(news.start) - first) / step);
  const end = shift + lengthOf(news);
  // With a hole between them the news are all there is.
  if (shift < 0 || old.step_s !== news.step_s || shift > lengthOf(old)) return news;
  const from = Math.max(0, end - steps);
  const names = new Map([...(old.series ?? []), ...(news.series ?? [])].map((s) => [s.name, s.unit]));
  const of = (from: Measured, name: string) => from.series?.find((series) => series.name === name)?.values;
  const series = [...names].map(([name, unit]) => {
    const before = of(old, name) ?? [];
    const after = of(news, name) ?? [];
    const values = Array.from({ length: end - from }, (_, i) => {
      const at = from + i;
      return (at >= shift ? after[at - shift] : before[at]) ?? null;
    });
    return { name, unit, values };
  });
  const start = new Date(first + from * step).toISOString();
  const marks = [...(old.marks ?? []), ...(news.marks ?? [])].filter(
    (mark, i, all) => mark.at >= start && all.findIndex((other) => other.at === mark.at) === i,
  );
  return { ...news, start, series, marks };
}

/** When the step before the newest begins: the newest may have grown since. */
function since(known: Measured): string {
  return new Date(Date.parse(known.start) + Math.max(0, lengthOf(known) - 2) * known.step_s * 1000).toISOString();
}

/** All series of one thing, kept up to now. */
export function useMeasured(of: string, range: Range) {
  const queryKey = ['measured', of, range];
  return useQuery({
    queryKey,
    queryFn: async ({ signal }) => {
      const known = queries.getQueryData<Measured>(queryKey);
      if (!known?.series?.length) return ask({ of, range }, signal);
      return merge(known, await ask({ of, range, since: since(known) }, signal), STEPS[range]);
    },
    refetchInterval: AGAIN_MS[range],
  });
}

/** The small pictures of a list, by id. */
export function useSparks(of: 'services' | 'nodes') {
  return useQuery({
    queryKey: ['sparks', of],
    queryFn: async ({ signal }) => {
      const { rows = [] } = await ask({ of }, signal);
      return new Map<string, MeasuredRow>(rows.map((row) => [row.id, row]));
    },
    refetchInterval: ({ state }) =>
      (state.data?.size ?? 0) > SHORT_LIST_MAX ? LONG_LIST_AGAIN_MS : LIST_AGAIN_MS,
  });
}

/** The numbers of one series; none when it was never measured. */
export function valuesOf(measured: Measured | undefined, name: string): Values | undefined {
  return measured?.series?.find((series) => series.name === name)?.values;
}

/** The newest number that is not a gap. */
export function latest(values: Values | undefined): number | undefined {
  return values?.findLast((value) => value !== null) ?? undefined;
}
