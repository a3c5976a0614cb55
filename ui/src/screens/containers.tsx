// Containers of a pod: what it is made of, and how those of an instance are.
import { Link } from 'wouter';
import type { Container, Instance, PodContainer } from '../api/types';
import { StatusLabel } from '../components/status';
import { appHref, cpus, mebibytes, whatRuns } from '../lib/format';
import { containerLook } from '../lib/status';
import { say } from '../words';
import css from './containers.module.css';

/** What each container of a pod runs and takes. */
export function Parts({ containers }: { containers: readonly PodContainer[] }) {
  return (
    <ul className={css.parts}>
      {containers.map((part) => (
        <li key={part.name}>
          <strong>{part.name}</strong>
          {part.sidecar && <span className="muted"> {say('pod.sidecar')}</span>} <code>{whatRuns(part) || '–'}</code>
          <span className="muted"> {say('panel.size', { cpus: cpus(part.cpus), mem: mebibytes(part.mem_mb) })}</span>
        </li>
      ))}
    </ul>
  );
}

/** The containers of an instance, each with its state and a way to its output. */
export function Containers({ of }: { of: Instance }) {
  return (
    <ul className={css.list} aria-label={say('pod.containers')}>
      {of.containers?.map((container) => (
        <li key={container.name}>
          <Link href={outputOf(of, container)} aria-label={say('pod.outputOf', { name: container.name })}>
            {container.name}
          </Link>
          <StatusLabel look={containerLook(container)} />
          {container.exit_code !== undefined && (
            <span className="muted">{say('instances.exitCode', { code: `${container.exit_code}` })}</span>
          )}
        </li>
      ))}
    </ul>
  );
}

function outputOf(instance: Instance, container: Container): string {
  return `${appHref(instance.app_id, 'logs')}&${new URLSearchParams({ task: container.task_id })}`;
}
