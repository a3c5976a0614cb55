// What can be done to a service: each action asks, shows the same as a command, and reports back.
import { Copy, CopyPlus, ExternalLink, Pause, Pencil, Play, RotateCw, Scaling, Timer, Trash2 } from 'lucide-react';
import { type FormEvent, lazy, type ReactNode, Suspense, useState } from 'react';
import { navigate } from 'wouter/use-browser-location';
import { here } from '../api/base';
import { ApiError, api, type Call, calls, curlOf } from '../api/client';
import { useApp, useRows } from '../api/hooks';
import type { AppSummary, NodeSummary } from '../api/types';
import { Dialog } from '../components/dialog';
import { Check, TextField } from '../components/field';
import type { MenuItem } from '../components/menu';
import { Wrong } from '../components/said';
import { type Action, toast, toastFailure } from '../components/toast';
import { Button, Command, copyText, Notice } from '../components/ui';
import { commandOf, cpus, editHref, mebibytes } from '../lib/format';
import { say } from '../words';

const Restart = lazy(() => import('./restart'));

export type Ask = 'scale' | 'resume' | 'restart' | 'suspend' | 'delete';

/** Items for the menu of one service. */
export function appMenu(app: AppSummary, ask: (what: Ask) => void): MenuItem[][] {
  const idle = app.instances.wanted === 0;
  // The editor knows apps.
  const isPod = app.kind === 'pod';
  const open: MenuItem[] = app.service_url
    ? [
        {
          text: say('ask.open'),
          icon: <ExternalLink size={15} />,
          onSelect: () => window.open(here(app.service_url ?? ''), '_blank', 'noopener'),
        },
      ]
    : [];
  const delayed: MenuItem[] =
    app.condition === 'delayed'
      ? [
          {
            text: say('ask.launch'),
            icon: <Timer size={15} />,
            onSelect: () => void run(say('ask.launched', { id: app.id }), () => api.retryNow(app.id)),
          },
        ]
      : [];
  return [
    [...open, ...delayed],
    [
      ...(isPod ? [] : [{ text: say('ask.edit'), icon: <Pencil size={15} />, keys: 'e', onSelect: () => goTo(editHref(app.id)) }]),
      { text: say('ask.scale…'), icon: <Scaling size={15} />, keys: 's', onSelect: () => ask('scale') },
      {
        text: say('ask.restart…'),
        icon: <RotateCw size={15} />,
        keys: 'r',
        disabled: idle,
        onSelect: () => ask('restart'),
      },
      idle
        ? { text: say('ask.resume…'), icon: <Play size={15} />, onSelect: () => ask('resume') }
        : { text: say('ask.suspend…'), icon: <Pause size={15} />, onSelect: () => ask('suspend') },
    ],
    [
      ...(isPod
        ? []
        : [
            {
              text: say('ask.copyOf'),
              icon: <CopyPlus size={15} />,
              onSelect: () => goTo(`/services/create?${new URLSearchParams({ copy: app.id })}`),
            },
          ]),
      {
        text: say('ask.copyId'),
        icon: <Copy size={15} />,
        onSelect: () => void run(say('ask.copied', { id: app.id }), () => copyText(app.id)),
      },
    ],
    [{ text: say('ask.delete…'), icon: <Trash2 size={15} />, danger: true, keys: 'd', onSelect: () => ask('delete') }],
  ];
}

/** To a page of ours, below the path under which the page lives. */
function goTo(path: string): void {
  navigate(`${new URL(document.baseURI).pathname.replace(/\/$/, '')}/ui${path}`);
}

/** Runs a change without a question; says how it went. */
async function run(done: string, change: () => Promise<unknown>): Promise<void> {
  try {
    await change();
    toast(done);
  } catch (error) {
    toastFailure(error);
  }
}

export function AskDialog({
  what,
  app,
  to,
  onClose,
  onDeleted,
}: {
  what: Ask;
  app: AppSummary;
  /** How many instances were asked for already. */
  to?: number | undefined;
  onClose: () => void;
  onDeleted?: () => void;
}) {
  if (what === 'scale') return <Scale app={app} to={to} onClose={onClose} />;
  if (what === 'resume') return <Scale app={app} resume onClose={onClose} />;
  if (what === 'delete') return <Delete app={app} onClose={onClose} onDeleted={onDeleted} />;
  if (what === 'restart') {
    return (
      <Suspense>
        <Restart app={app} onClose={onClose} />
      </Suspense>
    );
  }
  return (
    <Change
      title={say('ask.suspendTitle', { id: app.id })}
      verb={say('ask.suspend')}
      command={commandOf(app, 'scale', 0)}
      call={calls.scale(app, 0)}
      done={say('ask.suspending', { id: app.id })}
      change={(force) => api.scale(app, 0, force)}
      onClose={onClose}
    >
      <p>
        {say('ask.suspendAbout', { n: app.instances.running, wanted: app.instances.wanted })}
      </p>
    </Change>
  );
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
  const volumes = detail.data?.volumes ?? [];
  const hosts = [...new Set(volumes.flatMap((volume) => volume.hosts))];
  const dependants = detail.data?.dependants ?? [];
  return (
    <Change
      title={say('ask.deleteTitle', { id: app.id })}
      verb={say('ask.delete')}
      danger
      // Until the definition is here nobody knows whether there is data.
      disabled={detail.isPending}
      typed={volumes.length > 0 ? app.id : undefined}
      command={commandOf(app, 'remove')}
      call={calls.remove(app)}
      done={say('ask.deleted', { id: app.id })}
      change={async (force) => {
        await api.remove(app, force);
        onDeleted?.();
      }}
      onClose={onClose}
    >
      <p>
        {say('ask.deleteAbout', { n: app.instances.running })}
      </p>
      {dependants.length > 0 && (
        <Notice tone="attention">
          <div>
            <strong>{say('ask.dependants')}</strong> {dependants.join(', ')}
          </div>
        </Notice>
      )}
      {volumes.length > 0 && (
        <Notice tone="bad">
          <div>
            <strong>{say('ask.data')}</strong>{' '}
            {volumes.map((volume) => say('ask.volume', { path: volume.path, size: mebibytes(volume.size_mb) })).join(', ')}
            {hosts.length > 0 && ` ${say('ask.volumesOn', { hosts: hosts.join(', ') })}`}. {say('ask.dataGone')}
          </div>
        </Notice>
      )}
    </Change>
  );
}

