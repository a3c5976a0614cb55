// Many changes one after the other, a few at a time, each with its own outcome.

export type Outcome = { kind: 'waiting' } | { kind: 'running' } | { kind: 'done' } | { kind: 'failed'; error: Error };

export interface Step {
  id: string;
  /** As it is shown, when not by its id. */
  name?: string;
  run: (force: boolean) => Promise<unknown>;
}

/** So many requests are under way at once: the server works on one log. */
const AT_ONCE = 4;

/** Runs the steps and tells of each change of an outcome; resolves when all have ended. */
export async function batch(
  steps: readonly Step[],
  force: boolean,
  tell: (id: string, outcome: Outcome) => void,
): Promise<void> {
  const left = [...steps];
  for (const { id } of left) tell(id, { kind: 'waiting' });
  const worker = async () => {
    for (let step = left.shift(); step; step = left.shift()) {
      tell(step.id, { kind: 'running' });
      try {
        await step.run(force);
        tell(step.id, { kind: 'done' });
      } catch (cause) {
        tell(step.id, { kind: 'failed', error: cause instanceof Error ? cause : new Error(String(cause)) });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
