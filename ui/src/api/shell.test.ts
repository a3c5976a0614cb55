import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Hooks, message, pieces, position, ShellSocket, type Told } from './shell';

/** The browser's side of a socket, in the hands of the test. */
class FakeSocket {
  static readonly OPEN = 1;
  static made: FakeSocket[] = [];
  readyState = 0;
  binaryType = '';
  sent: Uint8Array[] = [];
  closedWith: number | undefined;
  onopen?: (() => void) | null;
  onmessage?: ((event: { data: ArrayBuffer }) => void) | null;
  onclose?: ((event: { code: number }) => void) | null;

  constructor(readonly url: string, readonly protocol: string) {
    FakeSocket.made.push(this);
  }
  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }
  close(code?: number): void {
    this.closedWith = code;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  says(channel: number, payload: Uint8Array): void {
    this.onmessage?.({ data: message(channel, payload).buffer });
  }
  tells(channel: number, value: unknown): void {
    this.says(channel, new TextEncoder().encode(JSON.stringify(value)));
  }
  last(channel: number): string {
    const found = this.sent.filter((bytes) => bytes[0] === channel).at(-1);
    return new TextDecoder().decode(found?.subarray(1));
  }
}

function newest(): FakeSocket {
  const socket = FakeSocket.made.at(-1);
  if (!socket) throw new Error('no socket was made');
  return socket;
}

describe('a shell in a task', () => {
  let told: Told[];
  let screen: string;
  let shown: (() => void)[];
  let sessions: (string | undefined)[];
  let begun: [boolean, boolean][];
  let hooks: Hooks;

  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.made = [];
    [told, screen, shown, sessions, begun] = [[], '', [], [], []];
    vi.stubGlobal('WebSocket', FakeSocket);
    vi.stubGlobal('window', { addEventListener: () => {}, removeEventListener: () => {} });
    vi.stubGlobal('fetch', async () => new Response('{"uid":"ann","superuser":true}', { status: 200 }));
    hooks = {
      output: (bytes, done) => {
        screen += new TextDecoder().decode(bytes);
        shown.push(done);
      },
      began: (again, whole) => begun.push([again, whole]),
      told: (what) => told.push(what),
      session: (id) => sessions.push(id),
      size: () => ({ rows: 24, cols: 80 }),
    };
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  const utf8 = (text: string) => new TextEncoder().encode(text);
  const hello = (from: number) => ({ session: 's1', from, resume_s: 60 });

  it('says what it wants and confirms what is on the screen, not what arrived', () => {
    new ShellSocket('ws://x/', ['sh'], hooks);
    newest().open();
    expect(newest().protocol).toBe('tepui-exec.v1');
    expect(JSON.parse(newest().last(7))).toEqual({ cmd: ['sh'], tty: true, rows: 24, cols: 80 });
    newest().tells(7, hello(0));
    newest().says(1, utf8('x'.repeat(20_000)));
    vi.advanceTimersByTime(1_000);
    expect(newest().last(8)).toBe('');
    shown.shift()?.();
    expect(newest().last(8)).toBe(new TextDecoder().decode(position(20_000)));
    newest().says(1, utf8('few'));
    shown.shift()?.();
    vi.advanceTimersByTime(1_000);
    expect(newest().last(8)).toBe(new TextDecoder().decode(position(20_003)));
  });

  it('goes on where it was when its connection is lost', () => {
    new ShellSocket('ws://x/', ['sh'], hooks);
    newest().open();
    newest().tells(7, hello(0));
    newest().says(1, utf8('one'));
    newest().onclose?.({ code: 1006 });
    expect(told.at(-1)?.phase).toBe('lost');
    vi.advanceTimersByTime(1_000);
    expect(FakeSocket.made.length).toBe(2);
    newest().open();
    expect(JSON.parse(newest().last(7))).toEqual({ session: 's1', from: 3, rows: 24, cols: 80 });
    newest().tells(7, hello(3));
    newest().says(1, utf8('two'));
    expect(screen).toBe('onetwo');
    expect(begun).toEqual([[false, true], [true, false]]);
    expect(told.at(-1)?.phase).toBe('open');
  });

  it('begins its screen anew where the server has not all of it any more', () => {
    new ShellSocket('ws://x/', ['sh'], hooks, 's1');
    newest().open();
    expect(JSON.parse(newest().last(7)).session).toBe('s1');
    newest().tells(7, hello(500));
    expect(begun).toEqual([[true, true]]);
  });

  it('notices a connection that died without a word', () => {
    new ShellSocket('ws://x/', ['sh'], hooks);
    newest().open();
    newest().tells(7, hello(0));
    vi.advanceTimersByTime(31_000);
    expect(FakeSocket.made.length).toBe(2);
  });

  it('stops at the end, when taken over, and when it was away for too long', async () => {
    new ShellSocket('ws://x/', ['sh'], hooks);
    newest().open();
    newest().tells(7, hello(0));
    newest().tells(4, { exit_code: 127 });
    expect(told.at(-1)).toEqual({ phase: 'ended', text: 'The container has no shell (exit code 127).' });
    expect(sessions.at(-1)).toBeUndefined();

    new ShellSocket('ws://x/', ['sh'], hooks);
    newest().open();
    newest().tells(7, hello(0));
    newest().onclose?.({ code: 4001 });
    expect(told.at(-1)?.phase).toBe('taken');

    new ShellSocket('ws://x/', ['sh'], hooks);
    newest().open();
    newest().tells(7, hello(0));
    for (let n = 0; n < 40 && told.at(-1)?.phase !== 'failed'; n++) {
      newest().onclose?.({ code: 1006 });
      await vi.advanceTimersByTimeAsync(4_000);
    }
    expect(told.at(-1)?.text).toMatch(/away for too long/);
    const made = FakeSocket.made.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.made.length).toBe(made);
  });

  it('says why no socket comes about', async () => {
    new ShellSocket('ws://x/', ['sh'], hooks);
    for (let n = 0; n < 3; n++) {
      newest().onclose?.({ code: 1006 });
      await vi.advanceTimersByTimeAsync(5_000);
    }
    expect(told.at(-1)?.text).toMatch(/No WebSocket comes through/);
  });
});

describe('pieces', () => {
  it('keep the order and a bound', () => {
    const input = Uint8Array.from({ length: 20_000 }, (_, i) => i % 256);
    const cut = pieces(input);
    expect(cut.every((piece) => piece.length <= 8_192)).toBe(true);
    expect(cut.flatMap((piece) => [...piece])).toEqual([...input]);
  });
});
