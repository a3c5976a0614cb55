// Frame of every page: navigation, search, connection state, user.
import { Boxes, Ellipsis, Gauge, HardDrive, History, LayoutDashboard, Layers, Search, Server, UserRound } from 'lucide-react';
import { type ComponentType, lazy, Suspense, useEffect, useState } from 'react';
import { Link, Route, Switch, useLocation } from 'wouter';
import { useConnection, useFromRows, useRow, useStatus } from '../api/hooks';
import type { Me } from '../api/types';
import { Menu } from '../components/menu';
import { toast } from '../components/toast';
import { Skeleton } from '../components/ui';
import { allowShells, useDock } from '../dock/dock';
import { useBeat } from '../lib/beat';
import { type Ask, AskDialog } from '../screens/actions';
import { Dashboard } from '../screens/dashboard';
import { Services } from '../screens/services';
import { ConnectionBanner, ConnectionDot } from './connection';
import { useKeys } from '../lib/keys';
import { turn } from '../lib/time';
import { useFavicon } from './favicon';
import { Logo } from './logo';
// Not fetched later: what is typed right after Ctrl K must not be lost.
import { Palette } from './palette';
import css from './shell.module.css';
import { UserMenu } from './user';
import { type Key, say } from '../words';

const Service = lazy(() => import('../screens/service'));
const Create = lazy(() => import('../screens/create'));
const Edit = lazy(() => import('../screens/create').then((it) => ({ default: it.Edit })));
const Nodes = lazy(() => import('../screens/nodes'));
const NodePage = lazy(() => import('../screens/node'));
const Deployments = lazy(() => import('../screens/deployments'));
const Volumes = lazy(() => import('../screens/volumes'));
const Efficiency = lazy(() => import('../screens/efficiency'));
const Cluster = lazy(() => import('../screens/cluster'));
const Users = lazy(() => import('../screens/users'));
const Activity = lazy(() => import('../screens/activity'));
const NotFound = lazy(() => import('../screens/notfound'));
const Keyboard = lazy(() => import('./keyboard'));
const Drawer = lazy(() => import('../dock/drawer'));

interface Section {
  href: string;
  text: Extract<Key, 'nav.dashboard' | 'nav.services' | 'nav.nodes' | 'nav.volumes' | 'nav.activity' | 'nav.efficiency' | 'nav.cluster'>;
  icon: ComponentType<{ size?: number; 'aria-hidden'?: boolean }>;
  /** Behind “More” where there is room for few. */
  rare?: boolean;
}

const SECTIONS: Section[] = [
  { href: '/', text: 'nav.dashboard', icon: LayoutDashboard },
  { href: '/services', text: 'nav.services', icon: Layers },
  { href: '/nodes', text: 'nav.nodes', icon: Server },
  { href: '/volumes', text: 'nav.volumes', icon: HardDrive, rare: true },
  { href: '/activity', text: 'nav.activity', icon: History },
  { href: '/efficiency', text: 'nav.efficiency', icon: Gauge, rare: true },
  { href: '/cluster', text: 'nav.cluster', icon: Boxes, rare: true },
];

export function Shell({ me }: { me: Me }) {
  const [location, go] = useLocation();
  const [overlay, setOverlay] = useState<'palette' | 'keyboard' | { what: Ask; id: string; to?: number | undefined }>();
  useKeys({
    'mod+k': () => setOverlay('palette'),
    '?': () => setOverlay('keyboard'),
    'g d': () => go('/'),
    'g s': () => go('/services'),
    'g n': () => go('/nodes'),
    'g v': () => go('/volumes'),
    'g a': () => go('/activity'),
    'g e': () => go('/efficiency'),
    'g c': () => go('/cluster'),
    t: () => toast(say(`clock.${turn()}`)),
  });

  // A new page starts at its top, and says its name to screen readers through the title.
  const page = location.split('?')[0];
  useEffect(() => {
    // Braces matter: newer browsers return a promise here, which is no clean-up.
    window.scrollTo(0, 0);
  }, [page]);

  useEffect(() => allowShells(me.superuser), [me.superuser]);
  const docked = useDock().tabs.length > 0;
  const { phase } = useConnection();
  useFavicon();
  useBeat();
  useTimeTips();
  return (
    <div className={css.shell} data-stale={phase === 'lost' || undefined}>
      <a className={css.skip} href={`${window.location.pathname}#main`}>
        {say('nav.skip')}
      </a>
      <SideBar location={location} />
      <div className={css.column}>
        <header className={css.top}>
          <Link href="/" className={css.topBrand} aria-label={say('nav.home')}>
            <Logo />
          </Link>
          <button type="button" className={css.search} onClick={() => setOverlay('palette')}>
            <Search size={15} aria-hidden />
            <span className={css.searchText}>{say('search.button')}</span>
            <kbd className={css.searchKeys}>Ctrl K</kbd>
          </button>
          <div className={css.topRight}>
            <DeploymentsChip />
            <ConnectionDot />
            <UserMenu me={me} onUsers={() => go('/users')} onKeyboard={() => setOverlay('keyboard')}>
              <button type="button" className={css.user} aria-label={say('user.menu', { name: me.uid })}>
                <UserRound size={16} aria-hidden />
                <span className={css.userName}>{me.uid}</span>
              </button>
            </UserMenu>
          </div>
        </header>
        <ConnectionBanner />
        <main id="main" className={css.main} tabIndex={-1}>
          <Suspense fallback={<Skeleton />}>
            <Switch>
              <Route path="/" component={Dashboard} />
              <Route path="/services" component={Services} />
              <Route path="/services/create" component={Create} />
              <Route path="/services/edit/-/*">
                {(params) => <Edit key={params['*']} id={`/${decodeURIComponent(params['*'] ?? '')}`} />}
              </Route>
              <Route path="/services/-/*">
                {(params) => <Service key={params['*']} id={`/${decodeURIComponent(params['*'] ?? '')}`} />}
              </Route>
              <Route path="/nodes" component={Nodes} />
              <Route path="/nodes/:id">
                {(params) => <NodePage key={params.id} id={decodeURIComponent(params.id)} />}
              </Route>
              <Route path="/deployments" component={Deployments} />
              <Route path="/volumes" component={Volumes} />
              <Route path="/activity" component={Activity} />
              <Route path="/efficiency" component={Efficiency} />
              <Route path="/cluster" component={Cluster} />
              <Route path="/users">{() => <Users me={me.uid} />}</Route>
              <Route component={NotFound} />
            </Switch>
          </Suspense>
        </main>
        <Suspense>{docked && <Drawer />}</Suspense>
      </div>
      {overlay === 'palette' && (
        <Palette
          onClose={() => setOverlay(undefined)}
          onAsk={(what, id, to) => setOverlay({ what, id, to })}
          onKeyboard={() => setOverlay('keyboard')}
        />
      )}
      {typeof overlay === 'object' && <Asked {...overlay} onClose={() => setOverlay(undefined)} />}
      <Suspense>
        {overlay === 'keyboard' && <Keyboard onClose={() => setOverlay(undefined)} />}
      </Suspense>
    </div>
  );
}

