// What the search box understands: names of services, nodes and pages, and verbs before them.
import type { AppSummary, NodeSummary } from '../api/types';
import { fuzzy } from '../lib/fuzzy';
import { appHref } from '../lib/format';
import { type Look, lookOf } from '../lib/status';
import { VIEWS, viewOf } from '../lib/views';
import { LANGUAGES, type Language, say } from '../words';
import type { Theme } from './theme';

/** What choosing an entry does. */
export type Run =
  | { kind: 'go'; href: string }
  | { kind: 'ask'; what: 'scale' | 'restart' | 'suspend' | 'resume' | 'delete'; id: string }
  | { kind: 'scale'; id: string; to: number }
  | { kind: 'fill'; text: string }
  | { kind: 'theme'; theme: Theme }
  | { kind: 'language'; language: Language }
  | { kind: 'keyboard' }
  | { kind: 'signOut' };

export interface Entry {
  /** Stays the same from one opening to the next. */
  id: string;
  text: string;
  /** Places of the letters that were found. */
  at: number[];
  about: string;
  look?: Look;
  run: Run;
}

export interface Known {
  apps: readonly AppSummary[];
  nodes: readonly NodeSummary[];
  /** Ids of what was chosen before, newest first. */
  recent: readonly string[];
}

const SHOWN = 12;
/** What was chosen before comes before what fits a little better. */
const RECENT_BONUS = 0.9;

type Asked = Extract<Run, { kind: 'ask' }>['what'];
const ACTIONS: Record<string, Asked> = {
  scale: 'scale',
  restart: 'restart',
  suspend: 'suspend',
  stop: 'suspend',
  resume: 'resume',
  delete: 'delete',
  remove: 'delete',
};

interface Found {
  id: string;
  text: string;
  about: string;
  look?: Look;
  run: Run;
}

const pages = (): Found[] => [
  { id: 'page:/', text: say('nav.dashboard'), about: say('search.page'), run: { kind: 'go', href: '/' } },
  { id: 'page:/services', text: say('nav.services'), about: say('search.page'), run: { kind: 'go', href: '/services' } },
  { id: 'page:/create', text: say('services.run'), about: say('search.page'), run: { kind: 'go', href: '/services/create' } },
  { id: 'page:/nodes', text: say('nav.nodes'), about: say('search.page'), run: { kind: 'go', href: '/nodes' } },
  { id: 'page:/volumes', text: say('nav.volumes'), about: say('search.page'), run: { kind: 'go', href: '/volumes' } },
  { id: 'page:/efficiency', text: say('nav.efficiency'), about: say('search.page'), run: { kind: 'go', href: '/efficiency' } },
  { id: 'page:/cluster', text: say('nav.cluster'), about: say('search.page'), run: { kind: 'go', href: '/cluster' } },
  { id: 'page:/users', text: say('nav.users'), about: say('search.page'), run: { kind: 'go', href: '/users' } },
  { id: 'page:/activity', text: say('nav.activity'), about: say('search.page'), run: { kind: 'go', href: '/activity' } },
  { id: 'page:/deployments', text: say('nav.deployments'), about: say('search.page'), run: { kind: 'go', href: '/deployments' } },
];

const themes = (): Found[] =>
  (['system', 'light', 'dark'] as const).map((theme) => ({
    id: `theme:${theme}`,
    text: `theme ${theme}`,
    about: say(`theme.${theme}`),
    run: { kind: 'theme', theme },
  }));

const languages = (): Found[] =>
  (Object.keys(LANGUAGES) as Language[]).map((language) => ({
    id: `language:${language}`,
    text: `language ${language}`,
    about: LANGUAGES[language],
    run: { kind: 'language', language },
  }));

