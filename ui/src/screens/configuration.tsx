// The definition as the API holds it.
import type { App } from '../api/types';
import { Command, Copy, Panel } from '../components/ui';
import { commandOf } from '../lib/format';
import { say } from '../words';
import css from './why.module.css';

const SHOW = 'show';

export default function Configuration({ app }: { app: App }) {
  const text = JSON.stringify(app.spec, null, 2);
  return (
    <>
      <Command text={commandOf(app, SHOW, '--definition')} />
      <Panel title={say('service.definition')} aside={<Copy text={text} label={say('service.copyDefinition')} />} flush>
        <section className={css.scroll} aria-label={say('service.json')} tabIndex={0}>
          <pre className={css.definition}>{text}</pre>
        </section>
      </Panel>
    </>
  );
}
