// Entry: mounts the page below /ui and takes over links of the original page.
// The base styles come first so that those of components win over them.
import './styles/tokens.css';
import './styles/base.css';
import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import { Router } from 'wouter';
import { PREFIX } from './api/base';
import { queries } from './api/hooks';
import { Toasts } from './components/toast';
import { fromOldLink } from './lib/oldlinks';
import { keepReturn } from './shell/comeback';
import { Session } from './shell/session';
import { currentLanguage, onLanguage, prepareWords } from './words';

/** The path under which every page lives. */
const BASE = `${PREFIX}/ui`;

if (!location.pathname.startsWith(BASE)) {
  keepReturn(location.hash);
  history.replaceState(null, '', BASE + (fromOldLink(location.hash) ?? '/'));
}

/** All that is said is said anew in another language. */
function Page() {
  const language = useSyncExternalStore(onLanguage, currentLanguage);
  return (
    <Router base={BASE} key={language}>
      <Session />
    </Router>
  );
}

function start(root: HTMLElement): void {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <Page />
        <Toasts />
      </QueryClientProvider>
    </StrictMode>,
  );
}

const root = document.getElementById('root');
if (root) void prepareWords().then(() => start(root));
