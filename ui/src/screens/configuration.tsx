// The definition as the API holds it.
import type { App } from '../api/types';
import { Command, Copy, Panel } from '../components/ui';
import css from './why.module.css';

export default function Configuration({ app }: { app: App }) {
  const text = JSON.stringify(app.spec, null, 2);
  return (
    <>
      <Command text={`tepui app show ${app.id} --definition`} />
      <Panel title="Definition" aside={<Copy text={text} label="Copy definition" />} flush>
        <section className={css.scroll} aria-label="Definition in JSON" tabIndex={0}>
          <pre className={css.definition}>{text}</pre>
        </section>
      </Panel>
    </>
  );
}
