// Requests to the server: one deadline, one error type, one reaction to a lost session.
import { say } from '../words';
import { here } from './base';
import type {
  App,
  DrainPreview,
  DrainRequest,
  Efficiency,
  Error as ErrorBody,
  FileEntry,
  FileSearch,
  History,
  Instance,
  Level,
  LogChunk,
  Logs,
  Master,
  Me,
  Measured,
  Moves,
  PlanAnswer,
  Reconciler,
  Rollback,
  RollbackRequest,
  VersionDiff,
  Volume,
  Versions,
  Why,
} from './types';

const OWN = '/tepui/v1';
const MARATHON = '/service/marathon/v2';
/** Longest time a page waits for one answer; the server's own deadlines are shorter. */
const DEADLINE_MS = 20_000;

/** Codes of failures that the page itself words. */
const OURS = new Set(['unreachable', 'stream', 'silent']);

/** A failed request, with what the server said and which call it was. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly call: string,
    readonly hint?: string,
    readonly requestId?: string,
    readonly details: { path: string; errors: string[] }[] = [],
  ) {
    super(message);
  }

  /** A deployment holds the app; the change may be forced over it. */
  get locked(): boolean {
    return this.status === 409 && (this.code === 'locked' || /force=true/.test(this.message + (this.hint ?? '')));
  }

  /** The language of the message, where the server said it and not the page. */
  get lang(): 'en' | undefined {
    return OURS.has(this.code) ? undefined : 'en';
  }

  /** No answer came at all. */
  get unreachable(): boolean {
    return this.status === 0;
  }
}

/** What went wrong in a sentence, and its language where that is not the page's. */
export function wording(error: unknown): { text: string; lang?: 'en' | undefined } {
  if (error instanceof ApiError) return { text: error.message, lang: error.lang };
  return { text: error instanceof Error ? error.message : String(error), lang: 'en' };
}

const sessionLost = new Set<() => void>();

/** Calls `f` whenever the server refuses the session; returns the way to stop. */
export function onSessionLost(f: () => void): () => void {
  sessionLost.add(f);
  return () => sessionLost.delete(f);
}

export function reportSessionLost(): void {
  for (const f of sessionLost) f();
}

/** What a failed request may be answered with, by our own API or by a dialect. */
interface Refusal extends Partial<ErrorBody> {
  message?: unknown;
  description?: string;
  details?: unknown;
}

async function failure(answer: Response, call: string): Promise<ApiError> {
  let body: Refusal = {};
  try {
    if (answer.headers.get('content-type')?.includes('json')) body = await answer.json();
  } catch {
    // An unreadable body adds nothing to the status.
  }
  const own = body.error;
  const details = Array.isArray(body.details)
    ? body.details.filter((d): d is { path: string; errors: string[] } => Array.isArray(d?.errors))
    : [];
  const told = own?.message ?? body.description ?? (typeof body.message === 'string' ? body.message : undefined);
  const message = told ?? say('request.status', { status: `${answer.status}` });
  const id = own?.request_id ?? answer.headers.get('x-request-id') ?? undefined;
  return new ApiError(answer.status, own?.code ?? (told ? 'http' : 'silent'), message, call, own?.hint, id, details);
}

declare global {
  interface Window {
    /** The first question, asked by the document itself before the scripts were there. */
    tepuiMe?: Promise<Response> | undefined;
  }
}

/** The answer that is on its way already, once; later the question is asked again. */
function asked(path: string): Promise<Response> | undefined {
  if (path !== `${OWN}/me` || typeof window === 'undefined') return undefined;
  const early = window.tepuiMe;
  window.tepuiMe = undefined;
  return early;
}

/** One request on this origin. Throws `ApiError`, or the abort reason when `signal` fires. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const method = init.method ?? 'GET';
  const call = `${method} ${path}`;
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
  let answer: Response;
  try {
    const early = asked(path);
    answer = await (early ?? fetch(here(path), { ...init, method, signal, credentials: 'same-origin' }));
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    const text = deadline.aborted ? say('request.late') : say('request.unreachable');
    throw new ApiError(0, 'unreachable', text, call);
  }
  if (answer.ok) return answer;
  const error = await failure(answer, call);
  if (answer.status === 401 && !path.startsWith('/acs/')) reportSessionLost();
  throw error;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await request(path, { signal, headers: { accept: 'application/json' } });
  return (await answer.json()) as T;
}

async function send(
  method: string,
  path: string,
  body?: unknown,
  init: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<unknown> {
  const answer = await request(path, {
    ...init,
    method,
    headers: { accept: 'application/json', 'content-type': 'application/json', ...init.headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return text ? JSON.parse(text) : undefined;
}

/** What of the past is asked for. */
export interface HistoryAsk {
  of?: string | undefined;
  since?: string;
  who?: string;
  kind?: string;
  grep?: string;
  before?: string;
  after?: string;
  limit?: number;
  format?: 'jsonl';
}

