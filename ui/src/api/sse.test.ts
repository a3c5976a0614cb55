import { expect, test } from 'vitest';
import { EventParser } from './sse';

test('events come out whole however the bytes are cut', () => {
  const text = ': hi\n\nevent: snapshot\nid: 7\ndata: {"a":1}\n\nevent: delta\r\ndata: x\r\ndata: y\r\n\r\ndata:z\n\n';
  const want = [
    { event: 'snapshot', data: '{"a":1}', id: '7' },
    { event: 'delta', data: 'x\ny', id: undefined },
    { event: 'message', data: 'z', id: undefined },
  ];
  for (const size of [1, 2, 3, 7, 1000]) {
    const parser = new EventParser();
    const got = [];
    for (let at = 0; at < text.length; at += size) got.push(...parser.push(text.slice(at, at + size)));
    expect(got, `pieces of ${size}`).toEqual(want);
  }
});

test('an event without data is none', () => {
  expect(new EventParser().push('event: heartbeat\nid: 1\n\n')).toEqual([]);
});
