import { expect, test } from 'vitest';
import { calls, curlOf } from './client';

test('a change as a line for a shell, whatever is in its names', () => {
  expect(curlOf(calls.change('/shop/web', { instances: 5 }), 'http://a:1')).toBe(
    `curl -X PUT -H "authorization: token=$TOKEN" -H 'content-type: application/json' -d '{"instances":5}' 'http://a:1/service/marathon/v2/apps/shop/web'`,
  );
  expect(curlOf(calls.remove("/it's $(reboot)"), 'http://a:1')).toBe(
    `curl -X DELETE -H "authorization: token=$TOKEN" 'http://a:1/service/marathon/v2/apps/it'\\''s%20%24(reboot)'`,
  );
});
