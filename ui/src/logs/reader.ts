// Reads what is asked for and keeps it: the newest lines live, or those around a moment; older and newer
// pages on the way. Outside of React: what comes often is told at most four times a second.
import { ApiError, api } from '../api/client';
import { readEvents } from '../api/sse';
import type { Logs, LogStream } from '../api/types';
import { asking } from '../lib/pattern';
import { followed, type Held, isApart, joined, NOTHING, preceded, since } from './held';
import { type Line, made } from './line';

/** Lines of the first answer and of each older or newer page. */
const PAGE = 1_000;
/** Lines that a stream which was lost catches up with; more are a gap. */
const CATCH_UP = 5_000;
/** How often what came is told. */
const TELL_MS = 250;
/** Nothing at all, not even a heartbeat. */
const SILENCE_MS = 40_000;
const RETRY_MS = 500;
const RETRY_MAX_MS = 8_000;
/** A page that nobody looks at lets go of its stream: a browser has few connections. */
const HIDDEN_MS = 20_000;
/** Lines that are kept while the reader pauses. */
const PAUSED_MAX = 20_000;
/** Answers in a row that may bring nothing while a search goes on. */
const SEARCH_MAX = 40;

export interface Asked {
  of: string;
  grep: string;
  cased: boolean;
  stream: string;
  previous: boolean;
  /** The moment to look at; the newest lines without it. */
  at: number | undefined;
}

export type State = 'opening' | 'following' | 'standing' | 'retrying' | 'ended' | 'failed';

export interface View {
  held: Held;
  streams: readonly LogStream[];
  state: State;
  error: unknown;
  /** Lines that came while paused. */
  waiting: number;
  seeking: boolean;
}

const BLANK: View = { held: NOTHING, streams: [], state: 'opening', error: undefined, waiting: 0, seeking: false };
const iso = (ms: number) => new Date(ms).toISOString();

export class Reader {
  private view = BLANK;
  private listeners = new Set<() => void>();
  private stop = new AbortController();
  private stream: AbortController | undefined;
  private fresh: Line[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private paused = false;
  private hiding: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly asked: Asked) {}

  get = (): View => this.view;

  subscribe = (f: () => void): (() => void) => {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  };

  /** Begins to read; what it returns ends it. */
  start(): () => void {
    this.stop = new AbortController();
    document.addEventListener('visibilitychange', this.seen);
    if (this.asked.at === undefined) void this.follow();
    else void this.around(this.asked.at);
    return () => {
      this.stop.abort();
      this.stream?.abort();
      this.stream = undefined;
      clearTimeout(this.timer);
      clearTimeout(this.hiding);
      document.removeEventListener('visibilitychange', this.seen);
    };
  }

  /** While paused nothing joins the list; what comes is counted. */
  pause(paused: boolean): void {
    if (this.paused === paused) return;
    this.paused = paused;
    if (paused) return;
    this.take();
    if (!this.stream && this.isLive()) void this.follow();
  }

  /** A page of older lines; how many came. */
  older = () => this.page('before');

  /** A page of newer lines, of a list that does not reach to the newest. */
  newer = () => this.page('after');

  /** The nearest line beyond the loaded ones that matches `grep`; nothing where there is none. */
  async beyond(grep: string, step: 1 | -1): Promise<Logs['lines'][number] | undefined> {
    const { held } = this.view;
    let edge = step < 0 ? held.before : held.after;
    for (let n = 0; n < SEARCH_MAX && edge; n++) {
      const more: Record<string, string> = { ...(step < 0 ? { before: edge } : { after: edge }), limit: '1', grep };
      const answer = await api.logs({ ...this.query(), ...more }, this.stop.signal);
      const line = step < 0 ? answer.lines.at(-1) : answer.lines[0];
      if (line) return line;
      edge = step < 0 ? answer.before : answer.after;
    }
    return undefined;
  }

  private isLive(): boolean {
    return !this.view.held.after && this.view.state !== 'failed' && this.view.state !== 'ended' && !this.stop.signal.aborted;
  }

  private query(): Record<string, string> {
    const { of, stream, grep, cased, previous } = this.asked;
    return {
      of,
      ...(stream && { stream }),
      ...(grep && { grep: asking(grep, cased) }),
      ...(previous && { previous: 'true' }),
    };
  }

  private tell(change: Partial<View>): void {
    this.view = { ...this.view, ...change };
    for (const f of this.listeners) f();
  }

  private fail(cause: unknown): void {
    if (!this.stop.signal.aborted) this.tell({ state: 'failed', error: cause });
  }

  /** The lines before and after a moment. */
  private async around(at: number): Promise<void> {
    const ask = (more: Record<string, string>) => api.logs({ ...this.query(), limit: `${PAGE}`, ...more }, this.stop.signal);
    try {
      const [old, young] = await Promise.all([ask({ before: iso(at) }), ask({ after: iso(at) })]);
      const lines = made([...old.lines, ...young.lines], at);
      this.tell({ held: { lines, before: old.before, after: young.after }, streams: young.streams, state: 'standing' });
      if (!young.after) void this.follow();
    } catch (cause) {
      this.fail(cause);
    }
  }

