// TEST ONLY. A small made-up cluster for developing and testing the page without a server: apps,
// nodes and tasks in memory, with enough behaviour that scaling and restarting can be watched.
// Nothing here is part of the product or built into it.
import { randomUUID } from 'node:crypto';
import { written } from './logs.mjs';
import { headline, isTrouble, ofApp, ofDeployment, ofNode, ofTask, verdict } from './verdicts.mjs';

const now = () => new Date().toISOString();
const ago = (s) => new Date(Date.now() - s * 1000).toISOString();

export class World {
  constructor(kind = 'demo') {
    this.revision = 1000;
    this.logRate = 1;
    this.apps = new Map();
    this.nodes = new Map();
    this.deployments = new Map();
    this.listeners = new Set();
    /** Nodes that were told to drain, with the steps of time since. */
    this.drains = new Map();
    this.startedAt = ago(7300);
    this.version = '0.1.0';
    const zones = ['a', 'a', 'b', 'b', 'c', 'c'];
    const n = { big: 120, many: 40, empty: 1, map: 400, tasks: 400 }[kind] ?? 6;
    for (let i = 0; i < n; i++) this.addNode(i, zones[i % 6]);
    if (kind !== 'empty') this.demo();
    if (kind === 'broken') this.broken();
    if (kind === 'pods') this.addPod();
    const load = { big: 1000, many: 3000, map: 2000 }[kind] ?? 0;
    for (let i = 0; i < load; i++) this.addApp({ id: `/load/g${i % 20}/app-${i}`, image: 'busybox:1.36', ...(kind === 'map' ? { cpus: 0.1, mem: 512, instances: 5 } : { cpus: 0.01, mem: 8, instances: 2 }), spread: i * (kind === 'map' ? 5 : 1) });
    // Ten thousand of one service.
    if (kind === 'tasks') this.tasksShown = 20_000;
    if (kind === 'tasks') this.addApp({ id: '/load/ten-thousand', image: 'busybox:1.36', cpus: 0.1, mem: 64, instances: 10_000, spread: 0 });
    // A list so long is for looking at, not for watching.
    if (['many', 'map', 'tasks'].includes(kind)) this.still = true;
  }

  addNode(i, zone) {
    const big = i % 3 === 0;
    const total = { cpus: big ? 16 : 8, mem_mb: big ? 65536 : 16384, disk_mb: 409600, gpus: i === 3 ? 2 : 0 };
    const id = `${randomUUID()}`;
    this.nodes.set(id, {
      id, host: `10.0.${i >> 6}.${11 + (i & 63)}`, address: `10.0.${i >> 6}.${11 + (i & 63)}`,
      roles: i === 0 ? ['master', 'agent'] : i === 5 ? ['public_agent'] : ['agent'],
      condition: i === 4 ? 'draining' : 'active', leader: i === 0,
      region: 'eu-1', zone: `eu-1${zone}`, total, ports: '31000-32000',
      attributes: { rack: `r${1 + (i >> 1)}`, disk: i % 2 ? 'ssd' : 'hdd' },
      version: '0.1.0', level: 5, registered_at: ago(7200), last_seen_at: now(),
    });
  }

  demo() {
    this.addApp({ id: '/demo/web', image: 'tepui-demo/web:1.4.0', cpus: 0.25, mem: 128, instances: 3, health: true, vip: '/web:80', service: 'demo-web', labels: { DCOS_SERVICE_NAME: 'demo-web', tier: 'front' } });
    this.addApp({ id: '/demo/redis', image: 'tepui-demo/redis:7.0', cpus: 0.5, mem: 256, instances: 1, health: true, vip: '/redis:6379', labels: { tier: 'data' } });
    this.addApp({ id: '/demo/ticker', cmd: 'while true; do date; sleep 1; done', cpus: 0.1, mem: 32, instances: 2 });
    this.addApp({ id: '/prod/billing/ledger', image: 'ledger:2026.11', cpus: 4, mem: 49152, instances: 5, health: true, labels: { team: 'billing' }, constraints: [['rack', 'UNIQUE']] });
    this.addApp({ id: '/prod/search/indexer', image: 'indexer:88', cpus: 1, mem: 2048, instances: 2, health: true, unhealthy: 1 });
    this.addApp({ id: '/prod/mail/relay', image: 'relay:3', cpus: 0.2, mem: 64, instances: 1, delayed: true });
    this.addApp({ id: '/staging/old-report', image: 'report:0.9', cpus: 0.5, mem: 512, instances: 0 });
    this.addApp({ id: '/tools/grafana', image: 'grafana:12.1', cpus: 0.5, mem: 512, instances: 1, health: true, service: 'grafana' });
  }

