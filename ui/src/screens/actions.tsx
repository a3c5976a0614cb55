// What can be done to a service: each action asks, shows the same as a command, and reports back.
import { Copy, ExternalLink, Pause, Play, RotateCw, Scaling, Timer, Trash2 } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import { ApiError, api } from '../api/client';
import { useApp } from '../api/hooks';
import type { App, AppSummary } from '../api/types';
import { Dialog } from '../components/dialog';
import { Check, TextField } from '../components/field';
import type { MenuItem } from '../components/menu';
import { toast } from '../components/toast';
import { Button, Command, Notice } from '../components/ui';
import { count, cpus, mebibytes } from '../lib/format';

export type Ask = 'scale' | 'resume' | 'restart' | 'suspend' | 'delete';

/** Items for the menu of one service. */
export function appMenu(app: AppSummary, ask: (what: Ask) => void): MenuItem[][] {
  const idle = app.instances.wanted === 0;
  const open: MenuItem[] = app.service_url
    ? [
        {
          text: 'Open',
          icon: <ExternalLink size={15} />,
          onSelect: () => window.open(app.service_url, '_blank', 'noopener'),
        },
      ]
    : [];
  const delayed: MenuItem[] =
    app.condition === 'delayed'
      ? [
          {
            text: 'Launch now',
            icon: <Timer size={15} />,
            onSelect: () => void run(`${app.id}: delay ended`, () => api.retryNow(app.id)),
          },
        ]
      : [];
  return [
    [...open, ...delayed],
    [
      { text: 'Scale…', icon: <Scaling size={15} />, onSelect: () => ask('scale') },
      {
        text: 'Restart…',
        icon: <RotateCw size={15} />,
        disabled: idle,
        onSelect: () => ask('restart'),
      },
      idle
        ? { text: 'Resume…', icon: <Play size={15} />, onSelect: () => ask('resume') }
        : { text: 'Suspend…', icon: <Pause size={15} />, onSelect: () => ask('suspend') },
    ],
    [
      {
        text: 'Copy id',
        icon: <Copy size={15} />,
        onSelect: () => void navigator.clipboard?.writeText(app.id),
      },
    ],
    [{ text: 'Delete…', icon: <Trash2 size={15} />, danger: true, onSelect: () => ask('delete') }],
  ];
}

/** Runs a change without a question; says how it went. */
async function run(done: string, change: () => Promise<unknown>): Promise<void> {
  try {
    await change();
    toast(done);
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error), true);
  }
}

export function AskDialog({
  what,
  app,
  onClose,
  onDeleted,
}: {
  what: Ask;
  app: AppSummary;
  onClose: () => void;
  onDeleted?: () => void;
}) {
  if (what === 'scale') return <Scale app={app} onClose={onClose} />;
  if (what === 'resume') return <Scale app={app} resume onClose={onClose} />;
  if (what === 'delete') return <Delete app={app} onClose={onClose} onDeleted={onDeleted} />;
  if (what === 'restart') {
    return (
      <Change
        title={`Restart ${app.id}?`}
        verb="Restart"
        command={`tepui app restart ${app.id}`}
        done={`${app.id}: restarting`}
        change={(force) => api.restart(app.id, force)}
        onClose={onClose}
      >
        <p>
          {count(app.instances.wanted, 'instance')} will be replaced, as many at a time as the upgrade
          strategy allows.
        </p>
      </Change>
    );
  }
  return (
    <Change
      title={`Suspend ${app.id}?`}
      verb="Suspend"
      command={`tepui app scale ${app.id} 0`}
      done={`${app.id}: suspending`}
      change={(force) => api.change(app.id, { instances: 0 }, force)}
      onClose={onClose}
    >
      <p>
        {count(app.instances.running, 'running instance')} will be stopped. The definition stays, and
        so does the number: to resume asks for {app.instances.wanted} again.
      </p>
    </Change>
  );
}

interface Persistent {
  path: string;
  size_mb: number;
}

/** What a service keeps on its nodes' disks. */
function persistent(spec: App['spec'] | undefined): Persistent[] {
  const container = spec?.container as { volumes?: Record<string, unknown>[] } | undefined;
  return (container?.volumes ?? []).flatMap((volume) => {
    const kept = volume.persistent as { size?: number } | undefined;
    return kept ? [{ path: String(volume.containerPath), size_mb: kept.size ?? 0 }] : [];
  });
}

