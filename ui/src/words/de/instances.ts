// German: the list of instances.
import type { Catalog } from '../index';
import type { instances as english } from '../en/instances';

export const instances: Catalog<typeof english> = {
  'instances.filter': 'Instanzen filtern',
  'instances.filterHint': 'Nach Kennung, node:, is:…',
  'instances.none': 'Keine Instanz passt',
  'instances.found': '{n} von {of}',

  'kill.label': 'Ausgewählte Instanzen',
  'kill.stop…': 'Anhalten…',
  'kill.title': { one: '{n} Instanz anhalten', other: '{n} Instanzen anhalten' },
  'kill.about': 'Jede wird aus der Lastverteilung genommen und angehalten. Andere nehmen ihre Plätze ein.',
  'kill.aboutScale': 'Jede wird aus der Lastverteilung genommen und angehalten. Keine wird ersetzt.',
  'kill.scale': 'Auch die Anzahl um so viele senken',
  'kill.steps': 'Instanzen, und wie es ausging',
  'kill.done': { one: '{n} Instanz: wird angehalten', other: '{n} Instanzen: werden angehalten' },
};
