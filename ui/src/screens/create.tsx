// A definition written here and sent as it is; the server's objections stand at the field.
import { type FormEvent, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { ApiError, api } from '../api/client';
import { CodeField } from '../components/field';
import { toast } from '../components/toast';
import { Button, Command, PageHead, Panel } from '../components/ui';
import { appHref } from '../lib/format';
import css from './create.module.css';
import { Title } from './services';

const EXAMPLE = `{
  "id": "/hello",
  "cmd": "while true; do date; sleep 1; done",
  "cpus": 0.1,
  "mem": 32,
  "instances": 1
}
`;
/** A draft survives a reload, but not the session of the browser. */
const DRAFT = 'tepui.draft.app';

function draft(): string {
  try {
    return sessionStorage.getItem(DRAFT) ?? EXAMPLE;
  } catch {
    return EXAMPLE;
  }
}

function keepDraft(text: string | undefined): void {
  try {
    if (text === undefined) sessionStorage.removeItem(DRAFT);
    else sessionStorage.setItem(DRAFT, text);
  } catch {
    // Without storage there is no draft.
  }
}

function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  const details = error.details.map(({ path, errors }) => `${path}: ${errors.join(', ')}`);
  return [error.message, ...details, error.hint].filter(Boolean).join('\n');
}

export default function Create() {
  const [text, setText] = useState(draft);
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [, go] = useLocation();

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    let spec: { id?: unknown };
    try {
      spec = JSON.parse(text) as { id?: unknown };
    } catch (cause) {
      setError(`This is not JSON: ${cause instanceof Error ? cause.message : cause}`);
      return;
    }
    setBusy(true);
    try {
      await api.create(spec);
      keepDraft(undefined);
      const id = `/${String(spec.id).replace(/^\/+/, '')}`;
      toast(`${id}: starting`);
      go(appHref(id));
    } catch (cause) {
      setBusy(false);
      setError(explain(cause));
    }
  };

  return (
    <>
      <Title text="Run a service" />
      <PageHead crumbs={[{ href: '/services', text: 'Services' }]} title="Run a service" />
      <Panel className={css.panel}>
        <form onSubmit={submit} className={css.form}>
          <CodeField
            label="Definition"
            value={text}
            rows={18}
            error={error}
            hint="Marathon's app format, in JSON."
            onChange={(event) => {
              setText(event.target.value);
              setError(undefined);
              keepDraft(event.target.value);
            }}
          />
          <Command text="tepui app deploy app.json" />
          <div className={css.buttons}>
            <Link href="/services">Cancel</Link>
            <Button kind="primary" type="submit" busy={busy}>
              Run
            </Button>
          </div>
        </form>
      </Panel>
    </>
  );
}
