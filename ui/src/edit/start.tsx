// Where a new service starts from: a sample, a Compose file, or one that is there.
import { useMemo, useState } from 'react';
import { useRows } from '../api/hooks';
import { CodeField } from '../components/field';
import { Button, Panel } from '../components/ui';
import { say } from '../words';
import { readCompose } from './compose';
import { type Fields, fromValue, writeYaml } from './document';
import css from './edit.module.css';
import { BLANK, samples } from './samples';

export function Start({ onYaml, onCopy }: { onYaml: (yaml: string) => void; onCopy: (id: string) => void }) {
  const apps = useRows('apps');
  const [compose, setCompose] = useState(false);
  return (
    <>
      <ul className={css.tiles}>
        {samples().map((sample) => (
          <li key={sample.id}>
            <button type="button" className={css.tile} onClick={() => onYaml(sample.yaml)}>
              <strong>{sample.name}</strong>
              <span>{sample.about}</span>
            </button>
          </li>
        ))}
        <li>
          <button type="button" className={css.tile} aria-expanded={compose} onClick={() => setCompose(!compose)}>
            <strong>{say('start.compose')}</strong>
            <span>{say('start.composeAbout')}</span>
          </button>
        </li>
        <li>
          <button type="button" className={css.tile} onClick={() => onYaml(BLANK)}>
            <strong>{say('start.blank')}</strong>
            <span>{say('start.blankAbout')}</span>
          </button>
        </li>
        <li>
          <label className={css.tile}>
            <strong>{say('start.copy')}</strong>
            <select className={css.input} value="" disabled={apps.length === 0} onChange={(event) => onCopy(event.target.value)}>
              <option value="">{apps.length === 0 ? say('start.noService') : say('start.chooseOne')}</option>
              {apps.map(({ id }) => (
                <option key={id}>{id}</option>
              ))}
            </select>
          </label>
        </li>
      </ul>
      {compose && <Compose onYaml={onYaml} />}
    </>
  );
}

function Compose({ onYaml }: { onYaml: (yaml: string) => void }) {
  const [text, setText] = useState('');
  const found = useMemo(() => (text.trim() ? readCompose(text) : undefined), [text]);
  const use = (definition: Fields, remarks: { line: number; text: string }[]) => {
    const notes = remarks.map((remark) => `# ${say('start.remark', remark)}\n`).join('');
    onYaml(notes + writeYaml(fromValue(definition)));
  };
  return (
    <Panel title={say('start.compose')} className={css.compose}>
      <CodeField
        label={say('start.composeFile')}
        rows={12}
        value={text}
        error={found?.error && say('start.lineFault', found.error)}
        hint={found && !found.error ? say('start.found', { n: found.services.length }) : say('start.composeHint')}
        onChange={(event) => setText(event.target.value)}
      />
      {found && !found.error && (
        <>
          <Remarks list={found.remarks} />
          <ul className={css.composed}>
            {found.services.map(({ name, definition, remarks }) => (
              <li key={name}>
                <div className={css.composedHead}>
                  <strong>{name}</strong>
                  <Button onClick={() => use(definition, remarks)}>{say('start.use', { name })}</Button>
                </div>
                <Remarks list={remarks} />
              </li>
            ))}
          </ul>
        </>
      )}
    </Panel>
  );
}

function Remarks({ list }: { list: { line: number; text: string }[] }) {
  if (list.length === 0) return null;
  return (
    <ul className={css.remarks}>
      {list.map(({ line, text }) => (
        <li key={`${line} ${text}`}>
          <span className="muted nums">{say('start.line', { line })}</span> {text}
        </li>
      ))}
    </ul>
  );
}
