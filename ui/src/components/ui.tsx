// Small parts every screen is made of.
import { Check, Copy as CopyIcon, X } from 'lucide-react';
import {
  type ButtonHTMLAttributes,
  type ReactNode,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { Link, useLocation } from 'wouter';
import { ApiError, wording } from '../api/client';
import { useStored } from '../lib/stored';
import { clock as chosenClock, fullTime, timeText } from '../lib/time';
import { say } from '../words';
import css from './ui.module.css';

type Kind = 'primary' | 'normal' | 'quiet' | 'danger';

export function Button({
  kind = 'normal',
  busy,
  className,
  children,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { kind?: Kind; busy?: boolean }) {
  return (
    <button
      type="button"
      {...rest}
      aria-disabled={busy || undefined}
      onClick={busy ? undefined : rest.onClick}
      className={`${css.button} ${css[kind]} ${className ?? ''}`}
    >
      {busy && <span className={css.busy} aria-hidden="true" />}
      {children}
    </button>
  );
}

/** A framed part of a page with its own heading. */
export function Panel({
  title,
  aside,
  children,
  flush,
  className,
}: {
  title?: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
  /** Content reaches the frame, as tables do. */
  flush?: boolean;
  className?: string;
}) {
  return (
    <section className={`${css.panel} ${className ?? ''}`}>
      {title && (
        <header className={css.panelHead}>
          <h2>{title}</h2>
          {aside}
        </header>
      )}
      <div className={flush ? undefined : css.panelBody}>{children}</div>
    </section>
  );
}

/** Nothing to show, and what to do about it. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={css.empty}>
      <h2>{title}</h2>
      {children && <div className={css.emptyText}>{children}</div>}
      {action}
    </div>
  );
}

/** A failed read: which call, what was said, and a way to try again. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const api = error instanceof ApiError ? error : undefined;
  const { text, lang } = wording(error);
  return (
    <div className={css.failure} role="alert">
      <h2 lang={lang}>{text}</h2>
      {api?.hint && <p lang="en">{api.hint}</p>}
      {api && (
        <p className="muted">
          <code>{api.call}</code>
          {api.status > 0 && ` · ${say('failure.status', { status: `${api.status}` })}`}
          {api.requestId && ` · ${say('failure.request', { id: api.requestId })}`}
        </p>
      )}
      {retry && <Button onClick={retry}>{say('failure.again')}</Button>}
    </div>
  );
}

/** Grey bars in place of `rows` lines; invisible for the first 200 ms. */
export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div className={css.skeleton} role="status">
      <span className="visually-hidden">{say('list.loading')}</span>
      {Array.from({ length: rows }, (_, i) => (
        <span key={i} className={css[`bar${i % 3}`]} />
      ))}
    </div>
  );
}

/** A button that puts `text` on the clipboard and says so. */
export function Copy({ text, label, word }: { text: string; label: string; word?: string }) {
  const [done, setDone] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    await copyText(text);
    setDone(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" className={css.copy} onClick={copy} aria-label={done ? say('copy.done') : label} title={label}>
      {word && <span aria-hidden="true">{word}</span>}
      {done ? <Check size={14} aria-hidden /> : <CopyIcon size={14} aria-hidden />}
    </button>
  );
}

/** The small cross of a panel. */
export function Close({ label, onClick, className }: { label: string; onClick: () => void; className?: string | undefined }) {
  return (
    <button type="button" className={`${css.close} ${className ?? ''}`} aria-label={label} onClick={onClick}>
      <X size={16} aria-hidden />
    </button>
  );
}

/** Clipboard, also on plain-http origins where the clipboard interface is missing. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

/** A command line to copy, and the same as a call of the API when there is one. */
export function Command({ text, curl }: { text: string; curl?: string | undefined }) {
  return (
    <div className={css.command}>
      <code>{text}</code>
      <span className={css.copies}>
        {curl && <Copy text={curl} label={say('copy.curl')} word="curl" />}
        <Copy text={text} label={say('copy.command', { text })} />
      </span>
    </div>
  );
}

// One clock for all relative times on the page.
const ticks = new Set<() => void>();
let tick = Date.now();
let clock: ReturnType<typeof setInterval> | undefined;

function followClock(f: () => void): () => void {
  ticks.add(f);
  clock ??= setInterval(() => {
    tick = Date.now();
    for (const g of ticks) g();
  }, 1000);
  return () => {
    ticks.delete(f);
    if (ticks.size > 0) return;
    clearInterval(clock);
    clock = undefined;
  };
}

/** Milliseconds now, renewed every second. */
export function useNow(): number {
  return useSyncExternalStore(followClock, () => tick);
}

/**
 * How long ago, as "5 min" or "5 min ago", or when, as the reader chose; the full time on hover. Renders when its text
 * is another one, not with each second.
 */
export function Age({ at, ago }: { at: string; ago?: boolean }) {
  const by = useStored(chosenClock);
  const text = useSyncExternalStore(followClock, () => timeText(Date.parse(at), tick, by));
  return (
    <time dateTime={at} title={fullTime(at)} className="nums">
      {ago && by === 'relative' ? say('time.ago', { age: text }) : text}
    </time>
  );
}

