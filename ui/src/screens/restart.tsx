// Replacing all instances of a service: how many at a time, and how long the last change took.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, calls, curlOf } from '../api/client';
import { useApp } from '../api/hooks';
import type { AppSummary } from '../api/types';
import { Check, TextField } from '../components/field';
import { commandOf, took } from '../lib/format';
import { type Pace, paceOf, type Strategy, strategyOf } from '../lib/pace';
import { say } from '../words';
import { Change } from './actions';

export default function Restart({ app, onClose }: { app: AppSummary; onClose: () => void }) {
  const n = app.instances.wanted;
  const { data } = useApp(app.id);
  const versions = useQuery({ queryKey: ['versions', app.id], queryFn: ({ signal }) => api.versions(app.id, signal) });
  const last = versions.data?.versions.find(({ took_ms, outcome }) => outcome === 'live' && took_ms !== undefined);
  // A pod's pace stands in its definition, which is changed from a file.
  const isPod = app.kind === 'pod';
  const now = data && !isPod ? paceOf(n, (data.spec.upgradeStrategy ?? {}) as Partial<Strategy>) : undefined;
  const [wanted, setWanted] = useState<Partial<{ text: string; newFirst: boolean }>>({});
  const text = wanted.text ?? `${now?.atOnce ?? n}`;
  const valid = /^[1-9]\d{0,5}$/.test(text) && Number(text) <= n;
  const pace: Pace = { atOnce: Number(text), newFirst: wanted.newFirst ?? now?.newFirst ?? true };
  const isOther = now !== undefined && valid && (pace.atOnce !== now.atOnce || pace.newFirst !== now.newFirst);
  const patch = { upgradeStrategy: strategyOf(n, pace) };
  return (
    <Change
      title={say('ask.restartTitle', { id: app.id })}
      verb={say('ask.restart')}
      disabled={!valid}
      command={isOther ? curlOf(calls.change(app.id, patch)) : commandOf(app, 'restart')}
      call={isOther ? undefined : calls.restart(app)}
      done={say('ask.restarting', { id: app.id })}
      // Another pace is a change of the service, which replaces its instances by itself.
      change={(force) => (isOther ? api.change(app.id, patch, force) : api.restart(app, force))}
      onClose={onClose}
    >
      <p>
        {say('ask.restartAbout', { n })} {last?.took_ms !== undefined && say('ask.lastTook', { time: took(last.took_ms) })}
      </p>
      {n > 1 && !isPod && (
        <>
          <TextField
            label={say('ask.atOnce')}
            type="number"
            min={1}
            max={n}
            step={1}
            disabled={now === undefined}
            value={text}
            onChange={(event) => setWanted({ ...wanted, text: event.target.value })}
            error={valid ? undefined : say('ask.atOnceWrong', { n })}
            hint={isOther ? say('ask.paceStays') : say('ask.paceIs')}
          />
          <Check
            label={say('ask.newFirst', { n: valid ? pace.atOnce : 1 })}
            checked={pace.newFirst}
            onChange={(newFirst) => setWanted({ ...wanted, newFirst })}
          />
        </>
      )}
    </Change>
  );
}
