// Whether what is on screen is true now: a dot in the header, a banner when contact is lost.
import { WifiOff } from 'lucide-react';
import { useConnection } from '../api/hooks';
import { live } from '../api/live';
import { Button, useNow } from '../components/ui';
import { duration } from '../lib/format';
import css from './connection.module.css';

export function ConnectionDot() {
  const { phase } = useConnection();
  const words = { live: 'Live', connecting: 'Connecting', lost: 'Not connected' }[phase];
  return (
    <span className={`${css.dot} ${css[phase]}`} role="status">
      <span className={css.word}>{words}</span>
    </span>
  );
}

export function ConnectionBanner() {
  const { phase, heardAt, retryAt } = useConnection();
  const now = useNow();
  if (phase !== 'lost') return null;
  const wait = Math.max(0, Math.ceil((retryAt - now) / 1000));
  return (
    <div className={css.banner} role="alert">
      <WifiOff size={16} aria-hidden />
      <div className={css.text}>
        <strong>No connection to the cluster.</strong>{' '}
        {/* Only the first sentence is announced; the counting must not repeat it. */}
        <span aria-live="off">
          {heardAt > 0
            ? `What you see is as of ${new Date(heardAt).toLocaleTimeString()}, ${duration(now - heardAt)} old.`
            : 'Nothing has been received yet.'}{' '}
          {wait > 0 ? `Next try in ${wait} s.` : 'Trying now.'}
        </span>
      </div>
      <Button onClick={live.retry}>Try now</Button>
    </div>
  );
}