/**
 * Share of a resource: promised to instances as a tint, measured use as solid. Use counts the whole
 * machine and may lie above the promise, which then shows as a tick.
 */
export function Meter({
  label,
  total,
  allocated,
  used,
  hue,
  text,
}: {
  label: string;
  total: number;
  allocated: number;
  used?: number | undefined;
  hue: 'cpu' | 'memory' | 'disk' | 'gpu';
  text: string;
}) {
  const share = (n: number) => (total > 0 ? Math.min(100, (n / total) * 100) : 0);
  // Two marks of their own: a bar for what is reserved, a thin line below it for what is used.
  return (
    <span className={`${css.meter} ${css[hue]}`} role="img" aria-label={`${label}: ${text}`} data-state>
      <span className={css.reserved} style={{ width: `${share(allocated)}%` }} />
      {used !== undefined && <span className={css.used} style={{ width: `${share(used)}%` }} />}
    </span>
  );
}

/** Running of wanted, as text and bar. */
export function InstanceBar({
  running,
  wanted,
  unhealthy,
  staging,
  starting,
  stopping,
  waiting,
}: {
  running: number;
  wanted: number;
  unhealthy: number;
  staging: number;
  /** Of the running ones: with a check that is still open, so not green yet. */
  starting: number;
  stopping: number;
  /** Those on their way have no place yet. */
  waiting: boolean;
}) {
  const most = Math.max(wanted, running + staging + stopping, 1);
  const parts = [
    [css.up, running - unhealthy - starting],
    [css.sick, unhealthy],
    [css.coming, starting],
    [waiting ? css.held : css.coming, staging],
    [css.going, stopping],
  ] as const;
  return (
    <span className={css.instances}>
      <Changing className="nums">
        {`${running === wanted ? running : `${running} / ${wanted}`}${stopping > 0 ? ` −${stopping}` : ''}`}
      </Changing>
      <span className={css.instanceBar} aria-hidden="true" data-state>
        {/* A list has one in each row: what is nothing is not there. */}
        {parts.map(([look, n], i) => n > 0 && <span key={i} className={look} style={{ width: `${(n / most) * 100}%` }} />)}
      </span>
    </span>
  );
}

/** Text that flashes once when it changes. */
export function Changing({ children, className }: { children: string; className?: string }) {
  const first = useRef(children);
  const changed = first.current !== children;
  return (
    <span key={children} className={`${className ?? ''} ${changed ? css.flash : ''}`}>
      {children}
    </span>
  );
}

/** A line that says something is up, with an optional link to more. */
export function Notice({
  tone,
  children,
  action,
}: {
  tone: 'attention' | 'bad' | 'moving' | 'neutral';
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={`${css.notice} ${css[`notice-${tone}`]}`}>
      <div className={css.noticeText}>{children}</div>
      {action}
    </div>
  );
}

/** Links between the views of one page; each is an address of its own. */
export function TabLinks({
  label,
  tabs,
  current,
}: {
  label: string;
  tabs: { id: string; href: string; text: ReactNode }[];
  current: string;
}) {
  return (
    <nav className={css.tabs} aria-label={label}>
      {tabs.map((tab) => (
        <Link key={tab.id} href={tab.href} aria-current={tab.id === current ? 'page' : undefined}>
          <span className={css.tab}>
            {tab.text}
            {/* Takes the room of the bold text, so that no tab moves when another one is chosen. */}
            <span className={css.tabRoom} aria-hidden="true">
              {tab.text}
            </span>
          </span>
        </Link>
      ))}
    </nav>
  );
}

/** The page whose heading had the focus last; the first one leaves it where the browser puts it. */
let landed = window.location.pathname;

/** A heading that takes the focus when its page is reached from another one. */
function Heading({ children }: { children: ReactNode }) {
  const ref = useRef<HTMLHeadingElement>(null);
  const [path] = useLocation();
  useEffect(() => {
    if (landed === window.location.pathname) return;
    landed = window.location.pathname;
    ref.current?.focus({ preventScroll: true });
  }, [path]);
  return (
    <h1 ref={ref} tabIndex={-1}>
      {children}
    </h1>
  );
}

/** Title, what it is about, and what can be done. */
export function PageHead({
  crumbs,
  title,
  sub,
  actions,
}: {
  crumbs?: { href: string; text: string }[];
  title: ReactNode;
  sub?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <div className={css.pageHead}>
      <div className={css.pageTitle}>
        {crumbs && (
          <nav aria-label={say('nav.crumbs')} className={css.crumbs}>
            <ol>
              {crumbs.map((crumb) => (
                <li key={crumb.href}>
                  <Link href={crumb.href}>{crumb.text}</Link>
                </li>
              ))}
            </ol>
          </nav>
        )}
        <Heading>{title}</Heading>
        {sub && <div className={css.sub}>{sub}</div>}
      </div>
      {actions && <div className={css.actions}>{actions}</div>}
    </div>
  );
}