function historyPath(ask: HistoryAsk): string {
  const said = Object.entries(ask).filter(([, value]) => value !== undefined && value !== '');
  return `${OWN}/history?${new URLSearchParams(said.map(([name, value]) => [name, String(value)]))}`;
}

/** An app id as one URL segment, so that no part of it can be read as a sub-resource. */
function segment(id: string): string {
  return encodeURIComponent(id);
}

/** An absolute app id as path: its slashes raw, everything else escaped. */
function marathonPath(id: string): string {
  return id.split('/').map(encodeURIComponent).join('/');
}

function forced(force: boolean): string {
  return force ? '?force=true' : '';
}

/** What a change sends: for the page itself, and for whoever wants to send it from a shell. */
export interface Call {
  method: string;
  path: string;
  body?: unknown;
}

/** The call as a line for a POSIX shell; the token is the reader's to fill in. */
export function curlOf({ method, path, body }: Call, origin = window.location.origin): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const url = new URL(here(path), origin).href;
  const sent = body === undefined ? '' : ` -H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}`;
  return `curl -X ${method} -H "authorization: token=$TOKEN"${sent} ${quoted(url)}`;
}

/** A service that is changed: pods have routes and commands of their own. */
export interface Service {
  id: string;
  kind?: 'pod' | undefined;
}

function routeOf({ id, kind }: Service): string {
  return `${MARATHON}/${kind === 'pod' ? 'pods' : 'apps'}${marathonPath(id)}`;
}

/** The changes of a service as the calls that make them. */
export const calls = {
  change: (id: string, patch: Record<string, unknown>): Call => ({
    method: 'PUT',
    path: `${MARATHON}/apps${marathonPath(id)}`,
    body: patch,
  }),
  /** Of a pod only with its whole definition, which is read when it is done. */
  scale: (service: Service, instances: number): Call | undefined =>
    service.kind === 'pod' ? undefined : calls.change(service.id, { instances }),
  restart: (service: Service): Call => ({ method: 'POST', path: `${routeOf(service)}/restart` }),
  remove: (service: Service): Call => ({ method: 'DELETE', path: routeOf(service) }),
  rollBack: (id: string, body: RollbackRequest): Call => ({ method: 'POST', path: `${OWN}/apps/${segment(id)}/rollback`, body }),
  kill: (task: Instance, scale: boolean): Call => ({
    method: 'POST',
    path: `${MARATHON}/tasks/delete${scale ? '?scale=true' : ''}`,
    body: { ids: [task.task_id] },
  }),
  cancelDeployment: (id: string): Call => ({ method: 'DELETE', path: `${MARATHON}/deployments/${segment(id)}` }),
};

/** Makes a change, over a deployment that holds the service when `force`. */
function make({ method, path, body }: Call, force = false): Promise<unknown> {
  return send(method, path + forced(force), body);
}

/** Who may sign in, as the platform's own API tells of them. */
export interface User {
  uid: string;
  description: string;
  is_service: boolean;
}

const USERS = '/acs/api/v1/users';
const usersOf = async (type: 'user' | 'service', signal?: AbortSignal) => (await get<{ array: User[] }>(`${USERS}?type=${type}`, signal)).array;

