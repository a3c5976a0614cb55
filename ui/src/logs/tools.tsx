// What is looked at: instance, attempt, streams, levels, a time, how lines are shown. Beside each other where
// there is room, in a sheet on a phone.
import { useId, useState } from 'react';
import { Button } from '../components/ui';
import { containerLook, instanceLook } from '../lib/status';
import { useStored } from '../lib/stored';
import { say } from '../words';
import type { Address } from './address';
import { LEVELS, type Level } from './level';
import { attemptOf, type Launched, nameOf, taskParts } from './names';
import { fromField, narrowTimes, TIMES, type Times, times as storedTimes, toField, wraps } from './times';
import css from './tools.module.css';

export type Set = (changes: Record<string, string | boolean | undefined>) => void;

/** Earlier attempts that are offered: as many as a node keeps. */
const ATTEMPTS_MAX = 10;

interface ToolsProps {
  tasks: readonly Launched[];
  /** The instance that is looked at alone. */
  task: Launched | undefined;
  address: Address;
  set: Set;
  narrow: boolean;
}

export function Tools({ tasks, task, address, set, narrow }: ToolsProps) {
  return (
    <>
      <Who tasks={tasks} task={task} address={address} set={set} />
      <Streams stream={address.stream} set={set} />
      <Levels levels={address.levels} set={set} />
      {narrow && <Matches address={address} set={set} />}
      <GoTo at={address.at} narrow={narrow} set={set} />
      <Shown narrow={narrow} />
    </>
  );
}

function Who({ tasks, task, address, set }: Pick<ToolsProps, 'tasks' | 'task' | 'address' | 'set'>) {
  const present = task && (taskParts(task.task_id)?.attempt ?? 1);
  const attempt = address.previous ? 'all' : `${taskParts(address.task)?.attempt ?? present ?? ''}`;
  const away = { at: undefined, line: undefined };
  const attempts = Array.from({ length: Math.min(ATTEMPTS_MAX, (present ?? 1) - 1) }, (_, i) => (present ?? 1) - 1 - i);
  const choose = (value: string) => {
    if (!task) return;
    if (value === 'all') set({ task: task.task_id, previous: true, ...away });
    else set({ task: attemptOf(task.task_id, Number(value)), previous: undefined, ...away });
  };
  return (
    <>
      <select
        aria-label={say('log.instance')}
        className={css.instance}
        value={task?.task_id ?? ''}
        onChange={(event) => set({ task: event.target.value, ...away })}
      >
        <option value="">{say('log.instances')}</option>
        {tasks.map((one) => (
          <option key={one.task_id} value={one.task_id}>
            {say('log.on', {
              name: nameOf(one.task_id, new Set([one.task_id])),
              host: one.host ?? '–',
              state: (one.part ? containerLook(one.part) : instanceLook(one)).word.toLowerCase(),
            })}
          </option>
        ))}
      </select>
      {task && attempts.length > 0 && (
        <select aria-label={say('log.attempt')} value={attempt} onChange={(event) => choose(event.target.value)}>
          <option value={`${present}`}>{say('log.present')}</option>
          <option value="all">{say('log.everyAttempt')}</option>
          {attempts.map((number) => (
            <option key={number} value={`${number}`}>
              {say('log.attemptN', { number: `${number}` })}
            </option>
          ))}
        </select>
      )}
      {!task && <Check text={say('log.earlier')} checked={address.previous} onChange={(on) => set({ previous: on })} />}
    </>
  );
}

function Streams({ stream, set }: { stream: Address['stream']; set: Set }) {
  // One that is taken away leaves the other; both are never away.
  const press = (name: 'stdout' | 'stderr') => set({ file: stream === '' ? (name === 'stdout' ? 'stderr' : 'stdout') : undefined });
  return (
    <div className={css.chips} role="group" aria-label={say('log.streams')}>
      {(['stdout', 'stderr'] as const).map((name) => (
        <button key={name} type="button" aria-pressed={stream !== (name === 'stdout' ? 'stderr' : 'stdout')} onClick={() => press(name)}>
          {name}
        </button>
      ))}
    </div>
  );
}

function Levels({ levels, set }: { levels: readonly Level[]; set: Set }) {
  const press = (level: Level) => {
    const next = levels.includes(level) ? levels.filter((other) => other !== level) : [...levels, level];
    set({ level: next.length === LEVELS.length ? '' : next.join(',') });
  };
  return (
    <div className={css.chips} role="group" aria-label={say('log.levels')} title={say('log.levelHint')}>
      {LEVELS.map((level) => (
        <button key={level} type="button" data-level={level} aria-pressed={levels.includes(level)} onClick={() => press(level)}>
          <span aria-hidden="true" className={css.sign} />
          {say(`log.level.${level}`)}
        </button>
      ))}
    </div>
  );
}

/** What counts as a match of the search. */
function Matches({ address, set }: { address: Address; set: Set }) {
  return (
    <>
      <Check text={say('log.cased')} checked={address.cased} onChange={(on) => set({ case: on })} />
      <Check text={say('log.only')} checked={!address.all} onChange={(on) => set({ all: !on })} />
    </>
  );
}

function Check({ text, checked, onChange }: { text: string; checked: boolean; onChange: (on: boolean) => void }) {
  return (
    <label className={css.check}>
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.target.checked)} />
      {text}
    </label>
  );
}

function GoTo({ at, narrow, set }: { at: number | undefined; narrow: boolean; set: Set }) {
  const id = useId();
  const utc = useStored(narrow ? narrowTimes : storedTimes) === 'utc';
  const [text, setText] = useState('');
  const moment = fromField(text, utc);
  return (
    <form
      className={css.goTo}
      onSubmit={(event) => {
        event.preventDefault();
        if (moment !== undefined) set({ at: new Date(moment).toISOString(), line: undefined });
      }}
    >
      <label htmlFor={id} className={narrow ? undefined : 'visually-hidden'}>
        {say(utc ? 'log.goToUtc' : 'log.goTo')}
      </label>
      <input
        id={id}
        type="datetime-local"
        step={1}
        value={text || (at === undefined ? '' : toField(at, utc))}
        title={say(utc ? 'log.goToUtc' : 'log.goTo')}
        onChange={(event) => setText(event.target.value)}
      />
      <Button type="submit" disabled={moment === undefined}>
        {say('log.go')}
      </Button>
    </form>
  );
}

function Shown({ narrow }: { narrow: boolean }) {
  const stored = narrow ? narrowTimes : storedTimes;
  const times = useStored(stored);
  const wrap = useStored(wraps) === 'wrap';
  return (
    <>
      <select aria-label={say('log.times')} value={times} onChange={(event) => stored.put(event.target.value as Times)}>
        {TIMES.map((name) => (
          <option key={name} value={name}>
            {say(`log.times.${name}`)}
          </option>
        ))}
      </select>
      <Check text={say('log.wrap')} checked={wrap} onChange={(on) => wraps.put(on ? 'wrap' : 'cut')} />
    </>
  );
}
