// The way in: name and password; the session itself is an HttpOnly cookie the page never reads.
import { type FormEvent, useState } from 'react';
import { ApiError, api, wording } from '../api/client';
import { TextField } from '../components/field';
import { Button } from '../components/ui';
import { comeBack } from './comeback';
import { say } from '../words';
import { Logo } from './logo';
import css from './session.module.css';

export default function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setError('');
    try {
      await api.signIn(String(form.get('uid')), String(form.get('password')));
      if (!comeBack()) onSignedIn();
    } catch (cause) {
      setBusy(false);
      if (cause instanceof ApiError && cause.status === 401) setError(say('signin.wrong'));
      else setError(wording(cause).text);
    }
  };

  return (
    <div className={css.page}>
      <main className={css.center}>
        <form className={css.card} onSubmit={submit}>
          <div className={css.brand}>
            <Logo size={40} />
            <div>
              <h1>tepui</h1>
              <p>{say('signin.to')}</p>
            </div>
          </div>
          <TextField label={say('signin.user')} name="uid" autoComplete="username" autoFocus required />
          <TextField label={say('signin.password')} name="password" type="password" autoComplete="current-password" required />
          {error && (
            <p role="alert" className={css.error}>
              {error}
            </p>
          )}
          <Button kind="primary" type="submit" busy={busy}>
            {say('signin.go')}
          </Button>
          <p className={css.help}>
            {say('signin.help')} <code>tepui is ready</code>.
          </p>
        </form>
      </main>
      <svg className={css.scene} viewBox="0 0 1440 220" preserveAspectRatio="xMidYMax slice" aria-hidden="true">
        <path fill="currentColor" d="M0 220v-70l150-12 90-64 22-2 30-22 240-6 40 18 16 46 120 34 150 10 90-30 24-40 190-8 34 22 30 44 214 30v50z" />
        <path className={css.near} fill="currentColor" d="M0 220v-30l260-22 200 18 240-26 260 24 220-20 260 26v30z" />
      </svg>
    </div>
  );
}