/** With data at stake the name is typed. */
function Delete({
  app,
  onClose,
  onDeleted,
}: {
  app: AppSummary;
  onClose: () => void;
  onDeleted?: (() => void) | undefined;
}) {
  const detail = useApp(app.id);
  const volumes = persistent(detail.data?.spec);
  return (
    <Change
      title={`Delete ${app.id}?`}
      verb="Delete"
      danger
      // Until the definition is here nobody knows whether there is data.
      disabled={detail.isPending}
      typed={volumes.length > 0 ? app.id : undefined}
      command={`tepui app remove ${app.id}`}
      done={`${app.id}: deleted`}
      change={async (force) => {
        await api.remove(app.id, force);
        onDeleted?.();
      }}
      onClose={onClose}
    >
      <p>
        {count(app.instances.running, 'running instance')} will be stopped and the definition removed
        with its versions. This cannot be undone.
      </p>
      {volumes.length > 0 && (
        <Notice tone="bad">
          <div>
            <strong>Its persistent data goes with it:</strong>{' '}
            {volumes.map((volume) => `${volume.path} (${mebibytes(volume.size_mb)} each)`).join(', ')}. A
            service of the same name will not find it again.
          </div>
        </Notice>
      )}
    </Change>
  );
}

/** A new number of instances; of a suspended service at first the one it had. */
function Scale({ app, resume, onClose }: { app: AppSummary; resume?: boolean; onClose: () => void }) {
  const [text, setText] = useState(String(resume ? (app.instances.resume_to ?? 1) : app.instances.wanted));
  const wanted = Number(text);
  const valid = /^\d{1,6}$/.test(text);
  const more = wanted - app.instances.wanted;
  return (
    <Change
      title={`${resume ? 'Resume' : 'Scale'} ${app.id}`}
      verb={valid ? `${resume ? 'Resume with' : 'Scale to'} ${wanted}` : resume ? 'Resume' : 'Scale'}
      disabled={!valid || more === 0}
      command={`tepui app scale ${app.id} ${valid ? wanted : 'N'}`}
      done={`${app.id}: scaling to ${text}`}
      change={(force) => api.change(app.id, { instances: wanted }, force)}
      onClose={onClose}
    >
      <TextField
        label="Instances"
        type="number"
        min={0}
        step={1}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onFocus={(event) => event.target.select()}
        data-first
        error={valid ? undefined : 'A whole number, 0 or more.'}
        hint={
          more > 0
            ? `${count(more, 'more instance')}: ${cpus(more * app.cpus)} cpus and ${mebibytes(more * app.mem_mb)} in all.`
            : more < 0
              ? `${count(-more, 'instance')} will be stopped.`
              : `Now ${app.instances.wanted}.`
        }
      />
    </Change>
  );
}

/** A question, its command, and the one way a locked app can be forced. */
export function Change({
  title,
  verb,
  danger,
  disabled,
  typed,
  command,
  done,
  change,
  onClose,
  children,
}: {
  title: string;
  verb: string;
  /** Something is lost: red, and the focus is on Cancel. */
  danger?: boolean;
  disabled?: boolean;
  /** A name that must be typed first. */
  typed?: string | undefined;
  command?: string;
  done: string;
  change: (force: boolean) => Promise<unknown>;
  onClose: () => void;
  children: ReactNode;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | Error>();
  const [force, setForce] = useState(false);
  const [name, setName] = useState('');
  const locked = error instanceof ApiError && error.locked;
  const off = (disabled ?? false) || (locked && !force) || (typed !== undefined && name.trim() !== typed);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (off || busy) return;
    setBusy(true);
    try {
      await change(force);
      toast(done);
      onClose();
    } catch (cause) {
      setBusy(false);
      setError(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };

  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit} style={{ display: 'contents' }}>
        {children}
        {error && (
          <div role="alert">
            <Notice tone={locked ? 'attention' : 'bad'}>
              <div>
                {locked ? 'A deployment is working on this service.' : error.message}
                {error instanceof ApiError &&
                  error.details.map((detail) => (
                    <div key={detail.path}>
                      <code>{detail.path}</code> {detail.errors.join(', ')}
                    </div>
                  ))}
              </div>
            </Notice>
          </div>
        )}
        {locked && <Check label="Cancel that deployment and do this instead" checked={force} onChange={setForce} />}
        {typed !== undefined && (
          <TextField
            label={`Type ${typed} to confirm`}
            value={name}
            onChange={(event) => setName(event.target.value)}
            autoComplete="off"
            spellCheck={false}
          />
        )}
        {command && <Command text={command} />}
        <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8 }}>
          <Button onClick={onClose} data-first={danger || undefined}>
            Cancel
          </Button>
          <Button
            kind={danger ? 'danger' : 'primary'}
            type="submit"
            busy={busy}
            disabled={off}
          >
            {verb}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
