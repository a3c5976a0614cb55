// TEST ONLY. A made-up past of the made-up cluster: records with a crash loop among them, and versions.
const at = (s) => new Date(Date.now() - s * 1000).toISOString();
const ann = { uid: 'ann', way: 'page', peer: '10.0.0.7' };
const bob = { uid: 'bob', way: 'cli', peer: '10.0.0.9' };

function attempt(of, node, n, seconds) {
  const began = at(seconds + 2);
  const instance = `${of.slice(1).replaceAll('/', '_')}.instance-0000c0de-0000-4000-8000-00000000beef`;
  return {
    number: n, instance_id: instance, task_id: `${instance}._app.${n}`, node_id: node.id, host: node.host, version: at(9000),
    placed_at: began, started_at: began, ended_at: at(seconds), ran_ms: 2000, end: 'failed', exit_code: 3,
    exit: "exit 3 = an error of the program's own", bad: true,
    tail: '\u001b[31mERROR\u001b[0m reading configuration\nFATAL: cannot open /etc/importer.yaml',
  };
}

/** Newest first, as the server sends them. */
export function records(world) {
  const [a = '/a', b = '/b'] = [...world.apps.keys()];
  const [node] = [...world.nodes.values()];
  const made = [];
  const add = (seconds, kind, of, text, more = {}) => made.push({ at: at(seconds), kind, of, text, bad: false, ...more });
  for (let n = 48; n > 36; n -= 1) {
    const ended = attempt(b, node, n, 60 + (48 - n) * 40);
    add(60 + (48 - n) * 40, 'attempt', b, `attempt ${n} ended, exit 3, ran 2.0 s: Container exited with status 3`, { bad: true, took_ms: 2000, took: '2.0 s', instance_id: ended.instance_id, attempt: ended });
  }
  add(90, 'deployment', a, 'deployment done', { took_ms: 80_000, took: '1 min 20 s' });
  add(170, 'change', a, 'changed: image 1.4 → 1.5, +1 variable, memory 64 → 128 MiB', { by: ann, version: at(170) });
  add(300, 'change', a, 'change', { by: bob, bad: true, refused: 'a deployment works on it' });
  add(400, 'health', a, 'fails its health check: HTTP 404', { bad: true });
  add(3700, 'kill', a, 'instance ended on request', { by: bob, instance_id: 'x.instance-1' });
  add(7200, 'node', node.id, `${node.host} is being drained`, { by: bob });
  add(7300, 'access', 'eve', 'user set', { by: ann });
  add(90_000, 'cluster', undefined, 'cluster made');
  made.sort((x, y) => y.at.localeCompare(x.at));
  return made.map((record, n) => ({ cursor: `${made.length - n}-1`, ...record }));
}

export function history(world, query) {
  const asked = (name) => query.get(name) || undefined;
  const number = (cursor) => Number(cursor.split('-')[0]) + Number(cursor.split('-')[1]) / 1000;
  const found = records(world).filter((record) =>
    (!asked('of') || record.of === asked('of')) && (!asked('kind') || asked('kind').split(',').includes(record.kind)) &&
    (!asked('who') || record.by?.uid === asked('who')) && (!asked('grep') || JSON.stringify(record).toLowerCase().includes(asked('grep').toLowerCase())) &&
    (!asked('before') || number(record.cursor) < number(asked('before'))) && (!asked('after') || number(record.cursor) > number(asked('after'))));
  return { records: found.slice(0, Number(asked('limit') ?? found.length)), dropped: false, since: at(90_000), revision: world.revision };
}

const versionsOf = new Map();

export function versions(app) {
  if (!versionsOf.has(app.spec.id)) {
    const row = (s, active, summary, by, outcome, outcome_text, took_ms) => ({ version: at(s), active, instances: 3, running: active ? 3 : 0, summary, by, outcome, outcome_text, took_ms });
    versionsOf.set(app.spec.id, [
      row(170, true, 'image 1.4 → 1.5, +1 variable, memory 64 → 128 MiB', ann, 'live', 'went live in 1 min 20 s', 80_000),
      row(4000, false, 'instances 2 → 3', bob, 'live', 'went live in 6.6 s', 6_600),
      row(9000, false, 'health checks changed', bob, 'ended_early', 'deployment ended early: cancelled'),
      row(20_000, false, 'the first version that is kept', undefined, 'unknown', 'the history does not tell'),
    ]);
  }
  return versionsOf.get(app.spec.id);
}

export function diff(from, to) {
  return {
    from, to, summary: 'image 1.5 → 1.4, −1 variable, memory 128 → 64 MiB',
    fields: [
      { path: '/container/docker/image', old: 'registry.example/shop/api:1.5', new: 'registry.example/shop/api:1.4' },
      { path: '/env/FEATURE_X', old: 'on' },
      { path: '/mem', old: '128', new: '64' },
    ],
  };
}

export function rollback(app, wish) {
  const all = versions(app);
  const was = all.find((version) => version.active);
  const told = { ...diff(was.version, wish.to), dry_run: wish.dry_run === true, effect: ['3 instances are replaced, one at a time.', '1 instance fewer: 2 instead of 3.'] };
  if (wish.dry_run) return told;
  for (const version of all) version.active = version.version === wish.to;
  return { ...told, deployment_id: 'd-1', version: new Date().toISOString() };
}
