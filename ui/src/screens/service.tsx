// One service: how it does, its instances, output, why it waits, definition.
import { EllipsisVertical, ExternalLink, Pencil, RotateCw, Scaling } from 'lucide-react';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { here } from '../api/base';
import { ApiError, api } from '../api/client';
import { useApp, useRow } from '../api/hooks';
import type { App, AppSummary, Verdict } from '../api/types';
import { Menu } from '../components/menu';
import { said, Told } from '../components/said';
import { StatusLabel } from '../components/status';
import {
  Age,
  Button,
  Changing,
  Copy,
  Empty,
  Failure,
  Notice,
  PageHead,
  Panel,
  Skeleton,
  TabLinks,
} from '../components/ui';
import { plainText } from '../lib/ansi';
import { groupsOf } from '../lib/filter';
import { appHref, cpus, dateAndTime, editHref, humanise, mebibytes, splitId, whatRuns } from '../lib/format';
import { useKeys } from '../lib/keys';
import { capital, isSaid, lookOf, needsAttention } from '../lib/status';
import { VIEWS } from '../lib/views';
import { say } from '../words';
import { type Ask, AskDialog, appMenu } from './actions';
import { Parts } from './containers';
import { Instances } from './instances';
import css from './service.module.css';
import { Title } from './services';

const Logs = lazy(() => import('../logs/screen'));
const WhyView = lazy(() => import('./why'));
const Configuration = lazy(() => import('./configuration'));
const Overview = lazy(() => import('./overview'));
const Versions = lazy(() => import('./versions'));
const Activity = lazy(() => import('./activity').then(({ Activity }) => ({ default: Activity })));

/** Lines of a failed attempt that stand beside its trouble. */
const LINES_SHOWN = 4;

/** The first one has no word in its address. */
const TABS = ['overview', 'instances', 'logs', 'why', 'activity', 'versions', 'config'] as const;
type Tab = (typeof TABS)[number];
const FIRST: Tab = 'overview';

export default function Service({ id }: { id: string }) {
  const row = useRow('apps', id);
  const detail = useApp(id);
  const [search] = useSearchParams();
  const [, go] = useLocation();
  const [asked, setAsked] = useState<Ask>();
  // The live row is newer than the detail read after it.
  const app = row ?? detail.data;
  // The keys of a row of the list, which the menu shows here too.
  useKeys({
    ...Object.fromEntries(VIEWS.map(({ key, href }) => [key, () => go(href(id))])),
    s: () => app && setAsked('scale'),
    r: () => app && app.instances.wanted > 0 && setAsked('restart'),
    d: () => app && setAsked('delete'),
  });

  if (!app || (detail.error instanceof ApiError && detail.error.status === 404)) {
    if (detail.isPending) return <Skeleton />;
    return <Missing id={id} error={detail.error} retry={() => void detail.refetch()} />;
  }
  const tab = TABS.find((name) => name === search.get('tab')) ?? FIRST;
  return (
    <>
      <Title text={id} />
      <Head app={app} ask={setAsked} />
      <TabLinks
        label={say('service.views', { id })}
        current={tab}
        tabs={TABS.map((name) => ({
          id: name,
          text: say(`service.tab.${name}`),
          href: appHref(id, name === FIRST ? undefined : name),
        }))}
      />
      {detail.data ? (
        <Suspense fallback={<Skeleton />}>
          {tab === FIRST && (
            <>
              <News app={detail.data} row={app} />
              <Overview app={detail.data} row={app}>
                <Facts app={detail.data} />
              </Overview>
            </>
          )}
          {tab === 'instances' && <Instances app={detail.data} />}
          {tab === 'logs' && <Logs app={detail.data} />}
          {tab === 'why' && <WhyView app={app} />}
          {tab === 'activity' && <Activity of={id} />}
          {tab === 'versions' && <Versions app={app} />}
          {tab === 'config' && <Configuration app={detail.data} />}
        </Suspense>
      ) : detail.error ? (
        <Panel>
          <Failure error={detail.error} retry={() => void detail.refetch()} />
        </Panel>
      ) : (
        <Skeleton />
      )}
      {asked && (
        <AskDialog
          what={asked}
          app={app}
          onClose={() => setAsked(undefined)}
          onDeleted={() => go('/services')}
        />
      )}
    </>
  );
}

function Missing({ id, error, retry }: { id: string; error: unknown; retry: () => void }) {
  const gone = error instanceof ApiError && error.status === 404;
  const title = gone ? say('missing.title') : id;
  return (
    <>
      <Title text={title} />
      <PageHead crumbs={[{ href: '/services', text: say('nav.services') }]} title={title} />
      <Panel>
        {gone ? (
          <Empty title={say('service.gone', { id })} action={<Link href="/services">{say('dash.allServices')}</Link>}>
            {say('service.goneHint')}
          </Empty>
        ) : (
          <Failure error={error} retry={retry} />
        )}
      </Panel>
    </>
  );
}

