// What the colours of the map mean, and the services it is made of: each lights up when it is pointed at.
import { useMemo } from 'react';
import { Mark } from '../components/status';
import { lookOf } from '../lib/status';
import { say } from '../words';
import { codeOf, colourOf, css as rgb, hueOf } from './hue';
import { amount, type Cell, type Measure, type Share } from './layout';
import css from './map.module.css';
import type { ColourBy } from './paint';

/** More services than these are a number; the filter and the pointer find the others. */
const SERVICES_MAX = 12;

export function Legend({ cells, by, lit, onName, heat, measure, share }: {
  cells: ReadonlyMap<string, readonly Cell[]>;
  by: ColourBy;
  lit: string | undefined;
  /** The service that is pointed at. */
  onName: (id: string | undefined) => void;
  heat: boolean;
  measure: Measure;
  share: Share;
}) {
  const services = useMemo(() => largest(cells, measure, share), [cells, measure, share]);
  return (
    <div className={css.legend}>
      {by === 'state' && !heat ? (
        <States cells={cells} />
      ) : (
        <ul className={css.keys} aria-label={say('map.services')}>
          {services.slice(0, SERVICES_MAX).map(({ id, n }) => (
            <li key={id}>
              <button
                type="button"
                className={css.key}
                aria-pressed={lit === id}
                onPointerEnter={() => onName(id)}
                onPointerLeave={() => onName(undefined)}
                onFocus={() => onName(id)}
                onBlur={() => onName(undefined)}
              >
                {!heat && <Swatch id={id} />}
                <span className="truncate">{id || say('node.otherTasks')}</span>
                <span className="muted nums">{n}</span>
              </button>
            </li>
          ))}
          {services.length > SERVICES_MAX && <li className={css.more}>{say('map.more', { n: services.length - SERVICES_MAX })}</li>}
        </ul>
      )}
      <ul className={css.signs}>
        {!heat && (
          <li>
            <i className={css.hatched} aria-hidden /> {say('map.hatched')}
          </li>
        )}
        {!heat && (
          <li>
            <i className={css.free} aria-hidden /> {say('map.free')}
          </li>
        )}
        {heat && (
          <li>
            <i className={`${css.ramp} ${css[measure]}`} aria-hidden /> {share === 'used' ? say('map.heatUsed') : say('map.heatReserved')}
          </li>
        )}
        <li>
          <i className={css.cross} aria-hidden /> {say('map.lost')}
        </li>
      </ul>
    </div>
  );
}

/** A square in the colour of a service with its two letters. */
export function Swatch({ id }: { id: string }) {
  const hue = hueOf(id);
  return (
    <i
      className={css.swatch}
      style={{ ['--light' as string]: rgb(colourOf(hue, false)), ['--dark' as string]: rgb(colourOf(hue, true)) }}
      aria-hidden
    >
      {codeOf(id)}
    </i>
  );
}

/** Services by how much they take, the greatest first. */
function largest(cells: ReadonlyMap<string, readonly Cell[]>, measure: Measure, share: Share): { id: string; n: number }[] {
  const sums = new Map<string, { id: string; n: number; sum: number }>();
  for (const { instance } of [...cells.values()].flat()) {
    const known = sums.get(instance.app_id) ?? { id: instance.app_id, n: 0, sum: 0 };
    known.n += 1;
    known.sum += amount(instance, measure, share);
    sums.set(instance.app_id, known);
  }
  return [...sums.values()].sort((a, b) => b.sum - a.sum || (a.id < b.id ? -1 : 1));
}

function States({ cells }: { cells: ReadonlyMap<string, readonly Cell[]> }) {
  const found = new Map<string, number>();
  for (const { instance } of [...cells.values()].flat()) found.set(instance.state, (found.get(instance.state) ?? 0) + 1);
  const looks = [...found].map(([state, n]) => ({ look: lookOf(state as never), n })).sort((a, b) => b.n - a.n);
  return (
    <ul className={css.keys} aria-label={say('map.states')}>
      {looks.map(({ look, n }) => (
        <li key={look.word} className={css.state}>
          <Mark look={look} /> {look.word} <span className="muted nums">{n}</span>
        </li>
      ))}
    </ul>
  );
}
