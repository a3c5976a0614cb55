// Why a service is not running as wanted: one sentence, the funnel, every node, what would help.
import { Check, X } from 'lucide-react';
import { Fragment, useState } from 'react';
import { Link } from 'wouter';
import { api } from '../api/client';
import { useWhy } from '../api/hooks';
import type { AppSummary, Shortage, Why } from '../api/types';
import { said, Told } from '../components/said';
import { Mark } from '../components/status';
import { Age, Button, Command, Empty, Failure, Panel, Skeleton, useNow } from '../components/ui';
import { cpus, duration, mebibytes } from '../lib/format';
import { LOOK, type Look, look, reasonWord } from '../lib/status';
import { say, sayAny } from '../words';
import { Change } from './actions';
import css from './why.module.css';

const LOOKS: Record<Why['state'], Look> = {
  ...LOOK,
  satisfied: LOOK.running,
  no_report: look('neutral', 'diamond', 'Not tried yet'),
};

export default function WhyView({ app }: { app: AppSummary }) {
  const why = useWhy(app.id);
  if (why.isPending) return <Skeleton />;
  if (!why.data) {
    return (
      <Panel>
        <Failure error={why.error} retry={() => void why.refetch()} />
      </Panel>
    );
  }
  const report = why.data;
  return (
    <>
      <Answer app={app} report={report} />
      <div className={css.columns}>
        {report.funnel.length > 0 && <Funnel report={report} />}
        {report.constraints.length > 0 && <Constraints report={report} />}
      </div>
      {report.nodes.length > 0 && <Matrix report={report} />}
    </>
  );
}

function Answer({ app, report }: { app: AppSummary; report: Why }) {
  const [asked, setAsked] = useState(false);
  const [launching, setLaunching] = useState(false);
  const patch = report.change?.patch;
  const placed = say('why.placed', { n: report.placed, of: report.wanted });
  const launch = async () => {
    setLaunching(true);
    await api.retryNow(app.id).catch(() => undefined);
    setLaunching(false);
  };
  return (
    <Panel>
      <div className={css.answer}>
        <Mark look={LOOKS[report.state] ?? LOOKS.no_report} size={20} />
        <div className={css.answerText}>
          <p className={css.sentence}>
            <Told text={report.verdict.sentence} capital />{' '}
            {report.verdict.since && (
              <span className="muted">
                (<Age at={report.verdict.since} />)
              </span>
            )}
          </p>
          {report.verdict.cause && !report.verdict.sentence.includes(report.verdict.cause) && (
            <p>
              <Told text={report.verdict.cause} capital />
            </p>
          )}
          {report.verdict.next && !report.change && (
            <p>
              <strong>{say('why.next')}</strong> <Told text={report.verdict.next} />
            </p>
          )}
          {report.delayed_until && <Until at={report.delayed_until} />}
          {report.closest && (
            <p>
              {said('why.closest', {
                host: <Link href={`/nodes/${report.closest.node_id}`}>{report.closest.host}</Link>,
              })}
              {report.closest.missing.map((shortage, at) => (
                <Fragment key={shortage.message}>
                  {at === 0 ? ', ' : '; '}
                  <Lack shortage={shortage} />
                </Fragment>
              ))}
            </p>
          )}
          {report.change && (
            <p>
              <strong>{say('why.change')}</strong> <Told text={report.change.sentence} />
            </p>
          )}
          <p className={css.meta}>
            {report.at
              ? said('why.tried', { placed, age: <Age at={report.at} ago /> })
              : placed}
          </p>
        </div>
        <div className={css.answerActions}>
          {patch && <Button onClick={() => setAsked(true)}>{say('why.apply…')}</Button>}
          {report.delayed_until && (
            <Button onClick={() => void launch()} busy={launching}>
              {say('ask.launch')}
            </Button>
          )}
        </div>
      </div>
      <Command text={`tepui why ${app.id}`} />
      {asked && patch && (
        <Change
          title={say('why.changeTitle', { id: app.id })}
          verb={say('why.apply')}
          done={say('why.changing', { id: app.id })}
          change={(force) => api.change(app.id, patch, force)}
          onClose={() => setAsked(false)}
        >
          <p>
            <Told text={`${report.change?.sentence}.`} capital /> {say('why.replaced')}
          </p>
          <pre className={css.patch}>{JSON.stringify(patch, null, 2)}</pre>
        </Change>
      )}
    </Panel>
  );
}