  /** What goes wrong: a dead engine, checks that fail under a deployment, a half-done restart, data at stake. */
  broken() {
    const dead = [...this.nodes.values()][3];
    dead.condition = 'engine_down';
    dead.engine_away = { since: ago(95), cause: 'connect to /var/run/docker.sock: connection refused' };
    const sick = this.addApp({ id: '/shop/payments', image: 'payments:7', cpus: 0.5, mem: 256, instances: 2, health: true, unhealthy: 2 });
    sick.verdict = verdict('unhealthy', '2 of 2 instances fail HTTP /health', { since: ago(4800), cause: '404 from /health', next: 'look at its log, or correct the path of the check' });
    this.deployments.set('d0', { id: 'd0000000-1111-4222-8333-444455556666', version: now(), app_ids: [sick.id], step: 1, steps: 1, started_at: ago(4800), by: { uid: 'bob', way: 'cli' }, actions: [{ app_id: sick.id, action: 'restart', done: 0, of: 2, blocked: '2 of 2 instances fail HTTP /health: 404' }] });
    const rolling = this.addApp({ id: '/shop/rolling', image: 'rolling:2', cpus: 0.5, mem: 256, instances: 2, health: true });
    const fresh = rolling.tasks[0];
    delete fresh.healthy;
    Object.assign(fresh, { health: [], version: now(), pending: 'its HTTP check has no result yet' });
    for (const old of rolling.tasks.slice(1)) old.outdated = true;
    const data = this.addApp({ id: '/shop/data', image: 'postgres:17', cpus: 0.5, mem: 512, instances: 1 });
    data.volumes = [{ path: 'pgdata', size_mb: 2048, hosts: data.tasks.map((t) => t.host) }];
    data.dependants = ['/shop/payments'];
    data.spec.container.volumes = [{ containerPath: 'pgdata', mode: 'RW', persistent: { size: 2048 } }];
    const slept = this.addApp({ id: '/shop/slept', image: 'slept:1', cpus: 0.1, mem: 64, instances: 0 });
    slept.resumeTo = 4;
    const made = this.addApp({ id: '/shop/made', image: 'made:1', cpus: 64, mem: 64, instances: 1 });
    made.version = now();
    this.deployments.set('d1', { id: 'd1111111-1111-4222-8333-444455556666', version: now(), app_ids: [made.id], creates: [made.id], step: 1, steps: 1, started_at: ago(60), actions: [{ app_id: made.id, action: 'scale', done: 0, of: 1 }] });
    this.warnings = [{ code: 'engine_down', node_id: dead.id, message: `node ${dead.host} cannot run containers`, hint: `look at ${dead.host}: systemctl status docker` }];
    this.still = true;
  }

  /** A pod whose second instance has a container that ended and one that fails its check. */
  addPod() {
    const pod = this.addApp({ id: '/shop/pod', image: 'nginx:1.29', cpus: 0.3, mem: 160, instances: 2, health: true, unhealthy: 1 });
    pod.pod = [
      { name: 'web', image: 'nginx:1.29', cpus: 0.1, mem_mb: 64, disk_mb: 0, gpus: 0 },
      { name: 'warm-up', image: 'curlimages/curl:8', cmd: 'curl -s http://localhost/', cpus: 0.05, mem_mb: 32, disk_mb: 0, gpus: 0 },
      { name: 'feed', cmd: 'while true; do ./fetch > out/index.html; sleep 60; done', sidecar: true, cpus: 0.05, mem_mb: 32, disk_mb: 0, gpus: 0 },
    ];
    pod.spec = { id: pod.id, containers: pod.pod.map(({ name }) => ({ name })), cpus: 0.3, mem: 160, instances: 2, labels: {}, constraints: [], scaling: { kind: 'fixed', instances: 2 } };
    for (const task of pod.tasks) {
      const states = [{ condition: 'running', healthy: task.healthy }, { condition: 'finished', exit_code: 0 }, { condition: 'running' }];
      task.containers = pod.pod.map(({ name }, at) => ({ name, task_id: `${task.id}.${name}.1`, since: task.since, ...states[at] }));
      task.task_id = `${task.id}.web.1`;
    }
  }

