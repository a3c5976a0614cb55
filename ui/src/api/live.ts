// The live view: one stream for the whole browser, shared by its tabs.
//
// The tab that holds the Web Lock `tepui.live` reads /tepui/v1/events and hands every event on
// over a BroadcastChannel; the others only listen. When the holder closes, the next tab gets the
// lock and resumes at the last event id it saw. Where Web Locks do not exist (plain http on a
// foreign address), each tab reads its own stream.
import { onSessionLost } from './client';
import { readEvents } from './sse';
import { Cell, type Everything, Store } from './store';

/** `lost` = no contact for so long that the reader must be told. */
export type Phase = 'connecting' | 'live' | 'lost';

export interface Connection {
  phase: Phase;
  /** When the server was last heard as this was told, ms since 1970; 0 before the first time. */
  heardAt: number;
  /** When the next attempt starts, while there is no connection. */
  retryAt: number;
}

type Shared = Everything & Connection & { lastEventId: string | undefined };

type Message =
  | { kind: 'hello' }
  | { kind: 'state'; state: Shared }
  | { kind: 'event'; event: string; data: string; id: string | undefined }
  | ({ kind: 'phase' } & Connection)
  | { kind: 'retry' };

const EVENTS = '/tepui/v1/events';
const LOCK = 'tepui.live';
const VISIBLE = 'tepui.visible';
/** Two missed heartbeats and a half. */
const SILENCE_MS = 40_000;
/** A reconnect faster than this is not worth a word to the reader. */
const PATIENCE_MS = 2_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
/** The stream rests when no tab was visible for this long. */
const REST_AFTER_MS = 30_000;

const NOT_YET: Connection = { phase: 'connecting', heardAt: 0, retryAt: 0 };

class Live {
  readonly connection = new Cell(NOT_YET);
  readonly store = new Store();
  private heardAt = 0;
  private lastEventId: string | undefined;
  private channel: BroadcastChannel | undefined;
  private ended = new AbortController();
  private retryNow: (() => void) | undefined;
  private reading = false;

  /** Starts for a signed-in reader; returns the way to stop and forget. */
  start(): () => void {
    this.ended = new AbortController();
    const { signal } = this.ended;
    const stop = () => {
      this.ended.abort();
      this.channel?.close();
      this.channel = undefined;
      this.lastEventId = undefined;
      this.heardAt = 0;
      this.connection.put(NOT_YET);
      this.store.clear();
    };
    if (typeof BroadcastChannel === 'undefined' || !navigator.locks) {
      void this.read(signal);
    } else {
      this.channel = new BroadcastChannel(LOCK);
      this.channel.onmessage = (message: MessageEvent<Message>) => this.receive(message.data);
      this.tell({ kind: 'hello' });
      holdWhileVisible(signal);
      // Rejects only when aborted by `signal`, which is how it ends.
      navigator.locks.request(LOCK, { signal }, () => this.read(signal)).catch(() => undefined);
    }
    const unsubscribe = onSessionLost(stop);
    const wake = () => {
      if (document.visibilityState === 'visible') this.retry();
    };
    document.addEventListener('visibilitychange', wake, { signal });
    window.addEventListener('online', wake, { signal });
    return () => {
      unsubscribe();
      stop();
    };
  }

  /** Ends the pause before the next attempt, in whichever tab makes it. */
  retry = (): void => {
    if (this.reading) this.retryNow?.();
    else this.tell({ kind: 'retry' });
  };

  private tell(message: Message): void {
    this.channel?.postMessage(message);
  }

  private receive(message: Message): void {
    if (message.kind === 'event') this.take(message.event, message.data, message.id);
    else if (message.kind === 'phase') {
      const { phase, heardAt, retryAt } = message;
      this.connection.put({ phase, heardAt, retryAt });
    } else if (message.kind === 'hello') {
      if (this.reading && this.heardAt > 0) this.tell({ kind: 'state', state: this.shared() });
    } else if (message.kind === 'state') {
      const { lastEventId, phase, heardAt, retryAt, ...everything } = message.state;
      this.lastEventId = lastEventId;
      this.heardAt = heardAt;
      this.connection.put({ phase, heardAt, retryAt });
      this.store.replace(everything);
    } else if (this.reading) this.retryNow?.();
  }