export const api = {
  me: (signal?: AbortSignal) => get<Me>(`${OWN}/me`, signal),
  signIn: (uid: string, password: string) =>
    send('POST', '/acs/api/v1/auth/login', { uid, password }),
  signOut: () => request('/acs/api/v1/auth/logout'),
  users: async (signal?: AbortSignal) => (await Promise.all([usersOf('user', signal), usersOf('service', signal)])).flat(),
  addUser: (uid: string, body: { description: string; password: string }) => send('PUT', `${USERS}/${segment(uid)}`, body),
  setPassword: (uid: string, password: string) => send('PATCH', `${USERS}/${segment(uid)}`, { password }),
  removeUser: (uid: string) => send('DELETE', `${USERS}/${segment(uid)}`),

  app: (id: string, signal?: AbortSignal) => get<App>(`${OWN}/apps/${segment(id)}`, signal),
  why: (id: string, signal?: AbortSignal) => get<Why>(`${OWN}/apps/${segment(id)}/why`, signal),
  /** Lets one node join. */
  invite: () => send('POST', `${OWN}/nodes/invite`) as Promise<{ token: string; master: string; expires_at: string }>,
  /** What came through the front door to each service. */
  traffic: (signal?: AbortSignal) => {
    const series = ['requests', 'errors', 'latency_p99'].map((name) => ['series', name]);
    return get<Measured>(`${OWN}/metrics?${new URLSearchParams([['of', 'services'], ...series])}`, signal);
  },
  drainPreview: (id: string) => get<DrainPreview>(`${OWN}/nodes/${segment(id)}/drain`),
  drain: (id: string, body: DrainRequest) =>
    send('POST', `${OWN}/nodes/${segment(id)}/drain`, body) as Promise<Moves>,
  files: (task: string, path: string, signal?: AbortSignal) =>
    get<{ path: string; entries: FileEntry[] }>(
      `${OWN}/tasks/${segment(task)}/files?${new URLSearchParams({ path })}`,
      signal,
    ),
  /** A piece of a file as text; an offset below 0 counts from its end. */
  piece: (task: string, file: string, offset: number, limit: number, signal?: AbortSignal) =>
    get<LogChunk>(
      `${OWN}/tasks/${segment(task)}/log?${new URLSearchParams({ file, offset: `${offset}`, limit: `${limit}` })}`,
      signal,
    ),
  /** Lines of a file that match, from a place in it on. */
  searchFile: (task: string, query: Record<string, string>, signal: AbortSignal) =>
    get<FileSearch>(`${OWN}/tasks/${segment(task)}/files/search?${new URLSearchParams(query)}`, signal),
  logs: (query: Record<string, string>, signal?: AbortSignal) =>
    get<Logs>(`${OWN}/logs?${new URLSearchParams(query)}`, signal),
  logsPath: (query: Record<string, string>) => `${OWN}/logs?${new URLSearchParams({ ...query, follow: 'true' })}`,
  logPath: (task: string, query: Record<string, string>) =>
    `${OWN}/tasks/${segment(task)}/log?${new URLSearchParams(query)}`,
  downloadPath: (task: string, path: string) =>
    here(`${OWN}/tasks/${segment(task)}/files?${new URLSearchParams({ path, download: 'true' })}`),

  /** What may stand in a definition, as JSON Schema. */
  schema: (signal?: AbortSignal) => get<unknown>(`${OWN}/schema/app`, signal),
  /** What a definition would do if it were run now. */
  plan: (spec: unknown, signal: AbortSignal) =>
    send('POST', `${OWN}/plan`, spec, { signal }) as Promise<PlanAnswer>,
  /** The definition whole in place of a version of it; refused when that is not the present one. */
  replace: (id: string, spec: unknown, version: string, force: boolean) =>
    send('PUT', `${MARATHON}/apps${marathonPath(id)}?partialUpdate=false&force=${force}`, spec, {
      headers: { 'if-match': `"${version}"` },
    }),
  history: (ask: HistoryAsk, signal?: AbortSignal) => get<History>(historyPath(ask), signal),
  historyPath,
  volumes: (signal?: AbortSignal) => get<{ volumes: Volume[] }>(`${OWN}/volumes`, signal),
  masters: (signal?: AbortSignal) => get<{ masters: Master[]; term: number; stale: boolean }>(`${OWN}/masters`, signal),
  /** What the answering master does, part by part. */
  reconcilers: (signal?: AbortSignal) => get<{ reconcilers: Reconciler[] }>(`${OWN}/debug/reconcilers`, signal),
  level: (signal?: AbortSignal) => get<Level>(`${OWN}/level`, signal),
  raise: (to: number) => send('POST', `${OWN}/level`, { to }),
  efficiency: (signal?: AbortSignal) => get<Efficiency>(`${OWN}/efficiency`, signal),
  versions: (id: string, signal?: AbortSignal) =>
    get<Versions>(`${OWN}/apps/${segment(id)}/versions`, signal),
  diff: async (id: string, from: string, to: string, signal?: AbortSignal) => {
    const query = new URLSearchParams({ from, to });
    const answer = await get<Versions>(`${OWN}/apps/${segment(id)}/versions?${query}`, signal);
    return answer.diff as VersionDiff;
  },
  rollBack: (id: string, body: RollbackRequest) => make(calls.rollBack(id, body)) as Promise<Rollback>,
  /** The end of what a task wrote. */
  logEnd: async (task: string, file: string) => {
    const query = new URLSearchParams({ file, offset: '-65536', limit: '65536' });
    return (await get<{ data: string }>(`${OWN}/tasks/${segment(task)}/log?${query}`)).data;
  },

  create: (spec: unknown) => send('POST', `${MARATHON}/apps`, spec),
  change: (id: string, patch: Record<string, unknown>, force = false) => make(calls.change(id, patch), force),
  scale: async (service: Service, instances: number, force = false) => {
    const call = calls.scale(service, instances);
    if (call) return make(call, force);
    const { version, ...spec } = (await api.app(service.id)).spec;
    const body = { ...spec, scaling: { kind: 'fixed', instances } };
    // Nobody else's change is undone by it.
    return send('PUT', routeOf(service) + forced(force), body, { headers: { 'if-match': `"${version}"` } });
  },
  restart: (service: Service, force = false) => make(calls.restart(service), force),
  remove: (service: Service, force = false) => make(calls.remove(service), force),
  kill: (task: Instance, scale: boolean) => make(calls.kill(task, scale)),
  scaleGroup: (id: string, scaleBy: number, force = false) =>
    send('PUT', `${MARATHON}/groups${marathonPath(id)}${forced(force)}`, { scaleBy }),
  removeGroup: (id: string, force = false) =>
    send('DELETE', `${MARATHON}/groups${marathonPath(id)}${forced(force)}`),
  retryNow: (id: string) => send('DELETE', `${MARATHON}/queue${marathonPath(id)}/delay`),
  cancelDeployment: (id: string) => make(calls.cancelDeployment(id)),
};
