// Services of a Compose file as definitions. What has no counterpart is said, line by line, and never
// dropped in silence.
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { say, sayAny } from '../words';
import type { Fields, Json } from './document';

export interface Remark {
  line: number;
  text: string;
}

export interface Composed {
  /** Name of the service in the file. */
  name: string;
  definition: Fields;
  remarks: Remark[];
}

export interface Composition {
  services: Composed[];
  /** About the file as a whole. */
  remarks: Remark[];
  error?: Remark;
}

/** Keys of a service that are carried over. */
const CARRIED = new Set([
  'image',
  'command',
  'entrypoint',
  'ports',
  'expose',
  'environment',
  'volumes',
  'deploy',
  'scale',
  'healthcheck',
  'labels',
  'user',
  'privileged',
  'depends_on',
  'mem_limit',
  'cpus',
  'tty',
  'stop_grace_period',
  'container_name',
  'restart',
]);

/** Why a key is not carried over. */
const why = (key: string): string =>
  say('compose.about', { key, text: sayAny(`compose.why.${key}`) ?? say('compose.none') });

/** Walks a file and remembers where things stand. */
class Reader {
  readonly remarks: Remark[] = [];
  constructor(
    private readonly lines: LineCounter,
    private readonly at: Node,
  ) {}

  lineOf(key: string, index?: number): number {
    const pair = isMap(this.at) ? this.at.items.find((it) => isScalar(it.key) && it.key.value === key) : undefined;
    const value = pair?.value as { items?: unknown[] } | undefined;
    const item = index === undefined ? undefined : value?.items?.[index];
    const node = ((item as { key?: Node } | undefined)?.key ?? item ?? pair?.key) as Node | undefined;
    return this.lines.linePos(node?.range?.[0] ?? 0).line;
  }

  note(key: string, text: string, index?: number): void {
    this.remarks.push({ line: this.lineOf(key, index), text });
  }
}

export function readCompose(text: string, group = ''): Composition {
  const lines = new LineCounter();
  const doc = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false });
  const error = doc.errors[0];
  if (error) {
    return { services: [], remarks: [], error: { line: lines.linePos(error.pos[0]).line, text: say('compose.notYaml', { message: error.message }) } };
  }
  const file = doc.toJS() as { services?: Record<string, Fields | null> } | null;
  const services = doc.get('services', true);
  if (!file?.services || typeof file.services !== 'object' || !isMap(services)) {
    return { services: [], remarks: [], error: { line: 1, text: say('compose.noServices') } };
  }
  const top = new Reader(lines, doc.contents as Node);
  for (const key of Object.keys(file)) {
    if (key === 'services' || key === 'version' || key === 'name' || key.startsWith('x-')) continue;
    top.note(key, why(key));
  }
  const names = Object.keys(file.services);
  const composed = names.map((name) => {
    const reader = new Reader(lines, services.get(name, true) as Node);
    const definition = service(name, file.services?.[name] ?? {}, reader, group, names);
    return { name, definition, remarks: reader.remarks.sort((a, b) => a.line - b.line) };
  });
  return { services: composed, remarks: top.remarks };
}

/** A name as a segment of a path. */
function segment(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9-]+/g, '-').replace(/^-+|-+$/g, '') || 'service';
}

function service(name: string, it: Fields, reader: Reader, group: string, names: string[]): Fields {
  const app: Fields = { id: `${group}/${segment(name)}` };
  const deploy = fields(it.deploy);
  app.instances = whole(deploy.replicas ?? it.scale) ?? 1;
  resources(app, it, deploy, reader);
  const docker: Fields = {};
  const container: Fields = { type: 'DOCKER', docker };
  if (typeof it.image === 'string') docker.image = it.image;
  else reader.note('image', say('compose.noImage'));
  if (it.privileged === true) docker.privileged = true;
  command(app, docker, it, reader);
  const volumes = list(it.volumes).flatMap((volume, at) => mount(volume, at, reader));
  if (volumes.length > 0) container.volumes = volumes;
  const mappings = ports(it, reader);
  container.portMappings = mappings;
  app.container = container;
  app.networks = [{ mode: 'container/bridge' }];
  const env = pairs(it.environment, (key, at) => {
    reader.note('environment', say('compose.variable', { key }), at);
  });
  if (Object.keys(env).length > 0) app.env = env;
  const labels = pairs(it.labels);
  if (Object.keys(labels).length > 0) app.labels = labels;
  const check = health(it, reader);
  if (check) app.healthChecks = [check];
  const before = Array.isArray(it.depends_on) ? it.depends_on.map(String) : Object.keys(fields(it.depends_on));
  const known = before.filter((other) => names.includes(other));
  if (known.length > 0) app.dependencies = known.map((other) => `${group}/${segment(other)}`);
  if (typeof it.user === 'string' || typeof it.user === 'number') app.user = String(it.user);
  if (it.tty === true) app.tty = true;
  const grace = seconds(it.stop_grace_period);
  if (grace !== undefined) app.taskKillGracePeriodSeconds = grace;
  if (it.restart === 'no' || it.restart === false || String(it.restart).startsWith('on-failure')) {
    reader.note('restart', why('restart'));
  }
  if (it.container_name) reader.note('container_name', say('compose.containerName'));
  for (const key of Object.keys(it)) {
    if (!CARRIED.has(key) && !key.startsWith('x-')) reader.note(key, why(key));
  }
  for (const key of Object.keys(deploy)) {
    if (!['replicas', 'resources', 'labels', 'mode'].includes(key)) reader.note('deploy', say('compose.deploy', { key }));
  }
  return app;
}