/** What tells full times to keys and fingers, fetched when there are some. */
function useTimeTips(): void {
  useEffect(() => {
    const load = () => void import('../components/timetip').catch(() => undefined);
    if (window.matchMedia('(hover: none)').matches) load();
    const kinds = ['keydown', 'touchstart'];
    // Before whoever takes the key: a list keeps its own to itself.
    for (const kind of kinds) window.addEventListener(kind, load, { once: true, passive: true, capture: true });
    return () => kinds.forEach((kind) => window.removeEventListener(kind, load, true));
  }, []);
}

/** What was asked for from the search box, as long as its service is there. */
function Asked({ what, id, to, onClose }: { what: Ask; id: string; to?: number | undefined; onClose: () => void }) {
  const app = useRow('apps', id);
  const [location, go] = useLocation();
  if (!app) return null;
  const gone = () => location.startsWith('/services/-/') && go('/services');
  return <AskDialog what={what} app={app} to={to} onClose={onClose} onDeleted={gone} />;
}

const RARE = SECTIONS.filter(({ rare }) => rare);
const isAt = (location: string, href: string) => (href === '/' ? location === '/' : location.startsWith(href));

function SideBar({ location }: { location: string }) {
  const [, go] = useLocation();
  const name = useStatus((status) => status?.name);
  const version = useStatus((status) => status?.version);
  const attention = useStatus((status) => status?.counts.apps_attention ?? 0);
  const away = useStatus((status) => status?.counts.nodes_attention ?? 0);
  const badges: Record<string, string> = {
    '/services': attention > 0 ? `${attention}` : '',
    '/nodes': away > 0 ? `${away}` : '',
  };
  const names: Record<string, string> = {
    '/services': `, ${say('nav.attention', { n: attention })}`,
    '/nodes': `, ${say('nav.away', { n: away })}`,
  };
  return (
    <nav aria-label={say('nav.label')} className={css.side}>
      <Link href="/" className={css.brand}>
        <Logo size={28} />
        <span className={css.brandText}>
          <strong>tepui</strong>
          <span className="truncate">{name ?? '\u00a0'}</span>
        </span>
      </Link>
      <div className={css.nav}>
        {SECTIONS.map(({ href, text, icon: Icon, rare }) => {
          const current = isAt(location, href);
          return (
            <Link key={href} href={href} aria-current={current ? 'page' : undefined} className={rare ? css.rare : undefined}>
              <Icon size={18} aria-hidden />
              <span>{say(text)}</span>
              {badges[href] && (
                <span className={css.badge}>
                  <span aria-hidden="true">{badges[href]}</span>
                  <span className="visually-hidden">{names[href]}</span>
                </span>
              )}
            </Link>
          );
        })}
        <Menu
          trigger={
            <button type="button" className={css.more} aria-current={RARE.some(({ href }) => isAt(location, href)) ? 'true' : undefined}>
              <Ellipsis size={18} aria-hidden />
              <span>{say('nav.more')}</span>
            </button>
          }
          groups={() => [RARE.map(({ href, text, icon: Icon }) => ({ text: say(text), icon: <Icon size={15} aria-hidden />, onSelect: () => go(href) }))]}
        />
      </div>
      <p className={css.version}>{version && `tepui ${version}`}</p>
    </nav>
  );
}

function DeploymentsChip() {
  const n = useFromRows('deployments', (all) => all.length);
  if (n === 0) return null;
  return (
    <Link href="/deployments" className={css.chip}>
      <span className={css.pulse} data-moving aria-hidden="true" />
      <span>
        {n}
        <span className={css.chipText}> {say('nav.deploymentsChip', { n })}</span>
      </span>
    </Link>
  );
}
