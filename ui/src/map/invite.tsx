// A node more: the lines that let it join, and a row that waits for it until it is there.
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { Link } from 'wouter';
import { api } from '../api/client';
import { Cell } from '../api/store';
import type { NodeSummary } from '../api/types';
import { Mark } from '../components/status';
import { Button, Close, Command, Notice, Panel, useNow } from '../components/ui';
import { duration } from '../lib/format';
import { say } from '../words';
import css from './invite.module.css';
import { joinCommand, joined, ROLES, type Role } from './join';

/** What was invited, and which nodes there were before. */
interface Invitation {
  token: string;
  master: string;
  expires_at: string;
  before: ReadonlySet<string>;
}

/** Kept while the reader looks at other pages, until it is put away. */
const open = new Cell<Invitation | 'asking' | Error | undefined>(undefined);

export async function invite(nodes: readonly NodeSummary[]): Promise<void> {
  open.put('asking');
  try {
    const made = await api.invite();
    open.put({ ...made, before: new Set(nodes.map(({ id }) => id)) });
  } catch (error) {
    open.put(error instanceof Error ? error : new Error(String(error)));
  }
}

export function useInviting(): boolean {
  return useSyncExternalStore(open.subscribe, open.get) !== undefined;
}

export default function Invite({ nodes }: { nodes: readonly NodeSummary[] }) {
  const state = useSyncExternalStore(open.subscribe, open.get);
  const heading = useRef<HTMLDivElement>(null);
  const [role, setRole] = useState<Role>('agent');
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  if (!state) return null;
  const close = <Close label={say('invite.close')} onClick={() => open.put(undefined)} />;
  return (
    <Panel title={say('invite.title')} aside={close}>
      <div ref={heading} tabIndex={-1} className={css.body} role="group" aria-label={say('invite.title')}>
        {state === 'asking' ? (
          <p role="status">{say('invite.asking')}</p>
        ) : state instanceof Error ? (
          <Notice tone="bad" action={<Button onClick={() => void invite(nodes)}>{say('failure.again')}</Button>}>
            {state.message}
          </Notice>
        ) : (
          <>
            <p>{say('invite.about')}</p>
            <fieldset className={css.roles}>
              <legend>{say('invite.role')}</legend>
              {ROLES.map((one) => (
                <label key={one}>
                  <input type="radio" name="role" checked={role === one} onChange={() => setRole(one)} /> {say(`invite.role.${one}`)}
                </label>
              ))}
            </fieldset>
            <Command text={joinCommand(state, role)} />
            <Waiting invitation={state} nodes={nodes} />
          </>
        )}
      </div>
    </Panel>
  );
}

function Waiting({ invitation, nodes }: { invitation: Invitation; nodes: readonly NodeSummary[] }) {
  const now = useNow();
  const node = joined(nodes, invitation.before);
  const left = Date.parse(invitation.expires_at) - now;
  const state = node ? 'here' : left > 0 ? 'waiting' : 'over';
  return (
    <div className={`${css.row} ${css[state]}`} role="status" data-invited={state}>
      {node ? (
        <>
          <Mark look={{ tone: 'good', shape: 'check', word: '' }} size={16} />
          <span>
            <strong>
              <Link href={`/nodes/${node.id}`}>{node.host}</Link>
            </strong>{' '}
            {say('invite.here')}
          </span>
          <Button onClick={() => void invite(nodes)}>{say('invite.another')}</Button>
        </>
      ) : state === 'waiting' ? (
        <>
          <Mark look={{ tone: 'moving', shape: 'ring', word: '' }} size={16} />
          <span>{say('invite.waiting')}</span>
          {/* Told once by the row; the time alone is not read out each minute. */}
          <span className="muted" aria-hidden>
            {say('invite.left', { age: duration(left) })}
          </span>
        </>
      ) : (
        <>
          <Mark look={{ tone: 'attention', shape: 'hourglass', word: '' }} size={16} />
          <span>{say('invite.over')}</span>
          <Button onClick={() => void invite(nodes)}>{say('invite.another')}</Button>
        </>
      )}
    </div>
  );
}
