// TEST ONLY. Serves ui/dist and a made-up cluster (world.mjs) on loopback, with the headers the
// binary sends, so that the page can be developed and its browser test run without a server.
//   node dev/fixture.mjs [--port 18700] [--world demo|empty|broken|big|many|map|pods] [--prefix /ops]
//                        [--log-rate 1] lines of an instance each half second
//                                                                    login: admin / admin
//   node dev/fixture.mjs --api http://127.0.0.1:8000     the page from dist, data of a real tepui
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { logs } from './logs.mjs';
import { measured } from './measured.mjs';
import * as past from './past.mjs';
import * as resources from './resources.mjs';
import { World } from './world.mjs';

const { values } = parseArgs({ options: { port: { type: 'string', default: '18700' }, world: { type: 'string', default: 'demo' }, api: { type: 'string' }, prefix: { type: 'string', default: '' }, 'log-rate': { type: 'string', default: '1' } } });
const world = new World(values.world);
world.logRate = Number(values['log-rate']);
const dist = join(import.meta.dirname, '..', 'dist');
const TOKEN = 'fixture-token';
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
let refuseUntil = 0;
const streams = new Set();
setInterval(() => world.tick(), 500);

function json(res, status, body, headers = {}) {
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  res.end(body === undefined ? '' : JSON.stringify(body));
}
const fail = (res, status, code, message, hint) => json(res, status, { error: { code, message, hint, request_id: 'fixture-1' } });