/** Verbs as entries: choosing one writes it into the box. */
const verbs = (): Found[] => [
  ...['scale', 'restart', 'stop', 'resume', 'delete', ...VIEWS.flatMap((view) => view.verbs.slice(0, 1))].map(
    (verb): Found => ({
      id: `verb:${verb}`,
      text: verb === 'scale' ? 'scale … 5' : `${verb} …`,
      about: say('search.command'),
      run: { kind: 'fill', text: `${verb} ` },
    }),
  ),
  { id: 'keyboard', text: say('user.keyboard'), about: say('search.command'), run: { kind: 'keyboard' } },
  { id: 'signout', text: say('user.signOut'), about: say('search.command'), run: { kind: 'signOut' } },
];

function services(apps: readonly AppSummary[], run: (app: AppSummary) => Run, verb = ''): Found[] {
  return apps.map((app) => ({
    id: `app:${verb}${app.id}`,
    text: app.id,
    about: say('search.service'),
    look: lookOf(app.verdict.state),
    run: run(app),
  }));
}

const hosts = (nodes: readonly NodeSummary[]): Found[] =>
  nodes.map((node) => ({
    id: `node:${node.id}`,
    text: node.host,
    about: say('search.node'),
    look: lookOf(node.verdict.state),
    run: { kind: 'go', href: `/nodes/${node.id}` },
  }));

/** Of what kind the query is, and the words that its names must have. */
function meant(query: string, known: Known): { all: Found[]; words: string[] } {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const [verb = '', ...rest] = words;
  // A verb counts once something stands after it, if only a space.
  const after = rest.length > 0 || /\s$/.test(query);
  const view = after ? viewOf(verb) : undefined;
  const action = after ? ACTIONS[verb] : undefined;
  if (view) {
    return { all: services(known.apps, (app) => ({ kind: 'go', href: view.href(app.id) }), `${view.key}:`), words: rest };
  }
  if (action) return acted(action, rest, known.apps);
  const app = (one: AppSummary): Run => ({ kind: 'go', href: appHref(one.id) });
  const commands = [...verbs(), ...themes(), ...languages()];
  // Before anything is typed, only those that were chosen before.
  const offered = words.length > 0 ? commands : commands.filter(({ id }) => known.recent.includes(id));
  return { all: [...pages(), ...services(known.apps, app), ...hosts(known.nodes), ...offered], words };
}

/** What a verb can be done to. "scale api 5": the number at the end is how many. */
function acted(action: Asked, rest: string[], apps: readonly AppSummary[]): { all: Found[]; words: string[] } {
  const last = rest.at(-1) ?? '';
  const to = action === 'scale' && rest.length > 1 && /^\d{1,6}$/.test(last) ? Number(last) : undefined;
  if (to !== undefined) {
    const all = services(apps, ({ id }) => ({ kind: 'scale', id, to })).map((entry, i) => ({
      ...entry,
      about: `${apps[i]?.instances.wanted} → ${to}`,
    }));
    return { all, words: rest.slice(0, -1) };
  }
  const fitting = apps.filter(({ instances: { wanted } }) => {
    if (action === 'resume') return wanted === 0;
    return action === 'delete' || action === 'scale' || wanted > 0;
  });
  const all = services(fitting, ({ id }) => ({ kind: 'ask', what: action, id })).map((entry) => ({
    ...entry,
    about: say(`search.ask.${action}`),
  }));
  return { all, words: rest };
}

/** The entries for a query, best first; without one, what was chosen last, then the pages. */
export function entriesFor(query: string, known: Known): Entry[] {
  const { all, words } = meant(query, known);
  const age = new Map(known.recent.map((id, i) => [id, i]));
  const hits = all.flatMap((found) => {
    const hit = fuzzy(found.text, words);
    if (!hit) return [];
    const recent = age.get(found.id);
    const bonus = recent === undefined ? 0 : RECENT_BONUS - recent / 100;
    return [{ ...found, at: hit.at, score: words.length > 0 ? hit.score - bonus : -bonus }];
  });
  return hits.sort((a, b) => a.score - b.score).slice(0, SHOWN);
}
