// Entry: mounts the page below /ui and takes over links of the original page.
// The base styles come first so that those of components win over them.
import './styles/tokens.css';
import './styles/base.css';
import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Router } from 'wouter';
import { queries } from './api/hooks';
import { Toasts } from './components/toast';
import { fromOldLink } from './lib/oldlinks';
import { keepReturn } from './shell/comeback';
import { Session } from './shell/session';

/** The path under which every page lives; below a `<base>` that the server may have set. */
const BASE = `${new URL(document.baseURI).pathname.replace(/\/$/, '')}/ui`;

if (!location.pathname.startsWith(BASE)) {
  keepReturn(location.hash);
  history.replaceState(null, '', BASE + (fromOldLink(location.hash) ?? '/'));
}

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <Router base={BASE}>
          <Session />
        </Router>
        <Toasts />
      </QueryClientProvider>
    </StrictMode>,
  );
}