function policy(html) {
  const hash = (tag) => [...html.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map((m) => `'sha256-${createHash('sha256').update(m[1]).digest('base64')}'`).join(' ');
  return `default-src 'self'; script-src 'self' ${hash('script')}; style-src 'self' ${hash('style')}; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'`;
}

function asset(res, path) {
  const page = path === '/' || path === '/ui' || path.startsWith('/ui/');
  const file = join(dist, normalize(page ? '/index.html' : path)) + '.gz';
  if (!existsSync(file)) return fail(res, 404, 'not_found', `no ${path}`);
  const bytes = readFileSync(file);
  const headers = { 'content-type': TYPES[extname(file.slice(0, -3))] ?? 'application/octet-stream', 'content-encoding': 'gzip', 'cache-control': page ? 'no-cache' : 'public, max-age=31536000, immutable' };
  if (page) headers['content-security-policy'] = policy(gunzipSync(bytes).toString());
  res.writeHead(200, headers);
  res.end(bytes);
}

function events(req, res, of) {
  const node = of?.startsWith('node:') && findNode(of.slice(5));
  if (of && of !== 'placed' && !node) return fail(res, 404, 'not_found', `${of} does not exist`);
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (event, data, id) => res.write(`event: ${event}\n${id ? `id: ${id}\n` : ''}data: ${JSON.stringify(data)}\n\n`);
  const listener = !of ? (delta) => send('delta', delta, delta.revision) : differences(node ? () => nodeTasks(node) : () => world.placedRows(), (rows, { revision, at }) => send('delta', { revision, at, [node ? 'tasks' : 'instances']: rows }));
  if (!of) send('snapshot', world.snapshot(), world.revision);
  else if (node) send('snapshot', nodeDetail(node));
  else send('snapshot', { revision: world.revision, at: new Date().toISOString(), instances: world.placedRows() }, world.revision);
  world.listeners.add(listener);
  const at = () => ({ at: new Date().toISOString() });
  const beat = setInterval(() => (node ? send('measured', { ...at(), last_seen_at: at().at, used: {} }) : send('heartbeat', { ...at(), revision: world.revision })), 15_000);
  streams.add(res);
  res.on('close', () => { world.listeners.delete(listener); clearInterval(beat); streams.delete(res); });
}

/** A listener that tells which rows are others than when it was called last. */
function differences(rows, tell) {
  const written = () => new Map(rows().map((row) => [row.id, JSON.stringify(row)]));
  let before = written();
  return (event) => {
    const after = written();
    const set = [...after].filter(([id, text]) => before.get(id) !== text).map(([, text]) => JSON.parse(text));
    const removed = [...before.keys()].filter((id) => !after.has(id));
    before = after;
    if (set.length + removed.length > 0) tell({ set, removed }, event);
  };
}

const findNode = (name) => [...world.nodes.values()].find((n) => n.id === name || n.host === name);
const nodeTasks = (node) => [...world.apps.values()].filter((a) => a.tasks.some((t) => t.node_id === node.id)).flatMap((a) => world.detail(a).tasks).filter((t) => t.node_id === node.id && t.condition !== 'killed');
const nodeDetail = (node) => ({ ...world.nodeRow(node), address: node.host, revision: world.revision, tasks: nodeTasks(node) });

function findTask(id) {
  for (const app of world.apps.values()) for (const t of app.tasks) {
    if (t.id === id || t.task_id === id) return t;
    // The containers of a pod have one output among them here.
    if (t.containers?.some((container) => container.task_id === id)) return { ...t, task_id: id };
  }
  return undefined;
}

function log(req, res, url, task) {
  const all = () => (url.searchParams.get('file') === 'stderr' ? '' : task.log.join(''));
  let offset = Number(url.searchParams.get('offset') ?? 0);
  const end = () => task.logStart + all().length;
  if (offset < 0) offset = Math.max(task.logStart, end() + offset);
  if (req.headers['last-event-id']) offset = Number(req.headers['last-event-id']);
  const chunk = () => { const data = all().slice(Math.max(0, offset - task.logStart), offset - task.logStart + 65536); const c = { offset, next_offset: offset + data.length, data }; offset = c.next_offset; return c; };
  if (url.searchParams.get('follow') !== 'true') return json(res, 200, chunk());
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const pump = () => { const c = chunk(); if (c.data) res.write(`event: data\nid: ${c.next_offset}\ndata: ${JSON.stringify(c)}\n\n`); else if (task.ended) { res.write('event: end\ndata: {"reason":"task_ended"}\n\n'); res.end(); clearInterval(timer); } };
  const timer = setInterval(pump, 400);
  res.write(': open\n\n');
  pump();
  res.on('close', () => clearInterval(timer));
}

/** Hands a request on to the real server as it is. */
function forward(req, res) {
  const onward = request(new URL(req.url, values.api), { method: req.method, headers: req.headers }, (answer) => {
    res.writeHead(answer.statusCode, answer.rawHeaders);
    res.flushHeaders();
    answer.pipe(res);
  });
  onward.on('error', () => (res.headersSent ? res.destroy() : fail(res, 502, 'bad_gateway', 'The server cannot be reached.')));
  res.on('close', () => onward.destroy());
  req.pipe(onward);
}

/** The same for a connection that becomes a WebSocket. */
function forwardUpgrade(req, near) {
  const onward = request(new URL(req.url, values.api), { method: req.method, headers: req.headers });
  onward.on('upgrade', (answer, far) => {
    const head = answer.rawHeaders.reduce((text, part, i) => text + part + (i % 2 ? '\r\n' : ': '), '');
    near.write(`HTTP/1.1 101 Switching Protocols\r\n${head}\r\n`);
    for (const [a, b] of [[near, far], [far, near]]) { a.on('error', () => b.destroy()); a.on('close', () => b.destroy()); a.pipe(b); }
  });
  onward.on('response', (answer) => near.end(`HTTP/1.1 ${answer.statusCode} refused\r\n\r\n`));
  onward.on('error', () => near.destroy());
  onward.end();
}

async function body(req) {
  const parts = [];
  for await (const part of req) parts.push(part);
  const text = Buffer.concat(parts).toString();
  return text ? JSON.parse(text) : {};
}

async function own(req, res, url) {
  const path = url.pathname.slice('/tepui/v1/'.length);
  const parts = path.split('/').map(decodeURIComponent);
  if (path === 'me') return json(res, 200, { uid: 'admin', description: 'Fixture admin', superuser: true });
  if (path === 'status') return json(res, 200, world.status());
  if (path === 'events') return events(req, res, url.searchParams.get('of'));
  // Anything goes in a made-up cluster, and fits on its first node.
  if (path === 'schema/app') return json(res, 200, { type: 'object' });
  if (path === 'plan') {
    const spec = await body(req);
    const n = spec.instances ?? 1;
    const [node] = world.nodes.values();
    const old = world.apps.get(spec.id);
    const plan = { app_id: spec.id, action: old ? 'restart' : 'create', sentence: old ? `${n} instances are replaced.` : `${n} instances start.`, version: old?.version, changes: [], starts: n, stops: 0, healthy_min: 0, at_most: n, stops_first: [], requirement: { cpus: spec.cpus ?? 1, mem_mb: spec.mem ?? 128, disk_mb: 0, gpus: 0 }, places: node ? [{ node_id: node.id, host: node.host, instances: n }] : [], waiting: 0, room: 3, dns_names: [], ports: [], warnings: [] };
    return json(res, 200, { problems: spec.id ? [] : [{ path: '/id', message: 'id is missing' }], unknown: [], plan });
  }
  if (path === 'volumes') return json(res, 200, { volumes: resources.volumes(world), revision: world.revision });
  if (path === 'masters') return json(res, 200, resources.masters(world));
  if (path === 'debug/reconcilers') return json(res, 200, resources.reconcilers(world));
  if (path === 'level') return json(res, 200, resources.level());
  if (path === 'efficiency') return json(res, 200, resources.efficiency(world));
  if (path === 'metrics') return json(res, 200, measured(world, url.searchParams));
  if (path === 'apps') return json(res, 200, { revision: world.revision, apps: world.snapshot().apps });
  if (path === 'history') return json(res, 200, past.history(world, url.searchParams));
  if (parts[0] === 'apps') {
    const sub = parts.length > 2 && ['why', 'versions', 'rollback'].includes(parts.at(-1)) && parts.at(-1);
    const id = `/${(sub ? parts.slice(1, -1) : parts.slice(1)).join('/').replace(/^\/+/, '')}`;
    const app = world.apps.get(id);
    if (!app) return fail(res, 404, 'not_found', `There is no app ${id}.`, 'Its id may have changed; look at the list.');
    const { from, to } = Object.fromEntries(url.searchParams);
    if (sub === 'versions') return json(res, 200, from ? { versions: [], diff: past.diff(from, to) } : { versions: past.versions(app) });
    if (sub === 'rollback') return json(res, 200, past.rollback(app, await body(req)));
    return json(res, 200, sub ? world.why(app) : world.detail(app));
  }
  if (path === 'logs') {
    const of = url.searchParams.get('of') ?? '';
    return logs(req, res, url, { world, findTask, json }) || fail(res, 404, 'not_found', of.startsWith('/') ? `app ${of} does not exist` : `task ${of} does not exist`);
  }
  if (parts[0] === 'nodes' && parts[1]) {
    if (parts[1] === 'invite') return json(res, 200, { token: 'MFRGGZDFMZTWQ.b3d1', master: '10.0.0.11:5070', expires_at: new Date(Date.now() + 3_600_000).toISOString() });
    const node = findNode(parts[1]);
    if (!node) return fail(res, 404, 'not_found', `There is no node ${parts[1]}.`);
    const tasks = world.tasksOn(node);
    if (parts[2] === 'drain' && req.method === 'GET') return json(res, 200, world.drainPreview(node, tasks));
    if (parts[2] === 'drain') {
      const wish = await body(req);
      if (!wish.dry_run) { node.condition = wish.cancel ? 'active' : 'draining'; world.drains[wish.cancel ? 'delete' : 'set'](node.id, 0); world.emit({ nodes: { set: [world.nodeRow(node)] } }); }
      return json(res, 200, { node: world.nodeRow(node), instances: wish.cancel ? [] : tasks.map((t) => t.id) });
    }
    return json(res, 200, nodeDetail(node));
  }
  if (parts[0] === 'tasks' && parts[2] === 'log') {
    const task = findTask(parts[1]);
    return task ? log(req, res, url, task) : fail(res, 404, 'not_found', `There is no task ${parts[1]}.`);
  }
  return fail(res, 404, 'not_found', `no route ${url.pathname}`);
}

async function marathon(req, res, url) {
  const path = url.pathname.slice('/service/marathon/v2/'.length);
  if (path === 'tasks/delete') {
    for (const id of (await body(req)).ids) { const t = findTask(id); if (t) { t.ended = true; t.condition = 'killed'; world.changed(world.apps.get(t.app_id)); } }
    return json(res, 200, { tasks: [] });
  }
  if (path.startsWith('queue/')) { const app = world.apps.get(`/${path.slice(6).replace(/\/delay$/, '')}`); if (app) { app.delayed = false; world.changed(app); } return json(res, 204); }
  if (path.startsWith('deployments/')) { const d = world.deployments.get(path.slice(12)); world.deployments.delete(d?.id); world.emit({ deployments: { removed: [d?.id] } }); return json(res, 200, { deploymentId: randomId(), version: new Date().toISOString() }); }
  if (path.startsWith('groups/')) {
    const group = `/${decodeURIComponent(path.slice(7)).replace(/^\/+/, '')}/`;
    const members = [...world.apps.values()].filter((app) => app.id.startsWith(group));
    if (members.length === 0) return json(res, 404, { message: `Group '${group}' does not exist` });
    const held = [...world.deployments.values()].filter((d) => d.app_ids.some((id) => id.startsWith(group)));
    if (held.length && url.searchParams.get('force') !== 'true') return json(res, 409, { message: `App is locked by one or more deployments. Override with the option '?force=true'.` });
    if (req.method === 'DELETE') for (const app of members) world.remove(app);
    else { const { scaleBy } = await body(req); for (const app of members) { app.spec.instances = Math.round(app.spec.instances * scaleBy); world.deploy(app, 'scale'); } }
    return json(res, 200, { version: new Date().toISOString(), deploymentId: randomId() });
  }
  if (path === 'apps' && req.method === 'POST') {
    const spec = await body(req);
    if (!spec.id) return json(res, 422, { message: 'Object is not valid', details: [{ path: '/id', errors: ['undefined'] }] });
    const id = `/${spec.id.replace(/^\//, '')}`;
    if (world.apps.has(id)) return json(res, 409, { message: `An app with id [${id}] already exists.` });
    const app = world.addApp({ id, image: spec.container?.docker?.image, cmd: spec.cmd, cpus: spec.cpus ?? 1, mem: spec.mem ?? 128, instances: 0 });
    app.spec.instances = spec.instances ?? 1;
    world.deploy(app, 'start');
    return json(res, 201, app.spec);
  }
  const restart = path.endsWith('/restart');
  const id = decodeURIComponent(path.slice(4).replace(/\/restart$/, '')).replace(/^\/*/, '/');
  const app = world.apps.get(id);
  if (!app) return json(res, 404, { message: `App '${id}' does not exist` });
  const busy = [...world.deployments.values()].filter((d) => d.app_ids.includes(id));
  if (busy.length && req.method !== 'DELETE' && url.searchParams.get('force') !== 'true') return json(res, 409, { message: `App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.`, deployments: busy.map((d) => ({ id: d.id })) });
  for (const d of busy) world.deployments.delete(d.id);
  if (req.method === 'DELETE') { world.remove(app); return json(res, 200, { version: new Date().toISOString(), deploymentId: randomId() }); }
  if (!restart) {
    const patch = await body(req);
    if (patch.instances < 0) return json(res, 422, { message: 'Object is not valid', details: [{ path: '/instances', errors: ['error.min'] }] });
    Object.assign(app.spec, patch);
  }
  const d = world.deploy(app, restart ? 'restart' : 'scale');
  return json(res, 200, { version: d.version, deploymentId: d.id });
}
const randomId = () => crypto.randomUUID();

const server = createServer(async (req, res) => {
  // As a proxy that takes its own path off; what comes without it is not for us.
  if (!req.url.startsWith(values.prefix)) return fail(res, 404, 'not_found', 'This is another site.');
  req.url = req.url.slice(values.prefix.length) || '/';
  const url = new URL(req.url, 'http://fixture');
  const path = url.pathname;
  try {
    // Test control: end all streams and answer 502 for a while.
    if (path === '/__fixture/drop') { refuseUntil = Date.now() + Number(url.searchParams.get('ms') ?? 5000); for (const s of streams) s.destroy(); return json(res, 200, {}); }
    // Test control: the invited node joins.
    if (path === '/__fixture/join') { world.join(); return json(res, 200, {}); }
    // Test control: the cluster runs another version from now on.
    if (path === '/__fixture/upgrade') { world.version = url.searchParams.get('to'); world.emit({}); return json(res, 200, {}); }
    const api = path.startsWith('/tepui/v1/') || path.startsWith('/service/') || path.startsWith('/acs/');
    if (!api) return asset(res, path);
    if (values.api) return forward(req, res);
    if (Date.now() < refuseUntil) return fail(res, 502, 'bad_gateway', 'The master cannot be reached.');
    if (path === '/acs/api/v1/auth/login') {
      const { uid, password } = await body(req);
      if (uid !== 'admin' || password !== 'admin') return json(res, 401, { title: 'Unauthorized', description: 'Bad credentials', code: 'ERR_INVALID_CREDENTIALS' });
      return json(res, 200, { token: TOKEN }, { 'set-cookie': [`dcos-acs-auth-cookie=${TOKEN}; HttpOnly; Path=/; SameSite=Lax`, `dcos-acs-info-cookie=${Buffer.from('{"uid":"admin"}').toString('base64')}; Path=/`] });
    }
    if (path === '/acs/api/v1/users') return json(res, 200, { array: resources.users(url.searchParams.get('type')) });
    if (path === '/acs/api/v1/auth/logout') return json(res, 200, {}, { 'set-cookie': 'dcos-acs-auth-cookie=""; Path=/; Expires=Sat, 01 Jan 2000 00:00:00 GMT' });
    const cookie = /dcos-acs-auth-cookie=([^;]+)/.exec(req.headers.cookie ?? '')?.[1];
    if (cookie !== TOKEN && req.headers.authorization !== `token=${TOKEN}`) return json(res, 401, { title: 'Unauthorized', description: 'no token' });
    if (path.startsWith('/tepui/v1/')) return await own(req, res, url);
    if (path.startsWith('/service/marathon/v2/')) return await marathon(req, res, url);
    res.writeHead(200, { 'content-type': 'text/plain' });
    res.end('a forwarded service\n');
  } catch (error) {
    if (!res.headersSent) fail(res, 500, 'internal', String(error));
  }
}).on('upgrade', (req, socket) => (values.api ? forwardUpgrade(req, socket) : socket.destroy())).listen(Number(values.port), '127.0.0.1', () => console.log(`fixture ready http://127.0.0.1:${server.address().port} admin admin`));