  private async page(edge: 'before' | 'after'): Promise<number> {
    let from = this.view.held[edge];
    if (!from || this.view.seeking) return 0;
    this.tell({ seeking: true });
    let n = 0;
    try {
      // A search may have to go far for its next line.
      for (let asked = 0; asked < SEARCH_MAX && from && n === 0; asked++) {
        const answer: Logs = await api.logs({ ...this.query(), [edge]: from, limit: `${PAGE}` }, this.stop.signal);
        from = answer[edge];
        n = answer.lines.length;
        const lines = made(answer.lines, this.view.held.lines[0]?.ms);
        const held = (edge === 'before' ? preceded : followed)(this.view.held, lines, from);
        this.tell({ held });
      }
      if (edge === 'after' && !from) void this.follow();
      // What is newest left for what is old: it comes again on the way back.
      if (edge === 'before' && this.view.held.after) this.leave();
    } catch {
      // Asked for again by the next scroll.
    } finally {
      this.tell({ seeking: false });
    }
    return n;
  }

  /** Follows the newest lines until all has ended, over connections that break. */
  private async follow(): Promise<void> {
    if (this.stream || this.stop.signal.aborted) return;
    const stream = new AbortController();
    this.stream = stream;
    let wait = RETRY_MS;
    while (!stream.signal.aborted) {
      try {
        await this.connection(stream.signal, () => (wait = RETRY_MS));
        if (this.view.state === 'ended') break;
      } catch (cause) {
        if (stream.signal.aborted) break;
        const lost = !(cause instanceof ApiError) || cause.status === 0 || cause.status === 429 || cause.status >= 500;
        if (!lost) {
          // Its words come with the plain answer.
          await api.logs({ ...this.query(), limit: '1' }, stream.signal).catch((plain: unknown) => this.fail(plain));
          if (this.view.state === 'failed') break;
        }
      }
      if (stream.signal.aborted) break;
      if (this.view.state !== 'opening' || wait > RETRY_MS) this.tell({ state: 'retrying' });
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, RETRY_MAX_MS);
    }
    if (this.stream === stream) this.stream = undefined;
  }

  private async connection(signal: AbortSignal, onHeard: () => void): Promise<void> {
    const from = since(this.view.held);
    const path = api.logsPath({ ...this.query(), ...(from ? { since: from, limit: `${CATCH_UP}` } : { limit: `${PAGE}` }) });
    let isFirst = true;
    await readEvents(path, { signal, silenceMs: SILENCE_MS }, ({ event, data }) => {
      onHeard();
      if (event === 'end') this.tell({ state: 'ended' });
      if (event !== 'lines') return;
      const logs = JSON.parse(data) as Logs;
      if (isFirst) this.begin(logs);
      else this.more(logs);
      isFirst = false;
    });
    this.take();
  }

  /** The first answer of a connection: all there is, or what was missed. */
  private begin(logs: Logs): void {
    const { held } = this.view;
    const lines = made(logs.lines, held.lines.at(-1)?.ms);
    const isAnew = held.lines.length === 0 || isApart(held, logs);
    this.fresh = [];
    this.tell({
      held: isAnew ? { lines, before: logs.before } : joined(held, lines),
      streams: logs.streams,
      state: 'following',
    });
  }

  private more(logs: Logs): void {
    const floor = this.fresh.at(-1)?.ms ?? this.view.held.lines.at(-1)?.ms;
    this.fresh.push(...made(logs.lines, floor));
    if (logs.streams.length > 0) {
      const isNews = (known: LogStream) => !logs.streams.some((s) => s.task === known.task && s.stream === known.stream);
      this.tell({ streams: [...this.view.streams.filter(isNews), ...logs.streams] });
    }
    // Too much to keep for a reader who looks elsewhere: it is asked for again when he goes on.
    if (this.paused && this.fresh.length > PAUSED_MAX) this.leave();
    if (this.fresh.length > 0) this.timer ??= setTimeout(this.take, TELL_MS);
  }

  /** Puts what came into the list. */
  private take = (): void => {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.paused) return this.tell({ waiting: this.fresh.length });
    if (this.fresh.length === 0) return;
    const fresh = this.fresh.toSorted((a, b) => a.ms - b.ms);
    this.fresh = [];
    // The list does not reach so far any more.
    if (this.view.held.after) return;
    this.tell({ held: joined(this.view.held, fresh), waiting: 0 });
  };

  private leave(): void {
    this.stream?.abort();
    this.stream = undefined;
    if (this.view.held.after) this.tell({ state: 'standing' });
  }

  private seen = (): void => {
    clearTimeout(this.hiding);
    if (document.hidden) this.hiding = setTimeout(() => this.leave(), HIDDEN_MS);
    else if (!this.stream && this.isLive() && this.view.state !== 'opening') void this.follow();
  };
}