  addApp(def) {
    const spec = {
      id: def.id, cpus: def.cpus, mem: def.mem, disk: 0, gpus: 0, instances: def.instances,
      ...(def.cmd ? { cmd: def.cmd } : {}),
      ...(def.image ? { container: { type: 'DOCKER', docker: { image: def.image }, portMappings: [{ containerPort: 8080, hostPort: 0, protocol: 'tcp', labels: def.vip ? { VIP_0: def.vip } : {} }] }, networks: [{ mode: 'container/bridge' }] } : {}),
      labels: def.labels ?? {}, env: { LOG_LEVEL: 'info' }, constraints: def.constraints ?? [],
      upgradeStrategy: { minimumHealthCapacity: 1, maximumOverCapacity: 1 },
      ...(def.health ? { healthChecks: [{ protocol: 'HTTP', path: '/health', intervalSeconds: 10 }] } : {}),
    };
    const app = { ...def, spec, tasks: [], version: ago(3600 + this.apps.size * 700), updated: ago(60 + this.apps.size * 400) };
    this.apps.set(def.id, app);
    if (!def.delayed) for (let i = 0; i < def.instances; i++) this.place(app, 'running');
    app.tasks.forEach((t, i) => { if (i < (def.unhealthy ?? 0)) { t.healthy = false; t.message = 'check failed'; t.health = [{ alive: false, protocol: 'HTTP', consecutive_failures: 2, last_failure_at: ago(8), last_failure_cause: '503 from /health' }]; } });
    return app;
  }

  allocated(node) {
    this.sums ??= this.added();
    return this.sums.get(node.id) ?? { sum: { cpus: 0, mem_mb: 0, disk_mb: 0, gpus: 0 }, instances: 0 };
  }

  /** What is promised on each node, by one look at all tasks. */
  added() {
    const all = new Map();
    for (const app of this.apps.values()) for (const t of app.tasks) if (!t.ended) {
      const at = all.get(t.node_id) ?? { sum: { cpus: 0, mem_mb: 0, disk_mb: 0, gpus: 0 }, instances: 0 };
      at.sum.cpus = Math.round((at.sum.cpus + t.cpus) * 1000) / 1000;
      at.sum.mem_mb += t.mem_mb;
      at.instances++;
      all.set(t.node_id, at);
    }
    return all;
  }

  place(app, condition) {
    const { spec } = app;
    const spread = app.spread === undefined ? undefined : [...this.nodes.values()][(app.spread + app.tasks.length) % this.nodes.size];
    const fits = spread ? [{ n: spread }] : [...this.nodes.values()].filter((n) => n.condition === 'active').map((n) => ({ n, a: this.allocated(n) }))
      .filter(({ n, a }) => n.total.cpus - a.sum.cpus >= spec.cpus && n.total.mem_mb - a.sum.mem_mb >= spec.mem)
      .filter(({ n }) => !spec.constraints.length || !app.tasks.some((t) => !t.ended && this.nodes.get(t.node_id)?.attributes.rack === n.attributes.rack))
      .sort((x, y) => x.a.instances - y.a.instances);
    const node = this.apps.size > 40 ? fits[Math.floor(Math.random() * fits.length)]?.n : fits[0]?.n;
    if (!node) return undefined;
    const name = app.id.slice(1).replaceAll('/', '_');
    const uuid = randomUUID();
    const ok = condition === 'running';
    const task = {
      id: `${name}.instance-${uuid}`, task_id: `${name}.instance-${uuid}._app.1`, app_id: app.id, condition,
      since: ok ? ago(600) : now(), launched_at: ok ? ago(606) : now(), started_at: ok ? ago(600) : undefined, version: app.version, node_id: node.id, host: node.host,
      ports: app.image ? [31000 + Math.floor(Math.random() * 999)] : [], ip_addresses: [app.image ? `172.17.0.${2 + Math.floor(Math.random() * 200)}` : node.host],
      health: [], restarts: 0, cpus: spec.cpus, mem_mb: spec.mem, disk_mb: 0, gpus: 0,
      used: { cpus: spec.cpus * 0.3, mem_mb: spec.mem * 0.5 }, log: [], logStart: 0, born: Date.now() - (ok ? 600_000 : 0),
    };
    if (ok && app.health) { task.healthy = true; task.healthy_since = ago(596); task.health = [{ alive: true, protocol: 'HTTP', consecutive_failures: 0, last_success_at: now() }]; }
    app.tasks.push(task);
    if (!spread) this.sums = undefined;
    return task;
  }

