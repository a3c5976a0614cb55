import { expect, test } from 'vitest';
import { ApiError, calls, curlOf } from './client';

test('a change as a line for a shell, whatever is in its names', () => {
  expect(curlOf(calls.change('/shop/web', { instances: 5 }), 'http://a:1')).toBe(
    `curl -X PUT -H "authorization: token=$TOKEN" -H 'content-type: application/json' -d '{"instances":5}' 'http://a:1/service/marathon/v2/apps/shop/web'`,
  );
  expect(curlOf(calls.rollBack('/shop/web', { to: '2026-11-28T08:00:00.000Z' }), 'http://a:1')).toBe(
    `curl -X POST -H "authorization: token=$TOKEN" -H 'content-type: application/json' -d '{"to":"2026-11-28T08:00:00.000Z"}' 'http://a:1/tepui/v1/apps/%2Fshop%2Fweb/rollback'`,
  );
  expect(curlOf(calls.cancelDeployment('d1'), 'http://a:1')).toBe(
    `curl -X DELETE -H "authorization: token=$TOKEN" 'http://a:1/service/marathon/v2/deployments/d1'`,
  );
  expect(curlOf(calls.remove({ id: "/it's $(reboot)" }), 'http://a:1')).toBe(
    `curl -X DELETE -H "authorization: token=$TOKEN" 'http://a:1/service/marathon/v2/apps/it'\\''s%20%24(reboot)'`,
  );
});

test('what a deployment holds is told from other conflicts, whichever API says so', () => {
  const refused = (code: string, message: string, status = 409) => new ApiError(status, code, message, 'PUT /a').locked;
  expect(refused('locked', '[/a] locked by running deployments')).toBe(true);
  expect(refused('http', "App is locked by one or more deployments. Override with the option '?force=true'.")).toBe(true);
  expect(refused('conflict', '/a was changed meanwhile; read it again')).toBe(false);
  expect(refused('locked', 'locked', 503)).toBe(false);
});

test('pods have routes of their own', () => {
  expect(calls.restart({ id: '/shop/pod', kind: 'pod' }).path).toBe('/service/marathon/v2/pods/shop/pod/restart');
  expect(calls.remove({ id: '/shop/pod', kind: 'pod' }).path).toBe('/service/marathon/v2/pods/shop/pod');
  expect(calls.remove({ id: '/shop/web' }).path).toBe('/service/marathon/v2/apps/shop/web');
  // It takes the whole definition, which nobody has read yet.
  expect(calls.scale({ id: '/shop/pod', kind: 'pod' }, 3)).toBeUndefined();
  expect(calls.scale({ id: '/shop/web' }, 3)?.body).toEqual({ instances: 3 });
});
