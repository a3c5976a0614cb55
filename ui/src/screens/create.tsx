// Run a new service, or change one that is there: the same workbench over another beginning.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import { api } from '../api/client';
import { Failure, PageHead, Panel, Skeleton } from '../components/ui';
import { type Kept, keepDraft, keptDraft } from '../edit/draft';
import { fromValue, writeYaml } from '../edit/document';
import css from '../edit/edit.module.css';
import { type Schema, withoutDefaults } from '../edit/schema';
import { Start } from '../edit/start';
import { copyOf, present, Workbench } from '../edit/workbench';
import { appHref, duration, splitId } from '../lib/format';
import { say } from '../words';
import '../words/late';
import { Title } from './services';

/** Under this name the draft of a new service is kept. */
const NEW = 'new';

function useSchema() {
  return useQuery({ queryKey: ['schema'], queryFn: ({ signal }) => api.schema(signal) as Promise<Schema> });
}

export default function Create() {
  const schema = useSchema();
  const [search, setSearch] = useSearchParams();
  const [kept, setKept] = useState(() => keptDraft(NEW));
  const [yaml, setYaml] = useState(kept?.yaml);
  const [error, setError] = useState<unknown>();
  const begin = (text: string) => {
    keepDraft(NEW, { yaml: text, at: Date.now() });
    setKept(undefined);
    setYaml(text);
  };
  const copy = async (id: string) => {
    try {
      const there = await present(id, schema.data);
      if (there) begin(copyOf(there.value).yaml);
    } catch (cause) {
      setError(cause);
    }
  };
  const from = search.get('copy');
  const asked = useQuery({
    queryKey: ['copy', from],
    enabled: from !== null && yaml === undefined && !schema.isPending,
    queryFn: async () => {
      await copy(from ?? '');
      setSearch({}, { replace: true });
      return true;
    },
  });
  const over = () => {
    keepDraft(NEW, undefined);
    setYaml(undefined);
    setSearch({}, { replace: true });
  };
  return (
    <>
      <Title text={say('services.run')} />
      <PageHead crumbs={[{ href: '/services', text: say('nav.services') }]} title={say('services.run')} />
      {error !== undefined && <Failure error={error} />}
      {schema.isPending || asked.isFetching ? (
        <Skeleton />
      ) : yaml === undefined ? (
        <Start onYaml={begin} onCopy={(id) => void copy(id)} />
      ) : (
        <Workbench key={yaml} draftId={NEW} yaml={yaml} schema={schema.data} aside={<Over kept={kept} onOver={over} />} />
      )}
    </>
  );
}

function Over({ kept, onOver }: { kept: Kept | undefined; onOver: () => void }) {
  return (
    <span className={css.over}>
      {kept && <span className="muted">{say('create.draft', { age: duration(Date.now() - kept.at) })}</span>}
      <button type="button" className={css.link} onClick={onOver}>
        {say('create.over')}
      </button>
    </span>
  );
}

export function Edit({ id }: { id: string }) {
  const schema = useSchema();
  const kept = keptDraft(id);
  const start = useQuery({
    queryKey: ['edit', id],
    enabled: !schema.isPending,
    gcTime: 0,
    queryFn: async ({ signal }) => {
      const app = await api.app(id, signal);
      return { value: withoutDefaults(app.spec as never, schema.data) as never, version: app.version };
    },
  });
  const { path, name } = splitId(id);
  return (
    <>
      <Title text={say('edit.title', { id })} />
      <PageHead
        crumbs={[
          { href: '/services', text: say('nav.services') },
          { href: appHref(id), text: `${path.slice(1)}${name}` },
        ]}
        title={say('edit.title', { id: name })}
      />
      {start.isPending || schema.isPending ? (
        <Skeleton />
      ) : start.data ? (
        <Workbench
          draftId={id}
          yaml={kept?.version && kept.base ? kept.yaml : writeYaml(fromValue(start.data.value))}
          base={kept?.version && kept.base ? { value: kept.base, version: kept.version } : start.data}
          schema={schema.data}
        />
      ) : (
        <Panel>
          <Failure error={start.error} retry={() => void start.refetch()} />
          <Link href="/services">{say('dash.allServices')}</Link>
        </Panel>
      )}
    </>
  );
}