  living(app) { return app.tasks.filter((t) => !t.ended); }

  summary(app) {
    const live = this.living(app);
    const running = live.filter((t) => t.condition === 'running');
    const wanted = app.spec.instances;
    const deployments = [...this.deployments.values()].filter((d) => d.app_ids.includes(app.id)).map((d) => d.id);
    const unhealthy = running.filter((t) => t.healthy === false).length;
    const short = wanted - live.length;
    const deploying = deployments.length > 0;
    const waiting = app.delayed && wanted > 0
      ? { reason: 'launch held back for 5 min after 4 failures: exit code 1', since: ago(280), delayed_until: new Date(Date.now() + 260_000).toISOString() }
      : short > 0 && app.stuck ? { reason: this.attempt(app).sentence, since: app.stuckSince } : undefined;
    const condition = app.delayed && wanted > 0 ? 'delayed' : waiting ? 'waiting' : unhealthy ? 'unhealthy' : deploying ? 'deploying' : running.length < wanted ? 'degraded' : wanted === 0 && running.length === 0 ? 'stopped' : 'running';
    const row = {
      id: app.id, ...(app.pod ? { kind: 'pod' } : {}), condition,
      instances: { wanted, ...(wanted === 0 && app.resumeTo ? { resume_to: app.resumeTo } : {}), running: running.length, healthy: running.filter((t) => t.healthy).length, unhealthy, staging: live.length - running.length, starting: running.filter((t) => t.pending).length, stopping: 0 },
      has_health_checks: !!app.health, ...(waiting ? { waiting } : {}), deployments,
      cpus: app.spec.cpus, mem_mb: app.spec.mem, disk_mb: 0, gpus: 0,
      ...(app.image ? { image: app.image } : {}), ...(app.cmd ? { cmd: app.cmd } : {}),
      labels: app.spec.labels, ports: app.image ? [{ name: 'http', protocol: 'tcp', container_port: 8080, host_port: 0, ...(app.vip ? { vip: `${app.vip.slice(1).split(':')[0]}.marathon.l4lb.thisdcos.directory:${app.vip.split(':')[1]}` } : {}) }] : [],
      ...(app.service ? { service_url: `/service/${app.service}/` } : {}), version: app.version, updated_at: app.updated,
    };
    return { ...row, verdict: app.verdict ?? ofApp({ ...row, waiting }) };
  }

  deploymentRow(d) {
    const app = this.apps.get(d.app_ids[0]);
    return { creates: [], ...d, verdict: ofDeployment(d, app && this.summary(app).verdict) };
  }

  deploymentRows() { return [...this.deployments.values()].map((d) => this.deploymentRow(d)); }

  detail(app) {
    const clean = ({ log, logStart, ended, born, goal, ...t }) => ({ ...t, verdict: ofTask({ ...t, ended }) });
    const name = app.id.split('/').filter(Boolean).reverse().join('.');
    return {
      ...this.summary(app), revision: this.revision, spec: { ...app.spec, version: app.version },
      tasks: [...app.tasks].sort((a, b) => (a.ended ? 1 : 0) - (b.ended ? 1 : 0) || b.born - a.born).slice(0, this.tasksShown ?? 60).map(clean),
      dns_names: [`${name}.marathon.mesos`, `${app.id.slice(1).replaceAll('/', '-')}.marathon.mesos`],
      ...(app.delayed ? { last_failure: { task_id: 'prod_mail_relay.instance-0c3f9d1e-1111-2222-3333-444455556666._app.1', condition: 'failed', message: 'exit code 1: cannot bind 0.0.0.0:25, permission denied', host: '10.0.0.12', at: ago(275) } } : {}),
      ...(app.pod ? { containers: app.pod } : {}),
      volumes: app.volumes ?? [], dependants: app.dependants ?? [],
      deployment_progress: this.deploymentRows().filter((d) => d.app_ids.includes(app.id)),
    };
  }

  why(app) {
    return { ...this.attempt(app), verdict: this.summary(app).verdict };
  }

