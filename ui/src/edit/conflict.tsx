// Somebody else was faster: what both sides changed, and what of it is to hold. Nothing is lost.
import { useState } from 'react';
import { said } from '../components/said';
import { Age, Button, Notice } from '../components/ui';
import { say } from '../words';
import { compareSides, type Difference, type Fields, type Json, labelOf, valueAt, wayOf } from './document';
import css from './edit.module.css';

function short(value: Json | undefined): string {
  if (value === undefined) return say('conflict.nothing');
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

export function Conflict({
  base,
  mine,
  theirs,
  version,
  onTake,
}: {
  base: Fields;
  mine: Fields;
  theirs: Fields;
  /** When theirs was made. */
  version: string;
  onTake: (changes: Difference[], keeps: (pointer: string) => boolean) => void;
}) {
  const sides = compareSides(base, mine, theirs);
  const [kept, setKept] = useState<Record<string, 'mine' | 'theirs'>>({});
  const clash = new Set(sides.clashes.map(({ pointer }) => pointer));
  const choice = (pointer: string) => kept[pointer] ?? 'mine';
  const take = () => onTake(sides.theirs, (pointer) => clash.has(pointer) && choice(pointer) === 'mine');
  return (
    <div role="alert" data-testid="conflict">
      <Notice
        tone="attention"
        action={
          <Button kind="primary" onClick={take}>
            {sides.theirs.length > 0 ? say('conflict.took') : say('conflict.goOn')}
          </Button>
        }
      >
        <div>
          <strong>{said('conflict.title', { age: <Age at={version} ago /> })}</strong>{' '}
          {sides.theirs.length === 0
            ? say('conflict.same')
            : clash.size > 0
              ? say('conflict.both')
              : say('conflict.together')}
          <table className={css.sides}>
            <thead>
              <tr>
                <th scope="col">{say('versions.field')}</th>
                <th scope="col">{say('versions.before')}</th>
                <th scope="col">{say('conflict.theirs')}</th>
                <th scope="col">{say('conflict.yours')}</th>
              </tr>
            </thead>
            <tbody>
              {sides.theirs.map(({ pointer, before, after }) => (
                <tr key={pointer} data-clash={clash.has(pointer) || undefined}>
                  <th scope="row">
                    <code>{labelOf(pointer)}</code>
                  </th>
                  <td>{short(before)}</td>
                  {clash.has(pointer) ? (
                    (['theirs', 'mine'] as const).map((side) => (
                      <td key={side}>
                        <label className={css.tick}>
                          <input
                            type="radio"
                            name={`side${pointer}`}
                            checked={choice(pointer) === side}
                            onChange={() => setKept({ ...kept, [pointer]: side })}
                          />
                          {short(side === 'theirs' ? after : valueAt(mine, wayOf(pointer)))}
                        </label>
                      </td>
                    ))
                  ) : (
                    <>
                      <td>{short(after)}</td>
                      <td className="muted">{say('conflict.asTheirs')}</td>
                    </>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Notice>
    </div>
  );
}