function resources(app: Fields, it: Fields, deploy: Fields, reader: Reader): void {
  const asked = fields(fields(deploy.resources).reservations);
  const limits = fields(fields(deploy.resources).limits);
  app.cpus = number(asked.cpus) ?? number(limits.cpus) ?? number(it.cpus) ?? 0.1;
  app.mem = mebibytes(asked.memory) ?? mebibytes(limits.memory) ?? mebibytes(it.mem_limit) ?? 128;
  const [cpus, mem] = [number(limits.cpus), mebibytes(limits.memory)];
  const more: Fields = {};
  if (asked.cpus !== undefined && cpus !== undefined && cpus > app.cpus) more.cpus = cpus;
  if (asked.memory !== undefined && mem !== undefined && mem > app.mem) more.mem = mem;
  if (Object.keys(more).length > 0) app.resourceLimits = more;
  if (asked.memory === undefined && limits.memory === undefined && it.mem_limit === undefined) {
    reader.note('image', say('compose.noMemory'));
  }
}

function command(app: Fields, docker: Fields, it: Fields, reader: Reader): void {
  const words = (value: Json | undefined) => (Array.isArray(value) ? value.map(String) : undefined);
  if (it.entrypoint !== undefined && it.entrypoint !== null) {
    const entry = words(it.entrypoint);
    docker.parameters = [{ key: 'entrypoint', value: entry ? (entry[0] ?? '') : String(it.entrypoint) }];
    const rest = [...(entry?.slice(1) ?? []), ...(words(it.command) ?? [])];
    if (rest.length > 0) app.args = rest;
    else if (typeof it.command === 'string') app.args = split(it.command);
    return;
  }
  if (it.command === undefined || it.command === null) return;
  app.args = words(it.command) ?? split(String(it.command));
  if (typeof it.command === 'string' && /[$|&;<>]/.test(it.command)) {
    reader.note('command', say('compose.noShell'));
  }
}

