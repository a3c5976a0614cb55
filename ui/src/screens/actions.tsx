// What can be done to a service: each action asks, shows the same as a command, and reports back.
import { Copy, ExternalLink, Pause, Play, RotateCw, Scaling, Timer, Trash2 } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import { ApiError, api } from '../api/client';
import type { AppSummary } from '../api/types';
import { Dialog } from '../components/dialog';
import { Check, TextField } from '../components/field';
import type { MenuItem } from '../components/menu';
import { toast } from '../components/toast';
import { Button, Command, Notice } from '../components/ui';
import { count } from '../lib/format';

export type Ask = 'scale' | 'restart' | 'suspend' | 'delete';

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
        ? {
            text: 'Resume',
            icon: <Play size={15} />,
            onSelect: () => void run(`${app.id}: resuming`, () => api.change(app.id, { instances: 1 })),
          }
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
  if (what === 'suspend') {
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
          {count(app.instances.running, 'running instance')} will be stopped. The definition stays; resume
          at any time.
        </p>
      </Change>
    );
  }
  return (
    <Change
      title={`Delete ${app.id}?`}
      verb="Delete"
      danger
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
    </Change>
  );
}

function Scale({ app, onClose }: { app: AppSummary; onClose: () => void }) {
  const [text, setText] = useState(String(app.instances.wanted));
  const wanted = Number(text);
  const valid = /^\d{1,6}$/.test(text);
  const more = wanted - app.instances.wanted;
  return (
    <Change
      title={`Scale ${app.id}`}
      verb={valid ? `Scale to ${wanted}` : 'Scale'}
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
        autoFocus
        error={valid ? undefined : 'A whole number, 0 or more.'}
        hint={
          more > 0
            ? `${count(more, 'more instance')}: ${+(more * app.cpus).toFixed(2)} cpus and ${more * app.mem_mb} MiB in all.`
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
  command,
  done,
  change,
  onClose,
  children,
}: {
  title: string;
  verb: string;
  danger?: boolean;
  disabled?: boolean;
  command?: string;
  done: string;
  change: (force: boolean) => Promise<unknown>;
  onClose: () => void;
  children: ReactNode;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | Error>();
  const [force, setForce] = useState(false);
  const locked = error instanceof ApiError && error.locked;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (disabled || busy || (locked && !force)) return;
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
        {command && <Command text={command} />}
        <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8 }}>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind={danger ? 'danger' : 'primary'}
            type="submit"
            busy={busy}
            disabled={(disabled ?? false) || (locked && !force)}
          >
            {verb}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