  attempt(app) {
    const wanted = app.spec.instances;
    const placed = this.living(app).length;
    const waiting = Math.max(0, wanted - placed);
    const base = { app_id: app.id, at: now(), wanted, placed, waiting, nodes_total: this.nodes.size, funnel: [], constraints: [], nodes: [] };
    if (wanted === 0) return { ...base, state: 'stopped', sentence: 'No instance is wanted.' };
    if (app.delayed) return { ...base, state: 'delayed', sentence: 'Launches are held back for 5 min after 4 failures; the last ended with exit code 1.', delayed_until: new Date(Date.now() + 260_000).toISOString() };
    if (waiting === 0) return { ...base, state: 'satisfied', sentence: `All ${wanted} instances are placed.` };
    const need = { cpus: app.spec.cpus, mem_mb: app.spec.mem, disk_mb: 0, gpus: 0 };
    const racks = new Set(this.living(app).map((t) => this.nodes.get(t.node_id)?.attributes.rack));
    const nodes = [...this.nodes.values()].map((n) => {
      const a = this.allocated(n).sum;
      const free = { cpus: n.total.cpus - a.cpus, mem_mb: n.total.mem_mb - a.mem_mb, disk_mb: n.total.disk_mb, gpus: n.total.gpus };
      const failed = [];
      if (n.condition !== 'active') failed.push({ reason: 'maintenance', message: `is ${n.condition}` });
      if (app.spec.constraints.length && racks.has(n.attributes.rack)) failed.push({ reason: 'constraint', message: `rack ${n.attributes.rack} already has an instance` });
      if (free.cpus < need.cpus) failed.push({ reason: 'cpus', needed: need.cpus, available: free.cpus, message: `needs ${need.cpus} cpus, has ${free.cpus} free` });
      if (free.mem_mb < need.mem_mb) failed.push({ reason: 'mem', needed: need.mem_mb, available: free.mem_mb, message: `needs ${need.mem_mb} MiB, has ${free.mem_mb} MiB free` });
      return { node_id: n.id, host: n.host, fits: failed.length === 0, free, failed };
    }).sort((x, y) => x.failed.length - y.failed.length || y.free.mem_mb - x.free.mem_mb);
    let left = nodes;
    const funnel = ['unreachable', 'maintenance', 'constraint', 'cpus', 'mem', 'disk', 'ports'].map((reason) => {
      const out = left.filter((n) => !n.failed.some((f) => f.reason === reason));
      const step = { reason, in: left.length, removed: left.length - out.length, out: out.length };
      left = out;
      return step;
    });
    const best = nodes.filter((n) => !n.failed.some((f) => f.reason !== 'mem' && f.reason !== 'cpus'))[0] ?? nodes[0];
    const most = Math.max(...nodes.map((n) => n.free.mem_mb));
    return {
      ...base, state: 'waiting', requirement: need, ports: 1, nodes_fitting: left.length, funnel, nodes,
      sentence: `${waiting} of ${wanted} instances wait: needs ${need.mem_mb / 1024} GiB memory, the freest node has ${(best.free.mem_mb / 1024).toFixed(1)} GiB (${best.host})`,
      constraints: app.spec.constraints.map(([field, operator, value]) => ({ field, operator, value, removed: nodes.filter((n) => n.failed.some((f) => f.reason === 'constraint')).length, sole: nodes.filter((n) => n.failed.length === 1 && n.failed[0].reason === 'constraint').length })),
      closest: { node_id: best.node_id, host: best.host, missing: best.failed },
      change: { sentence: `lower mem from ${need.mem_mb} to ${Math.max(32, Math.min(most, best.free.mem_mb))}`, patch: { mem: best.free.mem_mb } },
    };
  }

  /** Where each instance would go: the first other node with room, but one that finds none. */
  drainPreview(node, tasks) {
    const others = [...this.nodes.values()].filter((n) => n.id !== node.id && n.condition === 'active');
    const instances = tasks.map((t, i) => {
      const to = others[i % Math.max(1, others.length)];
      const stays = !to || (i === 0 && tasks.length > 1);
      return { id: t.id, task_id: t.task_id, app_id: t.app_id, ...(stays ? { fate: 'no_place', because: '1 instance waits: none of 6 nodes fits: 5 have too little memory free' } : { fate: 'moves', to_node_id: to.id, to_host: to.host }) };
    });
    const moves = instances.filter((row) => row.fate === 'moves').length;
    const left = instances.length - moves;
    return { node_id: node.id, host: node.host, moves, no_place: left, instances, sentence: `${moves} instances have a place elsewhere${left ? `; ${left} instance has none and stays here until something has room` : ''}` };
  }

