// TEST ONLY. Volumes of the made-up cluster, and what its services reserve in vain.
const KEPT = { state: 'in_use', launches: 3, used_bytes: 700_000_000, goes_with_app: true };

/** A volume of each kind for services that would have one. */
function made(app) {
  const persistent = (app.volumes ?? []).map(({ path, size_mb }) => ({ kind: 'persistent', path, size_mb, ...KEPT }));
  if (/redis|ledger/.test(app.id)) persistent.push({ kind: 'persistent', path: 'data', size_mb: 4096, ...KEPT });
  if (/grafana/.test(app.id)) return [{ kind: 'host', path: '/etc/grafana', source: '/srv/grafana/etc', read_only: true }, { kind: 'external', path: '/var/lib/grafana', source: 'grafana-data', driver: 'dvdi', size_mb: 10_240 }];
  return persistent;
}

export function volumes(world) {
  const hostOf = (id) => world.nodes.get(id)?.host;
  return [...world.apps.values()].flatMap((app) =>
    app.tasks.filter((task) => !task.ended).flatMap((task) =>
      made(app).map((volume) => ({ app_id: app.id, instance_id: task.id, read_only: false, goes_with_app: false, ...(volume.state && { id: `${app.id.slice(1).replaceAll('/', '_')}#${volume.path}#${task.id.slice(-36)}` }), ...volume, node_id: task.node_id, host: hostOf(task.node_id) }))));
}

const up = (n, unit) => Math.round((Math.ceil(n / unit - 1e-6) * unit) * 1000) / 1000;

function row(app) {
  const { cpus, mem, instances } = app.spec;
  const seed = [...app.id].reduce((sum, sign) => sum + sign.charCodeAt(0), 0);
  const base = { app_id: app.id, instances, measured_s: seed % 7 === 0 ? 7_200 : 86_400, cpus: { reserved: cpus }, mem_mb: { reserved: mem }, wasted: { cpus: 0, mem_mb: 0 } };
  if (instances === 0) return { ...base, held: 'stopped' };
  Object.assign(base.cpus, { used_most: Math.round(cpus * (0.05 + (seed % 10) / 24) * 1000) / 1000 });
  Object.assign(base.mem_mb, { used_most: Math.round(mem * (0.1 + (seed % 9) / 13)) });
  if (base.measured_s < 43_200) return { ...base, held: 'history' };
  if (/redis|ledger|data$/.test(app.id)) return { ...base, held: 'volumes' };
  const would = { cpus: up(Math.max(0.01, base.cpus.used_most * 1.5), 0.01), mem: up(Math.max(16, base.mem_mb.used_most * 1.25), 16) };
  if (would.cpus <= cpus * 0.8) { base.cpus.suggested = would.cpus; base.wasted.cpus = up((cpus - would.cpus) * instances, 0.001); }
  if (would.mem <= mem * 0.8) { base.mem_mb.suggested = would.mem; base.wasted.mem_mb = (mem - would.mem) * instances; }
  return base;
}

export function efficiency(world) {
  const total = { cpus: 0, mem_mb: 0 };
  for (const node of world.nodes.values()) { total.cpus += node.total.cpus; total.mem_mb += node.total.mem_mb; }
  const waste = ({ wasted }) => wasted.cpus / total.cpus + wasted.mem_mb / total.mem_mb;
  const services = [...world.apps.values()].map(row).sort((a, b) => waste(b) - waste(a) || (a.app_id < b.app_id ? -1 : 1));
  return { total, services, revision: world.revision };
}

const master = (id, more) => ({ id, release: '0.2.0', level: 6, router: `10.0.0.${id}:443`, peers: `10.0.0.${id}:5070`, part: 'decides', behind: 0, stands_by: false, ...more });

/** Three that decide, and one that has just joined. */
export function masters({ revision }) {
  const all = [master(1), master(2, { part: 'leads' }), master(3, { release: '0.1.0', level: 5, behind: 12 }), master(4, { part: 'outside', behind: 120_400 })];
  return { masters: all, term: 7, stale: false, revision };
}

/** What the leading master does: one part has nothing to do, one waits, one was refused something. */
export function reconcilers(world) {
  const part = (name, looks_at, more) => ({ name, runs: 9_000, last_run_at: new Date(Date.now() - 800).toISOString(), last_run_ms: 0.8, proposed: 0, looks_at, waits: [], waits_total: 0, ...more });
  const waits = [...world.apps.values()].filter((app) => app.stuck).map((app) => ({ about: `app ${app.id}`, because: 'none of 6 nodes fits: 6 have too little memory' }));
  return {
    reconcilers: [
      part('deploy', `${world.deployments.size} deployments; outside of them 0 apps with more or fewer instances than wanted`),
      part('liveness', `${world.nodes.size} nodes, 0 of them lost, 0 draining; 0 tasks on the way to running`, { refused: 'node n6 is unknown' }),
      part('place', `${waits.length} apps without a place`, { waits, waits_total: waits.length }),
    ],
  };
}

export const level = () => ({ level: 5, known: 6, held_back_by: ['master 3 (tepui 0.1.0)'], masters: [] });

const person = (uid, description) => ({ uid, description, is_service: false, is_remote: false });

export const users = (type) => (type === 'service' ? [{ ...person('ci', 'Builds and deploys'), is_service: true }] : [person('admin', 'first superuser'), person('ann', 'Ann of the shop')]);
