// What the reader chose to see, in the address and remembered: an address says what it shows, and
// whoever comes without one finds it as he left it.
import { useCallback } from 'react';
import { useSearchParams } from 'wouter';
import { oneOf, Stored, useStored } from '../lib/stored';
import css from './map.module.css';

const stored = {
  view: new Stored<'map' | 'list'>('nodes.view', 'map', oneOf('map', 'list')),
  area: new Stored<'cpu' | 'memory' | 'disk'>('nodes.area', 'memory', oneOf('cpu', 'memory', 'disk')),
  show: new Stored<'reserved' | 'used'>('nodes.show', 'reserved', oneOf('reserved', 'used')),
  by: new Stored<'service' | 'state'>('nodes.by', 'service', oneOf('service', 'state')),
};
const values = {
  view: ['map', 'list'],
  area: ['memory', 'cpu', 'disk'],
  show: ['reserved', 'used'],
  by: ['service', 'state'],
} as const;

type Name = keyof typeof values;
type Value<N extends Name> = (typeof values)[N][number];

/** One choice, and the way to make another. */
export function useChoice<N extends Name>(name: N): [Value<N>, (value: Value<N>) => void] {
  const [search, setSearch] = useSearchParams();
  const cell = stored[name] as unknown as Stored<Value<N>>;
  const kept = useStored(cell);
  const said = (values[name] as readonly Value<N>[]).find((value) => value === search.get(name));
  const choose = useCallback(
    (value: Value<N>) => {
      cell.put(value);
      setSearch(
        (old) => {
          const next = new URLSearchParams(old);
          next.set(name, value);
          return next;
        },
        { replace: true },
      );
    },
    [cell, name, setSearch],
  );
  return [said ?? kept, choose];
}

/** A few values of which one holds. */
export function Choice<N extends Name>({
  name,
  label,
  text,
}: {
  name: N;
  label: string;
  text: (value: Value<N>) => string;
}) {
  const [chosen, choose] = useChoice(name);
  return (
    <div role="group" aria-label={label} className={css.choice}>
      {(values[name] as readonly Value<N>[]).map((value) => (
        <button key={value} type="button" aria-pressed={value === chosen} onClick={() => choose(value)}>
          {text(value)}
        </button>
      ))}
    </div>
  );
}
