// The gallery: the kit beside itself in both themes, for eyes and for tests/browser/gallery.mjs.
import '../src/styles/tokens.css';
import '../src/styles/base.css';
import { createRoot } from 'react-dom/client';
import { Router } from 'wouter';
import { memoryLocation } from 'wouter/memory-location';
import { Toasts } from '../src/components/toast';
import css from './gallery.module.css';
import { KINDS, type Kind } from './specimens';

const { hook } = memoryLocation({ path: '/' });

function Themed({ kind, theme }: { kind: Kind; theme: 'light' | 'dark' }) {
  return (
    <div data-theme={theme} className={`${css.theme} ${kind.wide ? css.wide : ''}`}>
      {Object.entries(kind.states).map(([state, shown]) => (
        <div key={state} className={css.specimen}>
          <span>{state}</span>
          <div data-specimen={`${kind.name} / ${state} / ${theme}`}>{shown}</div>
        </div>
      ))}
    </div>
  );
}

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <Router hook={hook}>
      <main id="main" className={css.page}>
        <h1>The kit of tepui’s page</h1>
        {KINDS.map((kind) => (
          <section key={kind.name} className={css.kind} aria-label={kind.name}>
            <h2>{kind.name}</h2>
            <Themed kind={kind} theme="light" />
            <Themed kind={kind} theme="dark" />
          </section>
        ))}
      </main>
      <Toasts />
    </Router>,
  );
}