function Head({ app, ask }: { app: AppSummary; ask: (what: Ask) => void }) {
  const { name } = splitId(app.id);
  const { running, wanted, healthy, unhealthy, starting, stopping } = app.instances;
  return (
    <PageHead
      crumbs={[
        { href: '/services', text: say('nav.services') },
        ...groupsOf(app.id).map((group) => ({
          href: `/services?${new URLSearchParams({ q: `group:${group}` })}`,
          text: splitId(group).name,
        })),
      ]}
      title={name}
      sub={
        <>
          <span className={css.condition}>
            <StatusLabel look={lookOf(app.verdict.state)} />
          </span>
          <span data-testid="instances">
            {said('service.running', {
              n: running,
              count: <Changing className="nums">{say('instances.found', { n: running, of: wanted })}</Changing>,
            })}
            {app.has_health_checks && running > 0 && `, ${say('service.healthy', { n: healthy })}`}
            {unhealthy > 0 && `, ${say('service.unhealthy', { n: unhealthy })}`}
            {starting > 0 && `, ${say('count.starting', { n: starting })}`}
            {stopping > 0 && `, ${say('count.stopping', { n: stopping })}`}
          </span>
          {app.kind === 'pod' && <span>{say('list.pod')}</span>}
          <span>{said('service.changed', { age: <Age at={app.version} ago /> })}</span>
        </>
      }
      actions={
        <>
          {app.service_url && (
            <a className={css.open} href={here(app.service_url)} target="_blank" rel="noreferrer">
              <ExternalLink size={15} aria-hidden />
              {say('ask.open')}
            </a>
          )}
          {app.kind !== 'pod' && (
            <Link className={css.open} href={editHref(app.id)}>
              <Pencil size={15} aria-hidden />
              {say('ask.edit')}
            </Link>
          )}
          <Button onClick={() => ask('restart')} disabled={wanted === 0}>
            <RotateCw size={15} aria-hidden />
            {say('ask.restart')}
          </Button>
          <Button kind="primary" onClick={() => ask('scale')}>
            <Scaling size={15} aria-hidden />
            {say('ask.scale')}
          </Button>
          <Menu
            groups={appMenu(app, ask)}
            trigger={
              <Button aria-label={say('service.more', { id: app.id })} className={css.menu}>
                <EllipsisVertical size={16} aria-hidden />
              </Button>
            }
          />
        </>
      }
    />
  );
}

/** What is wrong now, and what went wrong last. */
function News({ app, row }: { app: App; row: AppSummary }) {
  return (
    <>
      {needsAttention(row) && <Trouble verdict={row.verdict} id={app.id} />}
      {app.last_failure && !isSaid(row.verdict, app.last_failure.message) && <LastFailure failure={app.last_failure} />}
    </>
  );
}

/** What is wrong, since when, why, and what to do about it. */
function Trouble({ verdict, id }: { verdict: Verdict; id: string }) {
  // What has no place, or never started, has no output that would tell.
  const places = ['waiting', 'stuck', 'delayed', 'cannot_start'].includes(verdict.state);
  return (
    <Notice
      tone={verdict.tone === 'bad' ? 'bad' : 'attention'}
      action={places ? <Link href={appHref(id, 'why')}>{say('key.why')}</Link> : <Link href={appHref(id, 'logs')}>{say('key.logs')}</Link>}
    >
      <div>
        <strong lang="en">{capital(humanise(verdict.sentence))}</strong>{' '}
        {verdict.since && (
          <span className="muted">
            (<Age at={verdict.since} />)
          </span>
        )}
        {verdict.cause && !verdict.sentence.includes(verdict.cause) && <div lang="en">{humanise(verdict.cause)}</div>}
        {verdict.next && <div lang="en">{capital(humanise(verdict.next))}</div>}
        {(verdict.state === 'crash_looping' || verdict.state === 'delayed') && <LastLines id={id} since={verdict.since} />}
      </div>
    </Notice>
  );
}