function Until({ at }: { at: string }) {
  const left = Date.parse(at) - useNow();
  return <p>{left > 0 ? say('why.nextLaunch', { time: duration(left) }) : say('why.due')}</p>;
}

/** How many nodes each check left over. */
function Funnel({ report }: { report: Why }) {
  const most = Math.max(report.nodes_total, 1);
  return (
    <Panel title={say('why.funnel', { n: report.nodes_total })}>
      <ol className={css.funnel}>
        {report.funnel
          .filter((step) => step.in > 0)
          .map((step) => (
          <li key={step.reason} className={step.removed > 0 ? css.cuts : undefined}>
            <span>{reasonWord(step.reason)}</span>
            <span className={css.bar} aria-hidden="true">
              <span className={css.left} style={{ width: `${(step.out / most) * 100}%` }} />
              <span className={css.lost} style={{ width: `${(step.removed / most) * 100}%` }} />
            </span>
            <span className="nums">
              {say('why.left', { n: step.out })}
              {step.removed > 0 && <strong>, {say('why.out', { n: step.removed })}</strong>}
            </span>
            {step.detail && step.removed > 0 && <Told text={step.detail} className={css.detail} />}
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Constraints({ report }: { report: Why }) {
  return (
    <Panel title={say('why.constraints')}>
      <ul className={css.constraints}>
        {report.constraints.map((constraint) => (
          <li key={`${constraint.field} ${constraint.operator} ${constraint.value}`}>
            <code>
              {constraint.field} {constraint.operator} {constraint.value}
            </code>
            <span>
              {constraint.sole
                ? say('why.sole', { what: say('why.rulesOut', { n: constraint.removed }), n: constraint.sole })
                : say('why.rulesOut', { n: constraint.removed })}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** How amounts of the resources that are counted are written. */
const AMOUNTS = { cpus, mem: mebibytes, disk: mebibytes, gpus: cpus };

/** What a node lacks: by code and numbers where these tell it all, else as the server says it. */
function Lack({ shortage: { reason, needed, available, message } }: { shortage: Shortage }) {
  if (needed !== undefined && available !== undefined && Object.hasOwn(AMOUNTS, reason)) {
    const kind = reason as keyof typeof AMOUNTS;
    const amount = (n: number) => say(`why.amount.${kind}`, { n, text: AMOUNTS[kind](n) });
    // Amounts that round to the same are told apart by the server.
    if (amount(needed) !== amount(available)) return say('why.needs', { needed: amount(needed), free: AMOUNTS[kind](available) });
  }
  return sayAny(`why.short.${reason}`) ?? <Told text={message} />;
}

/** Each node against each check that failed anywhere. */
function Matrix({ report }: { report: Why }) {
  const reasons = [...new Set(report.nodes.flatMap((node) => node.failed.map(({ reason }) => reason)))];
  return (
    <Panel title={say('why.matrix')} flush>
      {reasons.length === 0 ? (
        <Empty title={say('why.noneInTheWay')} />
      ) : (
        // The table scrolls sideways on small screens and must be reachable by keyboard for that.
        <section className={css.scroll} aria-label={say('why.table')} tabIndex={0}>
          <table className={css.matrix}>
            <thead>
              <tr>
                <th scope="col">{say('list.node')}</th>
                {reasons.map((reason) => (
                  <th key={reason} scope="col">
                    {reasonWord(reason)}
                  </th>
                ))}
                <th scope="col">{say('why.free')}</th>
              </tr>
            </thead>
            <tbody>
              {report.nodes.map((node) => (
                <tr key={node.node_id}>
                  <th scope="row">
                    <Link href={`/nodes/${node.node_id}`}>{node.host}</Link>
                  </th>
                  {reasons.map((reason) => {
                    const failed = node.failed.find((shortage) => shortage.reason === reason);
                    return (
                      <td key={reason}>
                        {failed ? (
                          <span className={css.no}>
                            <X size={14} aria-label={say('why.no')} /> <Lack shortage={failed} />
                          </span>
                        ) : (
                          <Check size={14} aria-label={say('why.yes')} className={css.yes} />
                        )}
                      </td>
                    );
                  })}
                  <td className="nums">
                    {node.free ? say('panel.size', { cpus: cpus(node.free.cpus), mem: mebibytes(node.free.mem_mb) }) : '–'}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Panel>
  );
}
