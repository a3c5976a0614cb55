// Beside the list: what there is to know of the service under the cursor, without leaving the list.
import { Link } from 'wouter';
import { useApp } from '../api/hooks';
import type { AppSummary, Instance } from '../api/types';
import { Told } from '../components/said';
import { Mark, StatusLabel } from '../components/status';
import { Age, Close, Copy, Panel } from '../components/ui';
import { appHref, cpus, humanise, mebibytes, whatRuns } from '../lib/format';
import { capital, ended, instanceLook, isSaid, lookOf } from '../lib/status';
import { VIEWS } from '../lib/views';
import { say } from '../words';
import css from './sidepanel.module.css';

/** More instances than this are told as a number. */
const MARKS_MAX = 120;

export default function SidePanel({ app, onClose }: { app: AppSummary | undefined; onClose: () => void }) {
  return (
    <aside className={css.side} aria-label={say('panel.label')}>
      <Panel
        title={app ? <Link href={appHref(app.id)}>{app.id}</Link> : say('panel.label')}
        aside={<Close label={say('panel.close')} onClick={onClose} />}
      >
        {app ? <About app={app} /> : <p className="muted">{say('panel.choose')}</p>}
      </Panel>
    </aside>
  );
}

function About({ app }: { app: AppSummary }) {
  const detail = useApp(app.id).data;
  const { verdict } = app;
  const living = detail?.tasks.filter((task) => !ended(task)) ?? [];
  return (
    <div className={css.about}>
      <StatusLabel look={lookOf(verdict.state)} large />
      <div lang="en">
        <p>{capital(humanise(verdict.sentence))}</p>
        {verdict.cause && !verdict.sentence.includes(verdict.cause) && <p className="muted">{humanise(verdict.cause)}</p>}
        {verdict.next && <p className="muted">{capital(humanise(verdict.next))}</p>}
      </div>
      <div>
        <h3>{say('panel.instances', { n: app.instances.running, of: app.instances.wanted })}</h3>
        <Instances tasks={living} />
      </div>
      <dl className={css.facts}>
        <dt>{say('list.runs')}</dt>
        <dd>
          <code>{whatRuns(app) || '–'}</code>
        </dd>
        <dt>{say('panel.each')}</dt>
        <dd>
          {say('panel.size', { cpus: cpus(app.cpus), mem: mebibytes(app.mem_mb) })}
        </dd>
        {detail && detail.dns_names.length > 0 && (
          <>
            <dt>{say('panel.reached')}</dt>
            <dd className={css.name}>
              <code>{detail.dns_names[0]}</code>
              <Copy text={detail.dns_names[0] ?? ''} label={say('copy.label', { what: detail.dns_names[0] ?? '' })} />
            </dd>
          </>
        )}
        <dt>{say('list.changed')}</dt>
        <dd>
          <Age at={app.version} />
        </dd>
      </dl>
      {detail?.last_failure && !isSaid(verdict, detail.last_failure.message) && (
        <div>
          <h3>
            {say('panel.failure')} <Age at={detail.last_failure.at} />
          </h3>
          <p>
            <Told text={detail.last_failure.message} />
          </p>
        </div>
      )}
      <p className={css.links}>
        {VIEWS.map(({ key, href, about }) => (
          <Link key={key} href={href(app.id)}>
            {say(about)}
          </Link>
        ))}
      </p>
    </div>
  );
}

/** A shape for each instance, told by its name and state. */
function Instances({ tasks }: { tasks: readonly Instance[] }) {
  if (tasks.length === 0 || tasks.length > MARKS_MAX) return null;
  return (
    <ul className={css.marks}>
      {tasks.map((task) => {
        const look = instanceLook(task);
        const text = `${look.word}${task.host ? ` · ${task.host}` : ''}`;
        return (
          <li key={task.id} title={text}>
            <Mark look={look} label={text} size={14} />
          </li>
        );
      })}
    </ul>
  );
}
