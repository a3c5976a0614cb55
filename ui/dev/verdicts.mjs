// TEST ONLY. What the made-up cluster says of its things, in the shape of the server's verdicts.
const TONES = {
  bad: ['engine_down', 'unreachable', 'unhealthy', 'crash_looping', 'cannot_start', 'failed', 'lost'],
  attention: ['stuck', 'delayed', 'waiting', 'degraded'],
  moving: ['deleting', 'stopping', 'draining', 'deploying', 'starting'],
  good: ['active', 'running'],
};
const toneOf = (state) => Object.keys(TONES).find((tone) => TONES[tone].includes(state)) ?? 'neutral';
const n = (count, what) => `${count} ${what}${count === 1 ? '' : 's'}`;

export function verdict(state, sentence, rest = {}) {
  return { state, tone: toneOf(state), sentence, ...rest };
}

export const isTrouble = ({ verdict: { tone } }) => tone === 'bad' || tone === 'attention';

export function ofApp({ id, condition, instances, waiting }) {
  const { running, wanted, unhealthy } = instances;
  const next = `read its output: tepui log ${id}`;
  if (condition === 'delayed') {
    return verdict(condition, 'it ended 4 times in a row; the next start is held back', { since: waiting.since, cause: 'exit code 1: cannot bind 0.0.0.0:25, permission denied', next });
  }
  if (condition === 'waiting') return verdict(condition, waiting.reason, { since: waiting.since, next: `tepui why ${id} --nodes lists what every node lacks` });
  if (condition === 'unhealthy') return verdict(condition, `${unhealthy} of ${running} instances fail their health check`, { since: new Date(Date.now() - 90_000).toISOString(), cause: 'HTTP check /health on port 8080: 503 from /health', next });
  if (condition === 'deploying') return verdict(condition, `${running} of ${wanted} instances are up`);
  if (condition === 'degraded') return verdict(condition, `${running} of ${wanted} instances run`, { cause: 'an instance gets a place now' });
  if (condition === 'stopped') return verdict(condition, 'no instance is wanted', { next: `tepui app scale ${id} ${instances.resume_to ?? 'N'} starts it` });
  return verdict('running', wanted === 1 ? 'its one instance runs' : `all ${wanted} instances run`);
}

export function ofTask(task) {
  const since = task.since;
  if (task.ended) return verdict('stopped', 'was stopped', { since });
  if (task.healthy === false) return verdict('unhealthy', 'fails its health check', { since, cause: task.health[0]?.last_failure_cause });
  if (task.condition === 'running') return task.pending ? verdict('starting', 'is up, a check is open', { since, cause: task.pending }) : verdict('running', task.healthy ? 'is up and healthy' : 'is up', { since });
  return verdict('starting', task.condition === 'staging' ? 'is made ready' : 'starts', { since });
}

export function ofNode({ host, condition, engine_away, instances }) {
  if (engine_away) return verdict('engine_down', 'cannot run containers: its container engine does not answer', { ...engine_away, next: `on ${host}, see why the container engine does not run: systemctl status docker` });
  if (condition === 'draining') return verdict(condition, `moves its work elsewhere, ${n(instances, 'instance')} left`, { next: `tepui node undrain ${host} takes work again at once` });
  return verdict(condition, 'takes work');
}

export function ofDeployment(row, appVerdict) {
  const [action] = row.actions;
  const sentence = action ? `scales ${action.app_id}, ${action.done} of ${action.of} done` : 'begins';
  if (!appVerdict || !isTrouble({ verdict: appVerdict })) return verdict('deploying', sentence, { since: row.started_at });
  const { state, since, next } = appVerdict;
  return verdict(state, sentence, { since, next, cause: appVerdict.cause ? `${appVerdict.sentence}: ${appVerdict.cause}` : appVerdict.sentence });
}

const WORDS = { unhealthy: 'fail their health check', waiting: 'have no place to run', delayed: 'ended and are held back', degraded: 'run with less than is wanted' };
const ONE = { unhealthy: 'fails its health check', waiting: 'has no place to run', delayed: 'ended and is held back', degraded: 'runs with less than is wanted' };

/** The headline of rows of apps and nodes. */
export function headline(apps, nodes, deployments) {
  const parts = [];
  const dead = nodes.filter((node) => node.engine_away);
  if (dead.length > 0) parts.push(['engine_down', dead.length === 1 ? `node ${dead[0].host} cannot run containers` : `${dead.length} nodes cannot run containers`]);
  for (const state of ['unhealthy', 'delayed', 'waiting', 'degraded']) {
    const these = apps.filter((app) => app.verdict.state === state);
    if (these.length > 0) parts.push([state, these.length === 1 ? `${these[0].id} ${ONE[state]}` : `${these.length} services ${WORDS[state]}`]);
  }
  if (parts.length > 0) {
    const more = parts.length - 2;
    return verdict(parts[0][0], parts.slice(0, 2).map(([, text]) => text).join(', ') + (more > 0 ? `, and ${n(more, 'more trouble')}` : ''));
  }
  if (deployments > 0) return verdict('deploying', `nothing is wrong: ${n(deployments, 'deployment')} under way`);
  return apps.length === 0 ? verdict('active', 'the cluster is ready') : verdict('running', 'everything runs as wanted');
}
