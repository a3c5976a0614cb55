// Where each instance of a node goes when it is drained, in the dialog that asks and, while it drains,
// on the node's page: a line for each target, a square for each instance.
import { ArrowRight } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import { api } from '../api/client';
import type { DrainPreview, Node } from '../api/types';
import { Mark } from '../components/status';
import { Panel } from '../components/ui';
import { appHref } from '../lib/format';
import { capital } from '../lib/status';
import { say } from '../words';
import { merged, progressOf, type Target, targetsOf } from './drain';
import css from './drain.module.css';
import { Swatch } from './legend';

/** Plans of drains that began on this page, so that what has left is still told. */
const plans = new Map<string, DrainPreview>();

export function began(preview: DrainPreview): void {
  plans.set(preview.node_id, preview);
}

/** The plan as a list by target. */
export function Plan({ targets, from }: { targets: readonly Target[]; from: string }) {
  return (
    <ul className={css.targets} aria-label={say('node.fates')}>
      {targets.map((target) => (
        <li key={`${target.fate} ${target.nodeId ?? ''}`} className={`${css.target} ${css[target.fate]}`}>
          <span className={css.way}>
            <span className={css.from}>{from}</span>
            {target.fate === 'moves' ? (
              <ArrowRight size={16} aria-hidden className={css.arrow} />
            ) : (
              <Mark look={target.fate === 'no_place' ? { tone: 'bad', shape: 'octagon', word: '' } : { tone: 'neutral', shape: 'square', word: '' }} />
            )}
            <strong className={css.to}>
              {target.fate === 'moves' ? (
                target.nodeId ? <Link href={`/nodes/${target.nodeId}`}>{target.host ?? target.nodeId}</Link> : target.host
              ) : (
                say(`drain.fate.${target.fate}`)
              )}
            </strong>
            <span className="muted nums">{say('count.instances', { n: target.movers.length })}</span>
          </span>
          <Movers target={target} />
          {target.because.map((text) => (
            <span key={text} lang="en" className={css.because}>
              {capital(text)}
            </span>
          ))}
          {target.fate !== 'stops' && target.volumes.length > 0 && <span className={css.lost}>{say('node.leaves', { volumes: target.volumes.join(', ') })}</span>}
        </li>
      ))}
    </ul>
  );
}

/** By service: its name, and how many are still here of how many. */
function Movers({ target }: { target: Target }) {
  const apps = new Map<string, Target['movers']>();
  for (const mover of target.movers) apps.set(mover.app, [...(apps.get(mover.app) ?? []), mover]);
  return (
    <ul className={css.apps}>
      {[...apps].map(([app, movers]) => {
        const gone = movers.filter(({ step }) => step === 'gone').length;
        return (
          <li key={app}>
            <Swatch id={app} />
            {app ? <Link href={appHref(app)}>{app}</Link> : <span>{say('node.otherTasks')}</span>}
            <span className={css.squares} aria-hidden>
              {movers.map(({ id, step }) => (
                <i key={id} className={css[step]} data-step={step} />
              ))}
            </span>
            <span className="muted nums">{gone > 0 ? say('drain.left', { n: gone, of: movers.length }) : movers.length > 1 ? movers.length : ''}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** How far the drain of a node is, on the picture it began with. */
export function Draining({ node }: { node: Node }) {
  const [plan, setPlan] = useState(() => plans.get(node.id));
  const n = node.tasks.length;
  // Where what is left goes is asked anew whenever something has left or come.
  useEffect(() => {
    let isOver = false;
    api
      .drainPreview(node.id)
      .then((now) => {
        if (isOver) return;
        const known = plans.get(node.id);
        const next = known ? merged(known, now) : now;
        plans.set(node.id, next);
        setPlan(next);
      })
      .catch(() => undefined);
    return () => {
      isOver = true;
    };
  }, [node.id, n]);
  if (!plan || plan.instances.length === 0) return null;
  const targets = targetsOf(plan, node.tasks);
  const { gone, all } = progressOf(targets);
  return (
    <Panel title={say('drain.title')} aside={<span className="nums">{say('drain.left', { n: gone, of: all })}</span>}>
      <div className={css.bar} role="progressbar" aria-label={say('drain.title')} aria-valuemin={0} aria-valuemax={all} aria-valuenow={gone}>
        <span style={{ width: `${(gone / all) * 100}%` }} />
      </div>
      <Plan targets={targets} from={node.host} />
    </Panel>
  );
}
