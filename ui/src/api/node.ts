// One node with what runs there, kept in step by a stream of its own.
import { useEffect, useState } from 'react';
import { ApiError } from './client';
import { followPart } from './part';
import type { Node, NodeDelta, NodeMeasured } from './types';

export interface NodeView {
  node?: Node;
  error?: ApiError;
}

/** What is known after an event; `undefined` when the event says nothing of a node that is known. */
export function after(known: Node | undefined, event: string, data: string): Node | undefined {
  if (event === 'snapshot') return JSON.parse(data) as Node;
  if (!known) return undefined;
  if (event === 'delta') return changed(known, JSON.parse(data) as NodeDelta);
  if (event === 'measured') return measured(known, JSON.parse(data) as NodeMeasured);
  return known;
}

/** Rows that are others replace theirs and keep what was measured of them. */
function changed(known: Node, { revision, tasks, drain }: NodeDelta): Node {
  const { drain: _, ...rest } = known;
  const next: Node = { ...rest, revision, ...(drain && { drain }) };
  if (!tasks) return next;
  const gone = new Set(tasks.removed);
  const news = new Map(tasks.set.map((task) => [task.id, task]));
  const kept = known.tasks.filter((task) => !gone.has(task.id)).map((task) => {
    const fresh = news.get(task.id);
    news.delete(task.id);
    return fresh ? { ...fresh, ...(task.used && { used: task.used }) } : task;
  });
  return { ...next, tasks: [...news.values(), ...kept] };
}

function measured(known: Node, { last_seen_at, used }: NodeMeasured): Node {
  const tasks = Object.keys(used).length === 0 ? known.tasks : known.tasks.map((task) => (used[task.id] ? { ...task, used: used[task.id] } : task));
  return { ...known, tasks, ...(last_seen_at && { last_seen_at }) } as Node;
}

/** The node of this id or host name; read anew for each `round`. */
export function useNode(id: string, round = 0): NodeView {
  const [view, setView] = useState<NodeView & { of: string }>({ of: id });
  useEffect(() => {
    setView((old) => (old.of === id && !old.error ? old : { of: id }));
    const missing = (call: string) => new ApiError(404, 'not_found', `node ${id} does not exist`, call);
    return followPart(
      `node:${id}`,
      (event, data) =>
        setView((old) => {
          if (event === 'gone') return { of: id, error: missing('GET /tepui/v1/events') };
          const node = after(old.of === id ? old.node : undefined, event, data);
          return node ? { of: id, node } : old;
        }),
      (error) => setView({ of: id, error }),
    );
  }, [id, round]);
  return view.of === id ? view : {};
}
