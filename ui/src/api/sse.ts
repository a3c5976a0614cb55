// Server-sent events over fetch: unlike EventSource it shows the status of a refusal and lets the
// caller choose where to resume.
import { say } from '../words';
import { here } from './base';
import { ApiError, request } from './client';

export interface ServerEvent {
  event: string;
  data: string;
  id?: string;
}

/** Splits a byte stream into events; keeps the unfinished rest between calls of `push`. */
export class EventParser {
  private rest = '';
  private event = '';
  private data: string[] = [];
  private id: string | undefined;

  push(text: string): ServerEvent[] {
    const out: ServerEvent[] = [];
    // A "\r" at the very end may be half of "\r\n": keep it for the next piece.
    let all = this.rest + text;
    let held = '';
    if (all.endsWith('\r')) {
      held = '\r';
      all = all.slice(0, -1);
    }
    const lines = all.split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? '') + held;
    for (const line of lines) this.line(line, out);
    return out;
  }

  private line(line: string, out: ServerEvent[]): void {
    if (line === '') {
      if (this.data.length > 0) {
        out.push({ event: this.event || 'message', data: this.data.join('\n'), id: this.id });
      }
      this.event = '';
      this.data = [];
      this.id = undefined;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.event = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id') this.id = value;
  }
}

/**
 * Reads `path` until the server ends it, `signal` fires, or nothing came for `silenceMs`.
 * Returns normally only when the server closed the stream.
 */
export async function readEvents(
  path: string,
  options: {
    lastEventId?: string;
    signal: AbortSignal;
    silenceMs: number;
    /** The server accepted; events may still take their time. */
    onOpen?: () => void;
  },
  onEvent: (event: ServerEvent) => void,
): Promise<void> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  if (options.signal.aborted) return;
  options.signal.addEventListener('abort', abort, { once: true });
  let silence = setTimeout(abort, options.silenceMs);
  try {
    const answer = await openStream(path, options.lastEventId, stop.signal);
    options.onOpen?.();
    const reader = answer.body?.getReader();
    if (!reader) return;
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(abort, options.silenceMs);
      for (const event of parser.push(decoder.decode(value, { stream: true }))) onEvent(event);
    }
  } finally {
    clearTimeout(silence);
    options.signal.removeEventListener('abort', abort);
    stop.abort();
  }
}

async function openStream(
  path: string,
  lastEventId: string | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (lastEventId !== undefined) headers['last-event-id'] = lastEventId;
  const answer = await fetch(here(path), {
    headers,
    signal,
    cache: 'no-store',
    credentials: 'same-origin',
  });
  if (answer.ok) return answer;
  await answer.body?.cancel();
  // Ask again the plain way: it turns the refusal into the usual error and ends a lost session.
  if (answer.status === 401) await request('/tepui/v1/me');
  throw new ApiError(answer.status, 'stream', say('request.status', { status: `${answer.status}` }), `GET ${path}`);
}
