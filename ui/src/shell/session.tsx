// Who is looking: asks the server once, shows sign-in without a session, the shell with one.
import { lazy, Suspense, useCallback, useEffect, useLayoutEffect, useState } from 'react';
import { ApiError, api, onSessionLost } from '../api/client';
import { followLive, queries } from '../api/hooks';
import { live } from '../api/live';
import type { Me } from '../api/types';
import { Failure } from '../components/ui';
import { Shell } from './shell';
import css from './session.module.css';

const SignIn = lazy(() => import('./signin'));

type State = { kind: 'asking' } | { kind: 'out' } | { kind: 'in'; me: Me } | { kind: 'broken'; error: unknown };

export function Session() {
  const [state, setState] = useState<State>({ kind: 'asking' });

  const ask = useCallback(() => {
    api
      .me()
      .then((me) => setState({ kind: 'in', me }))
      .catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401) setState({ kind: 'out' });
        else setState({ kind: 'broken', error });
      });
  }, []);

  useEffect(ask, [ask]);
  useEffect(
    () =>
      onSessionLost(() => {
        queries.clear();
        setState({ kind: 'out' });
      }),
    [],
  );

  const signedIn = state.kind === 'in';
  useEffect(() => {
    if (!signedIn) return;
    const stopLive = live.start();
    const stopFollowing = followLive();
    return () => {
      stopFollowing();
      stopLive();
    };
  }, [signedIn]);

  if (state.kind === 'asking') return null;
  if (state.kind === 'in') {
    return (
      <>
        <Here />
        <Shell me={state.me} />
      </>
    );
  }
  if (state.kind === 'broken') {
    return (
      <main className={css.broken}>
        <Here />
        <h1>tepui</h1>
        <Failure error={state.error} retry={ask} />
      </main>
    );
  }
  return (
    <Suspense>
      <Here />
      <SignIn onSignedIn={ask} />
    </Suspense>
  );
}

/** With the page itself there, what the document showed until then goes (index.html). */
function Here() {
  useLayoutEffect(() => document.getElementById('skeleton')?.remove(), []);
  return null;
}