/** A line into words, as Compose does it. */
export function split(line: string): string[] {
  const found = line.match(/(?:[^\s"']+|"(?:\\.|[^"\\])*"|'[^']*')+/g) ?? [];
  return found.map((word) =>
    word.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'/g, (_, double?: string, single?: string) =>
      double !== undefined ? double.replace(/\\(.)/g, '$1') : (single ?? ''),
    ),
  );
}

function ports(it: Fields, reader: Reader): Fields[] {
  const mappings: Fields[] = [];
  const add = (container: number, protocol: string, host: number) =>
    mappings.push({ containerPort: container, hostPort: host, ...(protocol === 'udp' ? { protocol } : {}) });
  list(it.ports).forEach((port, at) => {
    const long = fields(port);
    if (Object.keys(long).length > 0) {
      const target = whole(long.target);
      if (target === undefined) reader.note('ports', say('compose.noTarget'), at);
      else publish(target, String(long.protocol ?? 'tcp'), long.published, at);
      return;
    }
    const [numbers = '', protocol = 'tcp'] = String(port).split('/');
    const parts = numbers.split(':');
    const target = parts.at(-1) ?? '';
    if (parts.length > 2) reader.note('ports', say('compose.portAddress', { port: String(port) }), at);
    if (target.includes('-')) {
      reader.note('ports', say('compose.portRange', { port: String(port) }), at);
      return;
    }
    publish(Number(target), protocol, parts.length > 1 ? parts.at(-2) : undefined, at);
  });
  list(it.expose).forEach((port) => {
    const [number = '', protocol = 'tcp'] = String(port).split('/');
    if (!mappings.some((known) => known.containerPort === Number(number))) add(Number(number), protocol, 0);
  });
  return mappings;

  function publish(target: number, protocol: string, published: Json | undefined, at: number) {
    add(target, protocol, 0);
    if (published !== undefined && published !== null && String(published) !== '') {
      reader.note('ports', say('compose.published', { from: String(published), to: String(target) }), at);
    }
  }
}

function mount(volume: Json, at: number, reader: Reader): Fields[] {
  const long = fields(volume);
  const [source, target, mode] =
    Object.keys(long).length > 0
      ? [String(long.source ?? ''), String(long.target ?? ''), long.read_only === true ? 'ro' : 'rw']
      : parts(String(volume));
  const access = mode.split(',').includes('ro') ? 'RO' : 'RW';
  if (long.type === 'tmpfs') {
    reader.note('volumes', say('compose.tmpfs', { path: target }), at);
    return [];
  }
  if (/^[./~]/.test(source)) {
    if (!source.startsWith('/')) {
      reader.note('volumes', say('compose.local', { path: source }), at);
      return [];
    }
    reader.note('volumes', say('compose.fromNode', { path: source }), at);
    return [{ containerPath: target, hostPath: source, mode: access }];
  }
  const path = segment(source || target.split('/').at(-1) || 'data');
  reader.note('volumes', say('compose.volume', { from: source || target, path, to: target }), at);
  return [{ containerPath: path, mode: 'RW', persistent: { size: 1024 } }];
}

function parts(text: string): [string, string, string] {
  const [first = '', second, third] = text.split(':');
  return second === undefined ? ['', first, 'rw'] : [first, second, third ?? 'rw'];
}

function health(it: Fields, reader: Reader): Fields | undefined {
  const check = fields(it.healthcheck);
  if (Object.keys(check).length === 0 || check.disable === true) return undefined;
  const test = Array.isArray(check.test) ? check.test.map(String) : check.test === undefined ? [] : ['CMD-SHELL', String(check.test)];
  if (test[0] === 'NONE') return undefined;
  const words = test[0] === 'CMD' || test[0] === 'CMD-SHELL' ? test.slice(1) : test;
  if (words.length === 0) {
    reader.note('healthcheck', say('compose.check'));
    return undefined;
  }
  const value = test[0] === 'CMD' ? words.map(quoted).join(' ') : words.join(' ');
  const made: Fields = { protocol: 'COMMAND', command: { value } };
  const set = (key: string, n: number | undefined) => {
    if (n !== undefined) made[key] = n;
  };
  set('intervalSeconds', seconds(check.interval) ?? 30);
  set('timeoutSeconds', seconds(check.timeout) ?? 30);
  set('gracePeriodSeconds', seconds(check.start_period));
  set('maxConsecutiveFailures', whole(check.retries));
  return made;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function fields(value: Json | undefined): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

function list(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** `A=b` lines or a map, as a map. */
function pairs(value: Json | undefined, missing?: (key: string, at: number) => void): Record<string, string> {
  const entries: [string, Json | undefined][] = Array.isArray(value)
    ? value.map((line) => {
        const [key = '', ...rest] = String(line).split('=');
        return [key, String(line).includes('=') ? rest.join('=') : undefined];
      })
    : Object.entries(fields(value));
  return Object.fromEntries(
    entries.map(([key, it], at) => {
      if (it === undefined || it === null) missing?.(key, at);
      return [key, it === undefined || it === null ? '' : String(it)];
    }),
  );
}

function number(value: Json | undefined): number | undefined {
  const n = Number(value);
  return value === undefined || value === null || value === '' || Number.isNaN(n) ? undefined : n;
}

function whole(value: Json | undefined): number | undefined {
  const n = number(value);
  return n !== undefined && Number.isInteger(n) ? n : undefined;
}

/** `512M`, `1.5g`, bytes. */
export function mebibytes(value: Json | undefined): number | undefined {
  const found = /^([\d.]+)\s*([bkmg]?)i?b?$/i.exec(String(value ?? ''));
  if (!found) return undefined;
  const unit = { b: 2 ** -20, '': 2 ** -20, k: 2 ** -10, m: 1, g: 1024 }[found[2]?.toLowerCase() ?? ''] ?? 1;
  return Math.ceil(Number(found[1]) * unit);
}

/** `1m30s`, `10s`, `500ms`. */
export function seconds(value: Json | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number') return value;
  const units: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 0.001 };
  const found = [...String(value).matchAll(/([\d.]+)(ms|h|m|s)/g)];
  if (found.length === 0) return undefined;
  return Math.ceil(found.reduce((sum, [, n, unit]) => sum + Number(n) * (units[unit ?? 's'] ?? 1), 0));
}
