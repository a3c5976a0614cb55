// Instances that are selected, and stopping all of them.
import { type ReactNode, useState } from 'react';
import { api } from '../api/client';
import type { Instance } from '../api/types';
import { Check } from '../components/field';
import { useListFilter } from '../components/listfilter';
import type { Select } from '../components/table';
import { Button } from '../components/ui';
import { INSTANCES } from '../lib/filter';
import { shortTask } from '../lib/format';
import { ended } from '../lib/status';
import { say } from '../words';
import { Batch } from './batch';
import css from './services.module.css';

/** Fewer rows need no filter. */
const FILTER_FROM = 9;

/** The rows that the filter line finds, and the line when there are enough of them. */
export function useInstanceFilter(rows: readonly Instance[]): { found: readonly Instance[]; filter: ReactNode } {
  const line = useState('');
  const words = { name: 'instances', label: say('instances.filter'), placeholder: say('instances.filterHint'), none: say('instances.none') };
  return useListFilter(rows, INSTANCES, words, line, rows.length < FILTER_FROM);
}

/** Which of the rows are selected; what has ended cannot be. */
export function useInstances(rows: readonly Instance[]): { select: Select<Instance>; picked: Instance[] } {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const picked = rows.filter((task) => chosen.has(task.id) && !ended(task));
  const select: Select<Instance> = {
    any: picked.length > 0,
    state: (task) => chosen.has(task.id) && !ended(task),
    set: (lines, on) => {
      const next = new Set(chosen);
      for (const task of lines) {
        if (on && !ended(task) && task.task_id) next.add(task.id);
        else next.delete(task.id);
      }
      setChosen(next);
    },
    clear: () => setChosen(new Set()),
    name: shortTask,
  };
  return { select, picked };
}

/** What can be done to the selected ones; nothing while none is. */
export function InstanceBulk({ picked, onClear }: { picked: readonly Instance[]; onClear: () => void }) {
  const [asked, setAsked] = useState<readonly Instance[]>();
  return (
    <>
      {picked.length > 0 && (
        <div className={css.bulk} role="region" aria-label={say('kill.label')}>
          <strong role="status">{say('bulk.selected', { n: picked.length })}</strong>
          <Button kind="danger" onClick={() => setAsked(picked)}>
            {say('kill.stop…')}
          </Button>
          <Button kind="quiet" onClick={onClear}>
            {say('bulk.clear')}
          </Button>
        </div>
      )}
      {asked && (
        <StopAll
          tasks={asked}
          onClose={(done) => {
            setAsked(undefined);
            if (done) onClear();
          }}
        />
      )}
    </>
  );
}

function StopAll({ tasks, onClose }: { tasks: readonly Instance[]; onClose: (done: boolean) => void }) {
  const [scale, setScale] = useState(false);
  const title = say('kill.title', { n: tasks.length });
  const hosts = new Map(tasks.map((task) => [task.id, task.host]));
  return (
    <Batch
      title={title}
      verb={title}
      about={scale ? say('kill.aboutScale') : say('kill.about')}
      danger
      steps={tasks.map((task) => ({ id: task.id, name: shortTask(task), run: () => api.kill(task, scale) }))}
      label={say('kill.steps')}
      done={say('kill.done', { n: tasks.length })}
      note={(id) => <span className="muted">{hosts.get(id)}</span>}
      onClose={onClose}
    >
      <Check label={say('kill.scale')} checked={scale} onChange={setScale} />
    </Batch>
  );
}
