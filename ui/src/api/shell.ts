// A command in a task over a WebSocket (docs/api/exec.md): opens it, keeps count of what was received,
// and takes the session over again when the connection was lost.
import { say } from '../words';
import { api, reportSessionLost } from './client';
import { ApiError } from './client';

export const PROTOCOL = 'tepui-exec.v1';
/** Channels of the protocol. */
const enum Channel {
  Stdin = 0,
  Stdout = 1,
  Stderr = 2,
  Resize = 3,
  End = 4,
  Ping = 5,
  Open = 7,
  Received = 8,
}

export type Phase = 'opening' | 'open' | 'lost' | 'ended' | 'failed' | 'taken';

export interface Told {
  phase: Phase;
  text: string;
  hint?: string | undefined;
  /** Of what the server says, which speaks English whatever the page does. */
  lang?: 'en';
}

export interface Size {
  rows: number;
  cols: number;
}

export interface Hooks {
  /** Output; `done` is called when it is on the screen, which lets more come. */
  output: (bytes: Uint8Array, done: () => void) => void;
  /** Output of the middle is missing, or all of it comes anew. */
  began: (again: boolean, whole: boolean) => void;
  told: (told: Told) => void;
  session: (id: string | undefined) => void;
  size: () => Size;
}

/** Longest piece of input in one message. */
const INPUT_BYTES = 8 * 1024;
/** Received bytes that are confirmed at once; less waits for a moment. */
const CONFIRM_BYTES = 16 * 1024;
const CONFIRM_MS = 150;
const PING_MS = 10_000;
const SILENT_MS = 25_000;
const RETRY_MS = [200, 500, 1_000, 2_000, 4_000];
/** How long a lost session is asked for, until the server has said it better. */
const RESUME_S = 60;
/** Connections that fail before any message came: more are not tried for a new session. */
const FIRST_TRIES = 3;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function message(channel: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(payload.length + 1);
  bytes[0] = channel;
  bytes.set(payload, 1);
  return bytes;
}

/** A position as the protocol writes it. */
export function position(n: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(n));
  return bytes;
}

/** The pieces of an input, none longer than a message may be. */
export function pieces(input: Uint8Array): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let at = 0; at < input.length; at += INPUT_BYTES) out.push(input.subarray(at, at + INPUT_BYTES));
  return out;
}

export class ShellSocket {
  private socket: WebSocket | undefined;
  private session: string | undefined;
  /** What arrived, and what of it is on the screen and may be confirmed. */
  private arrived: number | undefined;
  private shown = 0;
  private confirmed = 0;
  private lostAt: number | undefined;
  private resume = RESUME_S;
  private tries = 0;
  private heardAt = 0;
  private over = false;
  private timers: Partial<Record<'retry' | 'ping' | 'confirm', ReturnType<typeof setTimeout>>> = {};
  private readonly online = () => this.socket === undefined && this.lostAt !== undefined && this.connect();

  constructor(
    private readonly url: string,
    private readonly command: string[],
    private readonly hooks: Hooks,
    session?: string,
  ) {
    this.session = session;
    window.addEventListener('online', this.online);
    this.connect();
  }

  input(text: string): void {
    for (const piece of pieces(encoder.encode(text))) this.send(Channel.Stdin, piece);
  }

  resized(size: Size): void {
    this.send(Channel.Resize, encoder.encode(JSON.stringify(size)));
  }

  /** Ends the command: nobody comes back to it. */
  close(): void {
    const socket = this.socket;
    this.stop();
    socket?.close(1000);
  }