  nodeRow(node) {
    const { sum, instances } = this.allocated(node);
    return { ...node, verdict: ofNode({ ...node, instances }), last_seen_at: now(), allocated: sum, used: { cpus: sum.cpus * 0.35, mem_mb: sum.mem_mb * 0.6, disk_mb: 20480, gpus: 0 }, instances };
  }

  status() {
    const rows = [...this.apps.values()].map((a) => this.summary(a));
    const nodes = [...this.nodes.values()].map((n) => this.nodeRow(n));
    const sum = (f) => rows.reduce((n, r) => n + f(r), 0);
    const total = { cpus: 0, mem_mb: 0, disk_mb: 0, gpus: 0 };
    const allocated = { cpus: 0, mem_mb: 0, disk_mb: 0, gpus: 0 };
    for (const n of this.nodes.values()) for (const k of Object.keys(total)) { total[k] += n.total[k]; }
    for (const a of this.apps.values()) for (const t of this.living(a)) { allocated.cpus += t.cpus; allocated.mem_mb += t.mem_mb; }
    return {
      cluster_id: '5b0a1f0e-7f0a-4a7e-9b7e-3f3f5d1c2b1a', name: 'fixture', version: this.version, leader: { id: 'm1', address: '10.0.0.11:8000' },
      started_at: this.startedAt, uptime_s: Math.round((Date.now() - Date.parse(this.startedAt)) / 1000),
      verdict: headline(rows, nodes, this.deployments.size),
      counts: {
        nodes_attention: nodes.filter(isTrouble).length, instances_starting: sum((r) => r.instances.starting), instances_stopping: 0,
        nodes: this.nodes.size, nodes_active: [...this.nodes.values()].filter((n) => n.condition === 'active').length,
        apps: rows.length, apps_attention: rows.filter(isTrouble).length,
        instances: sum((r) => r.instances.running + r.instances.staging), instances_running: sum((r) => r.instances.running),
        instances_healthy: sum((r) => r.instances.healthy), instances_unhealthy: sum((r) => r.instances.unhealthy), instances_staging: sum((r) => r.instances.staging),
        deployments: this.deployments.size,
      },
      total, allocated, used: { cpus: allocated.cpus * 0.35, mem_mb: allocated.mem_mb * 0.6, disk_mb: 122880, gpus: 0 }, warnings: this.warnings ?? [], revision: this.revision, at: now(),
    };
  }

  snapshot() {
    return {
      revision: this.revision, at: now(), status: this.status(), apps: [...this.apps.values()].map((a) => this.summary(a)),
      nodes: [...this.nodes.values()].map((n) => this.nodeRow(n)), deployments: this.deploymentRows(),
    };
  }

  emit(delta) {
    this.sums = undefined;
    this.revision++;
    const event = { revision: this.revision, at: now(), status: this.status(), ...delta };
    for (const kind of ['apps', 'nodes', 'deployments']) if (event[kind]) event[kind] = { set: [], removed: [], ...event[kind] };
    for (const f of this.listeners) f(event);
  }

  changed(app, extra = {}) {
    app.updated = now();
    this.emit({ apps: { set: [this.summary(app)] }, nodes: { set: [...this.nodes.values()].map((n) => this.nodeRow(n)) }, deployments: { set: this.deploymentRows() }, ...extra });
  }

  deploy(app, action) {
    const d = { id: randomUUID(), version: now(), app_ids: [app.id], step: 1, steps: 1, started_at: now(), by: { uid: 'admin', way: 'page' }, actions: [{ app_id: app.id, action, done: 0, of: app.spec.instances }] };
    app.version = d.version;
    this.deployments.set(d.id, d);
    if (action === 'restart') for (const t of this.living(app)) Object.assign(t, { goal: 'stop', outdated: true });
    app.delayed = app.delayed && action !== 'scale';
    this.changed(app);
    return d;
  }

  /** A node more, as the one that was invited. */
  join() {
    this.addNode(this.nodes.size, 'c');
    const node = [...this.nodes.values()].at(-1);
    node.registered_at = now();
    this.emit({ nodes: { set: [this.nodeRow(node)] } });
  }

  /** All that runs on a node. */
  tasksOn(node) {
    return [...this.apps.values()].flatMap((app) => this.living(app)).filter((t) => t.node_id === node.id);
  }

