// Whether what is on screen is true now: a dot in the header, a banner when contact is lost, and one
// when the cluster runs another version than this page came with.
import { RefreshCw, WifiOff } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useConnection, useStatus } from '../api/hooks';
import { live } from '../api/live';
import { Button, useNow } from '../components/ui';
import { duration, timeOfDay } from '../lib/format';
import { say } from '../words';
import css from './connection.module.css';

export function ConnectionDot() {
  const { phase } = useConnection();
  const words = { live: say('link.live'), connecting: say('link.connecting'), lost: say('link.lost') }[phase];
  return (
    <span className={`${css.dot} ${css[phase]}`} role="status">
      <span className={css.word}>{words}</span>
    </span>
  );
}

export function ConnectionBanner() {
  const { phase } = useConnection();
  return phase === 'lost' ? <Lost /> : <Upgraded />;
}

function Lost() {
  const { heardAt, retryAt } = useConnection();
  const now = useNow();
  const wait = Math.max(0, Math.ceil((retryAt - now) / 1000));
  return (
    <div className={css.banner} role="alert">
      <WifiOff size={16} aria-hidden />
      <div className={css.text}>
        <strong>{say('link.none')}</strong>{' '}
        {/* Only the first sentence is announced; the counting must not repeat it. */}
        <span aria-live="off">
          {heardAt > 0
            ? say('link.asOf', {
                time: timeOfDay(new Date(heardAt)),
                age: duration(now - heardAt),
              })
            : say('link.nothing')}{' '}
          {wait > 0 ? say('link.next', { s: wait }) : say('link.trying')}
        </span>
      </div>
      <Button onClick={live.retry}>{say('link.retry')}</Button>
    </div>
  );
}

/** True once a part of the page was asked for that the server has no more. */
function usePartsGone(): boolean {
  const [gone, setGone] = useState(false);
  useEffect(() => {
    const missed = () => setGone(true);
    window.addEventListener('vite:preloadError', missed);
    return () => window.removeEventListener('vite:preloadError', missed);
  }, []);
  return gone;
}

/** The page of one version does not know what another one's server says: it asks to be loaded anew. */
function Upgraded() {
  const version = useStatus((status) => status?.version);
  const [first, setFirst] = useState(version);
  const gone = usePartsGone();
  if (first === undefined && version !== undefined) setFirst(version);
  if (!gone && (first === undefined || version === undefined || first === version)) return null;
  return (
    <div className={`${css.banner} ${css.news}`} role="status">
      <RefreshCw size={16} aria-hidden />
      <div className={css.text}>{version && version !== first ? say('link.upgraded', { version }) : say('link.partsGone')}</div>
      <Button onClick={() => window.location.reload()}>{say('link.reload')}</Button>
    </div>
  );
}
