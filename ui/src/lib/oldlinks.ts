// Hash links of the original page, such as /#/services/detail/%2Fprod%2Fweb/debug, to ours.
import { appHref } from './format';

const TABS: Record<string, string> = {
  tasks: '',
  configuration: 'config',
  debug: 'why',
  endpoints: '',
  volumes: '',
  plans: '',
};

/** Sections of the original page that have no page here yet; each has its name in the word files. */
const NOT_YET = ['jobs', 'catalog', 'universe', 'networking', 'secrets', 'settings'];

function decoded(part: string | undefined): string {
  try {
    return decodeURIComponent(part ?? '');
  } catch {
    return part ?? '';
  }
}

/** Our path (below /ui) for the hash of an old link; undefined when it is none. */
export function fromOldLink(hash: string): string | undefined {
  if (!hash.startsWith('#/')) return undefined;
  const [path = '', search = ''] = hash.slice(1).split('?');
  const [section, page, id, tab, task, taskTab] = path.split('/').filter(Boolean);
  if (section === 'services' && page === 'detail' && id) {
    const app = decoded(id).replace(/^\/?/, '/');
    if (tab === 'tasks' && task) {
      const query = new URLSearchParams({ tab: taskTab === 'logs' ? 'logs' : '', task: decoded(task) });
      if (taskTab !== 'logs') query.delete('tab');
      return `${appHref(app)}?${query}`;
    }
    return appHref(app, TABS[tab ?? ''] || undefined);
  }
  if (section === 'services') {
    const q = page === 'overview' && id ? decoded(id) : new URLSearchParams(search).get('q');
    return q ? `/services?${new URLSearchParams({ q })}` : '/services';
  }
  if (section === 'nodes') {
    if (page && page !== 'agents' && page !== 'masters') return `/nodes/${page}`;
    return '/nodes';
  }
  if (section === 'organization') return '/users';
  if (section === 'cluster' || section === 'components') return '/cluster';
  return section !== undefined && NOT_YET.includes(section) ? `/missing?old=${section}` : '/';
}