/** A new number of instances; of a suspended service at first the one it had. */
function Scale({
  app,
  resume,
  to,
  onClose,
}: {
  app: AppSummary;
  resume?: boolean;
  to?: number | undefined;
  onClose: () => void;
}) {
  const [text, setText] = useState(String(to ?? (resume ? (app.instances.resume_to ?? 1) : app.instances.wanted)));
  const wanted = Number(text);
  const valid = /^\d{1,6}$/.test(text);
  const more = wanted - app.instances.wanted;
  const room = roomFor(app, useRows('nodes'));
  const before = app.instances.wanted;
  return (
    <Change
      title={resume ? say('ask.resumeTitle', { id: app.id }) : say('ask.scaleTitle', { id: app.id })}
      verb={
        valid
          ? resume
            ? say('ask.resumeTo', { n: text })
            : say('ask.scaleTo', { n: text })
          : resume
            ? say('ask.resume')
            : say('ask.scale')
      }
      disabled={!valid || more === 0}
      command={commandOf(app, 'scale', valid ? wanted : 'N')}
      call={valid ? calls.scale(app, wanted) : undefined}
      done={say('ask.scaling', { id: app.id, n: text })}
      undo={() => api.scale(app, before, true)}
      change={(force) => api.scale(app, wanted, force)}
      onClose={onClose}
    >
      <TextField
        label={say('list.instances')}
        type="number"
        min={0}
        step={1}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onFocus={(event) => event.target.select()}
        data-first
        error={valid ? undefined : say('ask.wholeNumber')}
        hint={
          more > 0
            ? `${say('ask.more', { n: more, cpus: cpus(more * app.cpus), mem: mebibytes(more * app.mem_mb) })} ${
                more > room ? say('ask.room', { n: room }) : ''
              }`
            : more < 0
              ? say('ask.fewer', { n: -more })
              : say('ask.now', { n: before })
        }
      />
    </Change>
  );
}

/** How many more would find a place by their size alone; constraints and ports may allow fewer. */
export function roomFor(app: AppSummary, nodes: readonly NodeSummary[]): number {
  const kinds = ['cpus', 'mem_mb', 'disk_mb', 'gpus'] as const;
  return nodes
    .filter((node) => node.condition === 'active')
    .reduce((sum, { total, allocated }) => {
      const fits = kinds.filter((kind) => app[kind] > 0).map((kind) => (total[kind] - allocated[kind]) / app[kind]);
      return sum + Math.max(0, Math.floor(Math.min(...fits, Number.MAX_SAFE_INTEGER)));
    }, 0);
}

/** Scales at once, and offers to take it back; `locked` when a deployment holds the service. */
export async function scaleTo(app: AppSummary, n: number, locked: () => void): Promise<void> {
  const before = app.instances.wanted;
  try {
    await api.scale(app, n);
    toast(say('ask.scaling', { id: app.id, n }), false, undoing(() => api.scale(app, before, true)));
  } catch (error) {
    if (error instanceof ApiError && error.locked) locked();
    else toastFailure(error);
  }
}

/** The button that takes a change back. */
function undoing(undo: () => Promise<unknown>): Action {
  return { text: say('ask.undo'), run: () => void run(say('ask.undone'), undo) };
}

/** A question, its command, and the one way a locked app can be forced. */
export function Change({
  title,
  verb,
  danger,
  disabled,
  typed,
  command,
  call,
  done,
  change,
  undo,
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
  /** The same as a call of the API. */
  call?: Call | undefined;
  done: string;
  change: (force: boolean) => Promise<unknown>;
  /** What takes the change back again. */
  undo?: () => Promise<unknown>;
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
      toast(done, false, undo && undoing(undo));
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
                {locked ? say('ask.locked') : <Wrong error={error} />}
                {error instanceof ApiError &&
                  error.details.map((detail) => (
                    <div key={detail.path} lang="en">
                      <code>{detail.path}</code> {detail.errors.join(', ')}
                    </div>
                  ))}
              </div>
            </Notice>
          </div>
        )}
        {locked && <Check label={say('ask.force')} checked={force} onChange={setForce} />}
        {typed !== undefined && (
          <TextField
            label={say('ask.type', { name: typed })}
            value={name}
            onChange={(event) => setName(event.target.value)}
            autoComplete="off"
            spellCheck={false}
          />
        )}
        {command && <Command text={command} curl={call && curlOf(call)} />}
        <div style={{ display: 'flex', justifyContent: 'flex-end', flexWrap: 'wrap', gap: 8 }}>
          <Button onClick={onClose} data-first={danger || undefined}>
            {say('dialog.cancel')}
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
