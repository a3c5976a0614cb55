// The views of a service that have a word in the search box and a key in the list. A view that comes
// later is a line here.
import type { Key } from '../words';

export interface View {
  /** As the address has it. */
  tab: string;
  /** What may be typed before a service's name. */
  verbs: string[];
  /** On a row of the list. */
  key: string;
  about: Key & `key.${string}`;
}

export const VIEWS: View[] = [
  { tab: 'logs', verbs: ['logs', 'log'], key: 'l', about: 'key.logs' },
  { tab: 'why', verbs: ['why'], key: 'w', about: 'key.why' },
  { tab: 'config', verbs: ['config', 'configuration', 'edit'], key: 'e', about: 'key.config' },
];

export function viewOf(verb: string): View | undefined {
  return VIEWS.find((view) => view.verbs.includes(verb));
}