  private shared(): Shared {
    const { lastEventId, heardAt } = this;
    return { ...this.store.everything(), ...this.connection.get(), heardAt, lastEventId };
  }

  private take(event: string, data: string, id: string | undefined): void {
    if (id !== undefined) this.lastEventId = id;
    this.heardAt = Date.now();
    if (this.connection.get().phase !== 'live') {
      this.connection.put({ phase: 'live', heardAt: this.heardAt, retryAt: 0 });
    }
    this.store.take(event, data);
  }

  /** Holds the stream open until `signal` fires. */
  private async read(signal: AbortSignal): Promise<void> {
    this.reading = true;
    for (let failures = 0; !signal.aborted; ) {
      await this.untilVisible(signal);
      const startedAt = Date.now();
      try {
        await this.connect(signal);
      } catch {
        // Whatever ended it, the answer is to try again; a lost session ended `signal` already.
      }
      if (signal.aborted) break;
      failures = this.heardAt >= startedAt ? 1 : failures + 1;
      await this.pause(failures, signal);
    }
    this.reading = false;
  }

  /** One connection; ends with the server, after silence, or when no tab has been visible. */
  private async connect(signal: AbortSignal): Promise<void> {
    const rest = new AbortController();
    let hiddenSince = 0;
    const watch = setInterval(async () => {
      if (document.visibilityState === 'visible' || (await anyTabVisible())) hiddenSince = 0;
      else if (hiddenSince === 0) hiddenSince = Date.now();
      else if (Date.now() - hiddenSince >= REST_AFTER_MS) rest.abort();
    }, REST_AFTER_MS / 3);
    const options = {
      lastEventId: this.lastEventId,
      signal: AbortSignal.any([signal, rest.signal]),
      silenceMs: SILENCE_MS,
    };
    try {
      await readEvents(EVENTS, options, (event) => {
        this.take(event.event, event.data, event.id);
        this.tell({ kind: 'event', event: event.event, data: event.data, id: event.id });
      });
    } finally {
      clearInterval(watch);
    }
  }

  private async pause(failures: number, signal: AbortSignal): Promise<void> {
    const base = BACKOFF_MS[Math.min(failures - 1, BACKOFF_MS.length - 1)] ?? 30_000;
    const wait = base * (0.75 + Math.random() / 2);
    const retryAt = Date.now() + wait;
    const report = () => {
      const { heardAt } = this;
      const quiet = failures > 1 || Date.now() - heardAt > PATIENCE_MS;
      const phase: Phase = heardAt === 0 && failures < 2 ? 'connecting' : quiet ? 'lost' : 'live';
      this.connection.put({ phase, heardAt, retryAt });
      this.tell({ kind: 'phase', phase, heardAt, retryAt });
    };
    report();
    const later = setTimeout(report, PATIENCE_MS);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.retryNow = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    clearTimeout(later);
    this.retryNow = undefined;
  }

  /** Waits while every tab of the browser has been hidden for a while. */
  private async untilVisible(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && document.visibilityState === 'hidden') {
      if (await anyTabVisible()) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, REST_AFTER_MS);
        this.retryNow = () => {
          clearTimeout(timer);
          resolve();
        };
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}

/** Every visible tab holds a shared lock, so that the reading tab can tell whether any is. */
function holdWhileVisible(ended: AbortSignal): void {
  let release: (() => void) | undefined;
  const update = () => {
    const visible = document.visibilityState === 'visible' && !ended.aborted;
    if (visible && !release) {
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      void navigator.locks.request(VISIBLE, { mode: 'shared' }, () => held);
    } else if (!visible) {
      release?.();
      release = undefined;
    }
  };
  document.addEventListener('visibilitychange', update, { signal: ended });
  ended.addEventListener('abort', update, { once: true });
  update();
}

async function anyTabVisible(): Promise<boolean> {
  if (!navigator.locks) return false;
  const { held } = await navigator.locks.query();
  return held?.some((lock) => lock.name === VISIBLE) ?? false;
}

export const live = new Live();
