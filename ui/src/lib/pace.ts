// How fast a service's instances are replaced: its two bounds as a number at a time, and the way back.

export interface Strategy {
  minimumHealthCapacity: number;
  maximumOverCapacity: number;
}

export interface Pace {
  /** Instances that are on their way at a time. */
  atOnce: number;
  /** New ones start before old ones end. */
  newFirst: boolean;
}

/** Parts of a whole that are told; a few of them make up for what rounding takes. */
const PLACES = 10_000;
const STEPS = [0, 1, -1, 2, -2];

/** What the bounds come to for `n` instances, as the cluster reads them. */
export function paceOf(n: number, { minimumHealthCapacity: least = 1, maximumOverCapacity: over = 1 }: Partial<Strategy>): Pace {
  const stay = Math.ceil(n * least);
  const most = Math.max(Math.floor(n * (1 + over)), stay === n && over === 0 ? n + 1 : 0);
  return { atOnce: Math.max(1, Math.min(n, most - stay)), newFirst: most > n };
}

/** The bounds by which at most so many of `n` are on their way: the roundest that come to it. */
export function strategyOf(n: number, pace: Pace): Strategy {
  const part = pace.newFirst ? Math.min(1, pace.atOnce / n) : Math.max(0, 1 - pace.atOnce / n);
  const made = (step: number): Strategy => {
    const value = Math.min(1, Math.max(0, Math.round(part * PLACES + step) / PLACES));
    return pace.newFirst ? { minimumHealthCapacity: 1, maximumOverCapacity: value } : { minimumHealthCapacity: value, maximumOverCapacity: 0 };
  };
  const comesTo = (strategy: Strategy) => {
    const { atOnce, newFirst } = paceOf(n, strategy);
    return atOnce === pace.atOnce && newFirst === pace.newFirst;
  };
  return STEPS.map(made).find(comesTo) ?? made(0);
}
