// The views of a service that have a word in the search box and a key in the list. A view that comes
// later is a line here.
import type { Key } from '../words';
import { appHref, editHref } from './format';

export interface View {
  /** The address of it for a service. */
  href: (id: string) => string;
  /** What may be typed before a service's name. */
  verbs: string[];
  /** On a row of the list. */
  key: string;
  about: Key & `key.${string}`;
}

export const VIEWS: View[] = [
  { href: (id) => appHref(id, 'logs'), verbs: ['logs', 'log'], key: 'l', about: 'key.logs' },
  { href: (id) => appHref(id, 'why'), verbs: ['why'], key: 'w', about: 'key.why' },
  { href: (id) => appHref(id, 'activity'), verbs: ['activity', 'history'], key: 'a', about: 'key.activity' },
  { href: (id) => appHref(id, 'versions'), verbs: ['versions', 'rollback'], key: 'v', about: 'key.versions' },
  { href: editHref, verbs: ['edit'], key: 'e', about: 'key.edit' },
  { href: (id) => appHref(id, 'config'), verbs: ['config', 'configuration'], key: 'c', about: 'key.config' },
];

export function viewOf(verb: string): View | undefined {
  return VIEWS.find((view) => view.verbs.includes(verb));
}
