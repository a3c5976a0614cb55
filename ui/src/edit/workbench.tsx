// The place where a definition is written: form, YAML and JSON of one document, its plan beside it.
import { type ReactNode, lazy, Suspense, useEffect, useMemo, useReducer, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { ApiError, api } from '../api/client';
import { useRow } from '../api/hooks';
import { Check } from '../components/field';
import { toast } from '../components/toast';
import { Button, Command, Notice, Panel, Skeleton, TabLinks } from '../components/ui';
import { Wrong } from '../components/said';
import { appHref, editHref } from '../lib/format';
import { say } from '../words';
import { Conflict } from './conflict';
import { type Fields, locate, pointerOf, type Problem, takeOver, wayOf } from './document';
import { type Draft, draftOf, draftOfYaml, keepDraft, moved, type View } from './draft';
import type { Mark } from './editor';
import { Form } from './form';
import css from './edit.module.css';
import { PlanPanel, usePlan } from './plan';
import { type Schema, strangers, withoutDefaults } from './schema';

const Editor = lazy(() => import('./editor'));

const VIEWS: View[] = ['form', 'yaml', 'json'];

/** What is there now, and since which version. */
export interface Base {
  value: Fields;
  version: string;
}

export function Workbench({
  draftId,
  yaml,
  base: firstBase,
  schema,
  aside,
}: {
  /** Under this name the draft is kept. */
  draftId: string;
  yaml: string;
  /** Set where a service is changed. */
  base?: Base | undefined;
  schema: Schema | undefined;
  aside?: ReactNode;
}) {
  const [draft, move] = useReducer(moved, yaml, draftOfYaml);
  const [base, setBase] = useState(firstBase);
  const [theirs, setTheirs] = useState<Base>();
  const [refused, setRefused] = useState<{ error: Error; value: Fields }>();
  const [busy, setBusy] = useState(false);
  const [force, setForce] = useState(false);
  const [goTo, setGoTo] = useState<{ at: number }>();
  const [search, setSearch] = useSearchParams();
  const [path, go] = useLocation();
  const view = VIEWS.find((known) => known === search.get('view')) ?? 'form';
  const { value, fault } = draft;
  const planned = usePlan(fault ? undefined : value, base?.version);
  const id = String(base?.value.id ?? value.id ?? '');

  useEffect(() => {
    const kept = base ? { base: base.value, version: base.version } : {};
    if (draft.yaml !== yaml) keepDraft(draftId, { yaml: draft.yaml, at: Date.now(), ...kept });
  }, [draft.yaml, base, draftId, yaml]);

  // The live row tells of a change by somebody else before anything is sent.
  const row = useRow('apps', id);
  useEffect(() => {
    if (!base || !row || row.version === base.version || row.version === theirs?.version || busy) return;
    let current = true;
    void present(id, schema).then((now) => {
      if (current && now && now.version !== base.version) setTheirs(now);
    });
    return () => {
      current = false;
    };
  }, [row, base, theirs, busy, id, schema]);

  const problems: Problem[] = useMemo(() => {
    if (fault) return [{ path: '', message: say('edit.line', { line: fault.fault.line, view: fault.view.toUpperCase(), message: fault.fault.message }), own: true }];
    return planned.answer?.problems ?? [];
  }, [fault, planned.answer]);
  const unknown = useMemo(() => strangers(value, schema), [value, schema]);

  const openAt = (pointer: string) => {
    if (fault) {
      setSearch({ view: fault.view }, { replace: true });
      setGoTo({ at: fault.fault.at });
      return;
    }
    const field = document.querySelector<HTMLElement>(`[data-pointer="${CSS.escape(pointer)}"]`);
    if (view === 'form' && field) {
      field.scrollIntoView({ block: 'center' });
      field.focus();
      return;
    }
    const shown = view === 'json' ? 'json' : 'yaml';
    if (view === 'form') setSearch({ view: 'yaml' }, { replace: true });
    const range = locate(shown === 'json' ? draft.json : draft.yaml, pointer);
    setGoTo({ at: range?.from ?? 0 });
  };

  const marks = useMemo(() => {
    if (view === 'form') return [];
    return marksOf(view === 'yaml' ? draft.yaml : draft.json, view, draft, problems, unknown);
  }, [view, draft, problems, unknown]);

  const run = async () => {
    if (problems.length > 0) {
      openAt(problems[0]?.path ?? '');
      return;
    }
    setBusy(true);
    setRefused(undefined);
    try {
      if (base) await api.replace(id, value, base.version, force);
      else await api.create(value);
      keepDraft(draftId, undefined);
      const target = `/${id.replace(/^\/+/, '')}`;
      toast(base ? say('why.changing', { id: target }) : say('edit.starting', { id: target }));
      go(appHref(target));
    } catch (cause) {
      setBusy(false);
      const error = cause instanceof Error ? cause : new Error(String(cause));
      const now = base && error instanceof ApiError && error.status === 409 ? await present(id, schema) : undefined;
      if (base && now && now.version !== base.version) setTheirs(now);
      else setRefused({ error, value });
    }
  };

  /** A service of that name is there: the text becomes a change of it. */
  const change = async () => {
    const target = `/${id.replace(/^\/+/, '')}`;
    const now = await present(target, schema);
    if (!now) return;
    keepDraft(target, { yaml: draft.yaml, at: Date.now(), base: now.value, version: now.version });
    keepDraft(draftId, undefined);
    go(editHref(target));
  };

  const plan = planned.answer?.plan;
  const isThere = useRow('apps', base ? '' : `/${id.replace(/^\/+/, '')}`) !== undefined && !busy;
  const n = plan?.changes.length ?? 0;
  const locked = refused?.error instanceof ApiError && refused.error.locked;
  const isSame = base !== undefined && !planned.stale && plan?.action === 'none';
  return (
    <div className={css.bench}>
      <div className={css.left}>
        {base && theirs && (
          <Conflict
            base={base.value}
            mine={value}
            theirs={theirs.value}
            version={theirs.version}
            onTake={(changes, keeps) => {
              move({ is: 'doc', doc: takeOver(draft.doc, changes, keeps) });
              setBase(theirs);
              setTheirs(undefined);
              setRefused(undefined);
            }}
          />
        )}
        <div className={css.views}>
          <TabLinks
            label={say('edit.views')}
            current={view}
            tabs={VIEWS.map((id) => ({
              id,
              text: id === 'form' ? say('edit.form') : id.toUpperCase(),
              href: `${path}?${searchWith(search, id)}`,
            }))}
          />
          {aside}
        </div>
        {fault && fault.view !== view && (
          <Notice
            tone="attention"
            action={
              <Button onClick={() => openAt('')}>{say('edit.toLine', { line: fault.fault.line })}</Button>
            }
          >
            {say('edit.unread', { view: fault.view.toUpperCase() })}
          </Notice>
        )}
        {view === 'form' ? (
          <fieldset className={css.whole} disabled={fault !== undefined}>
            <Form
              value={value}
              schema={schema}
              faults={problems}
              unknown={unknown}
              base={base?.value}
              set={(way, next) => move({ is: 'field', way, value: next })}
              openAt={(pointer) => {
                setSearch({ view: 'yaml' }, { replace: true });
                setGoTo({ at: locate(draft.yaml, pointer, true)?.from ?? 0 });
              }}
            />
          </fieldset>
        ) : (
          <Panel flush className={css.editor}>
            <Suspense fallback={<Skeleton rows={12} />}>
              <Editor
                key={view}
                language={view}
                label={say('edit.text', { view: view.toUpperCase() })}
                text={view === 'yaml' ? draft.yaml : draft.json}
                readOnly={fault !== undefined && fault.view !== view}
                schema={schema}
                marks={marks}
                goTo={goTo}
                onChange={(text) => move({ is: 'text', view, text })}
              />
            </Suspense>
          </Panel>
        )}
      </div>
      <div className={css.right}>
        <div className={css.bar} data-testid="bar">
          {base && (
            <span data-testid="changed" className={css.count}>
              {isSame ? say('edit.same') : n > 0 ? say('edit.changes', { n }) : ''}
            </span>
          )}
          <Button
            onClick={() => {
              keepDraft(draftId, undefined);
              go(base ? appHref(id) : '/services');
            }}
          >
            {base ? say('edit.discard') : say('dialog.cancel')}
          </Button>
          <Button kind="primary" busy={busy} disabled={isSame || isThere || theirs !== undefined || (locked && !force)} onClick={() => void run()}>
            {base ? say('why.apply') : say('edit.run')}
          </Button>
        </div>
        {isThere && (
          <Notice tone="attention" action={<Button onClick={() => void change()}>{say('view.changeIt')}</Button>}>
            <div role="status">{say('view.isThere')}</div>
          </Notice>
        )}
        {refused && refused.value === value && (
          <div role="alert">
            <Notice tone={locked ? 'attention' : 'bad'}>
              <div>{locked ? say('ask.locked') : <Wrong error={refused.error} />}</div>
            </Notice>
          </div>
        )}
        {locked && <Check label={say('ask.force')} checked={force} onChange={setForce} />}
        <PlanPanel planned={planned} problems={problems} openAt={openAt} editing={base !== undefined} />
        <Command text={`tepui app deploy ${fileName(id)}`} />
      </div>
    </div>
  );
}

function fileName(id: string): string {
  return `${id.split('/').filter(Boolean).at(-1) ?? 'app'}.yaml`;
}

function searchWith(search: URLSearchParams, view: View): string {
  const next = new URLSearchParams(search);
  next.set('view', view);
  return next.toString();
}

/** The definition as it is now; what would be so anyway is left out. */
export async function present(id: string, schema: Schema | undefined): Promise<Base | undefined> {
  try {
    const app = await api.app(id);
    return { value: withoutDefaults(app.spec as Fields, schema) as Fields, version: app.version };
  } catch {
    return undefined;
  }
}

/** What is said about places of the text, each where it stands. */
function marksOf(text: string, view: 'yaml' | 'json', draft: Draft, problems: Problem[], unknown: string[]): Mark[] {
  if (draft.fault) {
    if (draft.fault.view !== view) return [];
    const { at, message } = draft.fault.fault;
    const end = text.indexOf('\n', at);
    return [{ from: at, to: Math.max(at, end < 0 ? text.length : end), severity: 'error', message }];
  }
  const at = (pointer: string, key: boolean) => locate(text, pointer, key) ?? { from: 0, to: 0 };
  return [
    ...problems.map(({ path, message }) => ({ ...at(path, false), severity: 'error' as const, message })),
    ...unknown.map((pointer) => ({
      ...at(pointer, true),
      severity: 'warning' as const,
      message: say('edit.stranger'),
    })),
  ];
}

/** A copy of a definition under another name: what the cluster assigned is assigned anew. */
export function copyOf(value: Fields): Draft {
  const draft = draftOf({ ...value, id: `${String(value.id)}-copy` });
  const ports = ['portDefinitions', 'container/portMappings'].flatMap((place) => {
    const way = wayOf(`/${place}`);
    const list = way.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], value);
    return Array.isArray(list) ? list.map((_, at) => [...way, at]) : [];
  });
  return ports.reduce((next, way) => {
    const port = way.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], value) as Fields;
    const assigned = pointerOf(way).startsWith('/portDefinitions') ? 'port' : 'servicePort';
    const isAssigned = Number(port[assigned]) >= 10_000 && Number(port[assigned]) <= 20_000;
    return isAssigned ? moved(next, { is: 'field', way: [...way, assigned], value: 0 }) : next;
  }, draft);
}