  /** One instance leaves a node that is drained: another one starts where the preview says. */
  drainStep(node) {
    const tasks = this.tasksOn(node);
    if (tasks.length === 0) { this.drains.delete(node.id); node.condition = 'drained'; this.emit({ nodes: { set: [this.nodeRow(node)] } }); return; }
    const next = this.drainPreview(node, tasks).instances.findLast((row) => row.fate === 'moves');
    const old = tasks.find((t) => t.id === next?.id);
    const to = this.nodes.get(next?.to_node_id);
    if (!old || !to) return;
    const app = this.apps.get(old.app_id);
    const uuid = randomUUID();
    const id = `${app.id.slice(1).replaceAll('/', '_')}.instance-${uuid}`;
    app.tasks.push({ ...old, id, task_id: `${id}._app.1`, node_id: to.id, host: to.host, since: now(), log: [], logStart: 0, born: Date.now() });
    Object.assign(old, { ended: true, condition: 'killed', since: now() });
    this.changed(app);
  }

  /** Small rows of everything that has a place. */
  placedRows() {
    const tenth = (used, all) => Math.round((used / (all || 1)) * 10) * all / 10;
    return [...this.apps.values()].flatMap((app) => this.living(app)).map((t) => ({
      id: t.id, app_id: t.app_id, node_id: t.node_id, state: ofTask(t).state, cpus: t.cpus, mem_mb: t.mem_mb, disk_mb: t.disk_mb,
      used: { cpus: tenth(t.used.cpus, t.cpus), mem_mb: tenth(t.used.mem_mb, t.mem_mb) },
    }));
  }

  /** One step of time: about 2 a second. */
  tick() {
    this.sums = undefined;
    for (const [id, beats] of this.drains) {
      this.drains.set(id, beats + 1);
      if (beats % 4 === 3) this.drainStep(this.nodes.get(id));
    }
    if (this.still) return;
    for (const app of this.apps.values()) {
      for (const t of this.living(app)) {
        for (let i = 0; i < this.logRate; i++) t.log.push(written(app, now()));
        while (t.log.length > 4000) t.logStart += t.log.shift().length;
      }
      this.step(app);
    }
  }

  step(app) {
    const live = this.living(app);
    const before = JSON.stringify(this.summary(app));
    const old = live.find((t) => t.condition === 'staging') ?? live.find((t) => t.condition === 'starting');
    if (old) {
      old.condition = old.condition === 'staging' ? 'starting' : 'running';
      old.since = now();
      if (old.condition === 'running') { old.started_at = now(); if (app.health) { old.healthy = true; old.healthy_since = now(); old.health = [{ alive: true, protocol: 'HTTP', consecutive_failures: 0, last_success_at: now() }]; } }
    }
    const fresh = live.filter((t) => !t.goal);
    if (!app.delayed && fresh.length < app.spec.instances) {
      if (this.place(app, 'staging')) app.stuck = false;
      else if (!app.stuck) { app.stuck = true; app.stuckSince = now(); }
    } else app.stuck = false;
    const extra = fresh.length > app.spec.instances ? fresh.at(-1) : fresh.filter((t) => t.condition === 'running').length >= Math.min(1, app.spec.instances) ? live.find((t) => t.goal) : undefined;
    if (extra) { extra.condition = 'killed'; extra.ended = true; extra.since = now(); delete extra.healthy; extra.health = []; }
    const running = this.living(app).filter((t) => t.condition === 'running' && !t.goal).length;
    for (const d of [...this.deployments.values()].filter((d) => d.app_ids.includes(app.id))) {
      d.actions[0].done = Math.min(running, app.spec.instances); d.actions[0].of = app.spec.instances;
      if (running === app.spec.instances && this.living(app).length === running) {
        this.deployments.delete(d.id);
        this.changed(app, { deployments: { set: this.deploymentRows(), removed: [d.id] } });
        return;
      }
    }
    if (JSON.stringify(this.summary(app)) !== before) this.changed(app);
  }

  remove(app) {
    this.apps.delete(app.id);
    for (const d of this.deployments.values()) if (d.app_ids.includes(app.id)) this.deployments.delete(d.id);
    this.emit({ apps: { removed: [app.id] }, nodes: { set: [...this.nodes.values()].map((n) => this.nodeRow(n)) } });
  }
}