  private send(channel: Channel, payload: Uint8Array): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message(channel, payload));
  }

  private stop(): void {
    this.over = true;
    window.removeEventListener('online', this.online);
    this.drop();
  }

  private drop(): void {
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.timers = {};
    if (this.socket) {
      this.socket.onmessage = this.socket.onclose = this.socket.onopen = null;
      this.socket = undefined;
    }
  }

  private connect(): void {
    this.drop();
    const socket = new WebSocket(this.url, PROTOCOL);
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.heardAt = Date.now();
      const wanted = this.session
        ? { session: this.session, from: this.arrived, ...this.hooks.size() }
        : { cmd: this.command, tty: true, ...this.hooks.size() };
      this.send(Channel.Open, encoder.encode(JSON.stringify(wanted)));
      this.timers.ping = setInterval(() => this.ping(), PING_MS);
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => this.heard(new Uint8Array(event.data));
    socket.onclose = (event) => this.closed(event.code);
  }

  /** A connection that died without a word is noticed here. */
  private ping(): void {
    if (Date.now() - this.heardAt > SILENT_MS) {
      const dead = this.socket;
      this.drop();
      dead?.close();
      this.lost();
    } else this.send(Channel.Ping, new Uint8Array());
  }

  private heard(bytes: Uint8Array): void {
    this.heardAt = Date.now();
    const payload = bytes.subarray(1);
    switch (bytes[0]) {
      case Channel.Open:
        return this.opened(JSON.parse(decoder.decode(payload)));
      case Channel.Stdout:
      case Channel.Stderr:
        this.arrived = (this.arrived ?? 0) + payload.length;
        return this.hooks.output(payload, () => this.confirm(payload.length));
      case Channel.End:
        return this.ended(JSON.parse(decoder.decode(payload)));
    }
  }

  private opened(hello: { session: string; from: number; resume_s: number }): void {
    const again = this.session !== undefined;
    const whole = this.arrived !== hello.from;
    this.session = hello.session;
    this.resume = hello.resume_s;
    this.hooks.began(again, whole);
    if (whole) this.arrived = this.shown = this.confirmed = hello.from;
    this.lostAt = undefined;
    this.tries = 0;
    this.hooks.session(hello.session);
    this.hooks.told({ phase: 'open', text: '' });
  }

  private confirm(n: number): void {
    this.shown += n;
    const send = () => {
      clearTimeout(this.timers.confirm);
      this.timers.confirm = undefined as never;
      this.confirmed = this.shown;
      this.send(Channel.Received, position(this.shown));
    };
    if (this.shown - this.confirmed >= CONFIRM_BYTES) send();
    else this.timers.confirm ??= setTimeout(send, CONFIRM_MS);
  }

  private ended(end: { exit_code?: number; error?: { message: string; hint?: string } }): void {
    const socket = this.socket;
    this.hooks.session(undefined);
    this.stop();
    socket?.close(1000);
    if (end.exit_code !== undefined) this.hooks.told({ phase: 'ended', text: exitText(end.exit_code) });
    else if (end.error) this.hooks.told({ phase: 'failed', text: end.error.message, hint: end.error.hint, lang: 'en' });
    else this.hooks.told({ phase: 'failed', text: say('shell.over') });
  }

  private closed(code: number): void {
    this.drop();
    if (this.over) return;
    if (code === 4001) {
      this.stop();
      this.hooks.told({ phase: 'taken', text: say('shell.elsewhere') });
    } else if (code === 4003) {
      this.hooks.session(undefined);
      this.stop();
      this.hooks.told({ phase: 'failed', text: say('shell.signedOut') });
      void api.me().catch(() => undefined);
    } else this.lost();
  }

  /** Tries again as long as the session waits for us. */
  private lost(): void {
    this.lostAt ??= Date.now();
    this.tries += 1;
    const opened = this.arrived !== undefined;
    const late = Date.now() - this.lostAt > this.resume * 1_000;
    if (late || (!opened && this.tries >= FIRST_TRIES)) {
      void this.giveUp(opened);
      return;
    }
    if (opened) this.hooks.told({ phase: 'lost', text: say('shell.lost') });
    const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length) - 1];
    this.timers.retry = setTimeout(() => this.connect(), wait);
  }

  /** The browser says nothing about a handshake that failed: an ordinary question does. */
  private async giveUp(opened: boolean): Promise<void> {
    this.stop();
    this.hooks.session(undefined);
    let text = opened ? say('shell.late') : say('shell.noSocket');
    try {
      const me = await api.me();
      if (!me.superuser) text = say('shell.superuser');
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) reportSessionLost();
      else text = say('request.unreachable');
    }
    this.hooks.told({ phase: 'failed', text });
  }
}

/** What an exit code means. */
export function exitText(code: number): string {
  if (code === 0) return say('shell.ended');
  if (code === 126) return say('shell.cannotRun');
  if (code === 127) return say('shell.missing');
  if (code > 128) return say('shell.signal', { signal: code - 128, code });
  return say('shell.code', { code });
}
