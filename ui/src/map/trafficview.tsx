// The front door and what flows through it: to each service so many requests a second, how many fail,
// how long they take, and the instances that answer.
import { DoorOpen } from 'lucide-react';
import { useMemo } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { api } from '../api/client';
import { useRows } from '../api/hooks';
import { Sparkline } from '../charts/sparkline';
import { InstanceBar, Panel } from '../components/ui';
import { appHref } from '../lib/format';
import { number, say } from '../words';
import { curve, type Stream, streamsOf, thickness } from './traffic';
import css from './traffic.module.css';

/** The steps of what is measured are 10 s long. */
const AGAIN_MS = 15_000;
const SHOWN = 8;
const ROW = 52;
const WIDTH = 72;

export default function Traffic() {
  const apps = useRows('apps');
  const { data } = useQuery({
    queryKey: ['traffic'],
    queryFn: ({ signal }) => api.traffic(signal),
    refetchInterval: AGAIN_MS,
  });
  const streams = useMemo(() => streamsOf(data?.rows ?? [], apps), [data, apps]);
  if (streams.length === 0) return null;
  const shown = streams.slice(0, SHOWN);
  const all = streams.reduce((sum, one) => ({ requests: sum.requests + one.requests, errors: sum.errors + one.errors }), { requests: 0, errors: 0 });
  return (
    <Panel title={say('traffic.title')} aside={<span className="muted">{say('traffic.measured')}</span>}>
      <div className={css.flow}>
        <div className={css.door}>
          <DoorOpen size={20} aria-hidden />
          <strong>{say('traffic.door')}</strong>
          <span className="nums">{say('traffic.rate', { n: rate(all.requests) })}</span>
          {all.errors > 0 && <span className={`nums ${css.errors}`}>{say('traffic.errors', { n: rate(all.errors) })}</span>}
        </div>
        <svg className={css.streams} width={WIDTH} height={shown.length * ROW} viewBox={`0 0 ${WIDTH} ${shown.length * ROW}`} aria-hidden>
          {shown.map((stream, at) => (
            <g key={stream.id}>
              <path className={css.stream} d={curve(at, shown.length, WIDTH, ROW)} strokeWidth={thickness(stream.requests)} />
              {stream.errors > 0 && (
                <path className={css.failing} d={curve(at, shown.length, WIDTH, ROW)} strokeWidth={Math.min(thickness(stream.errors), thickness(stream.requests))} />
              )}
            </g>
          ))}
        </svg>
        <ul className={css.services}>
          {shown.map((stream) => (
            <Service key={stream.id} stream={stream} />
          ))}
        </ul>
      </div>
      {streams.length > SHOWN && <p className={css.more}>{say('traffic.more', { n: streams.length - SHOWN })}</p>}
    </Panel>
  );
}

/** Two digits are enough for a rate that changes with each step. */
function rate(value: number): string {
  return number(value, value < 1 ? 2 : value < 10 ? 1 : 0);
}

function Service({ stream: { id, requests, errors, p99, points, app } }: { stream: Stream }) {
  return (
    <li className={css.service}>
      <Link href={appHref(id)} className={css.name}>
        {id}
      </Link>
      <span className={css.numbers}>
        <Sparkline points={points} hue="cpu" />
        <span className="nums">{say('traffic.rate', { n: rate(requests) })}</span>
        <span className={`nums ${errors > 0 ? css.errors : 'muted'}`}>
          {errors > 0 ? say('traffic.errors', { n: rate(errors) }) : say('traffic.noErrors')}
        </span>
        <span className="muted nums">{p99 === undefined ? '' : say('traffic.p99', { n: rate(p99) })}</span>
      </span>
      {app && (
        <span className={css.instances}>
          <span className="visually-hidden">{say('list.instances')}</span>
          <InstanceBar {...app.instances} waiting={!!app.waiting} />
        </span>
      )}
    </li>
  );
}