/** What the attempt that ended last wrote at its end. */
function LastLines({ id, since }: { id: string; since: string | undefined }) {
  const last = useQuery({
    queryKey: ['last attempt', id, since],
    queryFn: ({ signal }) => api.history({ of: id, kind: 'attempt', limit: 1 }, signal),
    placeholderData: (old) => old,
  });
  const record = last.data?.records[0];
  if (!record?.bad || !record.attempt?.tail) return null;
  const lines = plainText(record.attempt.tail).trimEnd().split('\n').slice(-LINES_SHOWN);
  return (
    <figure className={css.lines}>
      <figcaption>
        {say('view.lastLines', { n: record.attempt.number })} <Link href={appHref(id, 'activity')}>{say('view.attempts')}</Link>
      </figcaption>
      <pre tabIndex={0} aria-label={say('view.lastLines', { n: record.attempt.number })}>
        {lines.join('\n')}
      </pre>
    </figure>
  );
}

function LastFailure({ failure }: { failure: NonNullable<App['last_failure']> }) {
  return (
    <Notice tone="bad">
      <div>
        <strong>{say('panel.failure')}</strong>{' '}
        <span className="muted">
          {failure.host ? said('service.failedOn', { age: <Age at={failure.at} ago />, host: failure.host }) : <Age at={failure.at} ago />}
        </span>
        <div>
          <Told text={failure.message} />
        </div>
      </div>
    </Notice>
  );
}

function Facts({ app }: { app: App }) {
  const [name, ...otherNames] = app.dns_names ?? [];
  const endpoints: Endpoint[] = [
    ...(name ? [{ text: name, about: say('service.dnsName') }] : []),
    ...(app.service_url ? [{ text: new URL(here(app.service_url), window.location.href).href, about: say('service.address') }] : []),
  ];
  const vips = app.ports.flatMap((port) => (port.vip ? [port.vip] : []));
  const labels = Object.entries(app.labels);
  return (
    <Panel title={say('service.about')}>
      <dl className={css.facts}>
        {app.containers ? (
          <Fact name={say('pod.containers')}>
            <Parts containers={app.containers} />
          </Fact>
        ) : (
          <Fact name={app.image ? say('service.image') : say('service.command')}>
            <code>{whatRuns(app) || '–'}</code>
          </Fact>
        )}
        <Fact name={say('service.each')}>
          {say('panel.size', { cpus: cpus(app.cpus), mem: mebibytes(app.mem_mb) })}
          {app.disk_mb > 0 && `, ${say('service.disk', { size: mebibytes(app.disk_mb) })}`}
          {app.gpus > 0 && `, ${say('service.gpus', { n: cpus(app.gpus) })}`}
        </Fact>
        {app.ports.length > 0 && (
          <Fact name={say('list.ports')}>
            {app.ports
              .map((port) => `${port.name ?? port.protocol} ${port.container_port || port.host_port || say('service.anyPort')}`)
              .join(', ')}
          </Fact>
        )}
        {endpoints.length > 0 && (
          <Fact name={say('panel.reached')}>
            <Endpoints list={endpoints} />
            {otherNames.length > 0 && (
              <details className={css.more}>
                <summary>{say('service.moreNames', { n: otherNames.length })}</summary>
                <Endpoints list={otherNames.map((text) => ({ text, about: say('service.dnsName') }))} />
              </details>
            )}
          </Fact>
        )}
        {vips.length > 0 && (
          <Fact name={say('service.vip')}>
            <span className="muted">{say('service.vipUnserved', { list: vips.join(', ') })}</span>
          </Fact>
        )}
        {app.volumes.length > 0 && (
          <Fact name={say('view.volumes')}>
            <ul>
              {app.volumes.map(({ path, size_mb, hosts }) => (
                <li key={path}>
                  <code>{path}</code>, {mebibytes(size_mb)}
                  {hosts.length > 0 && <span className="muted"> {say('ask.volumesOn', { hosts: hosts.join(', ') })}</span>}
                </li>
              ))}
            </ul>
            <Link href={`/volumes?${new URLSearchParams({ q: `service:${app.id}` })}`}>{say('volumes.all')}</Link>
          </Fact>
        )}
        {labels.length > 0 && (
          <Fact name={say('service.labels')}>
            <ul className={css.labels}>
              {labels.map(([key, value]) => (
                <li key={key}>
                  <code>
                    {key}
                    {value && `=${value}`}
                  </code>
                </li>
              ))}
            </ul>
          </Fact>
        )}
        <Fact name={say('service.version')}>
          <span className="nums">{dateAndTime(app.version)}</span>
        </Fact>
      </dl>
    </Panel>
  );
}

interface Endpoint {
  text: string;
  about: string;
}

function Endpoints({ list }: { list: Endpoint[] }) {
  return (
    <ul className={css.endpoints}>
      {list.map(({ text, about }) => (
        <li key={text}>
          <code title={about}>{text}</code>
          <Copy text={text} label={say('copy.label', { what: `${about} ${text}` })} />
        </li>
      ))}
    </ul>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
