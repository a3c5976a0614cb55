// German: the dashboard.
import type { Catalog } from '../index';
import type { dashboard as english } from '../en/dashboard';

export const dashboard: Catalog<typeof english> = {
  'dash.up': 'seit {age}',
  'dash.noLeader': 'ohne Führung',
  'dash.capacity': 'Auslastung',
  'dash.cores': 'Kernen',
  'dash.attention': 'Braucht Aufmerksamkeit',
  'dash.held': { one: '{n} Dienst kann nicht weiter: {names}', other: '{n} Dienste können nicht weiter: {names}' },
  'dash.latest': 'Zuletzt getan',
  'dash.load': 'Last des Clusters',
  'dash.noDoor': 'Durch die Vordertür kam noch keine Anfrage.',
  'dash.all': 'Alle',
  'dash.allN': 'Alle {n}',
  'dash.allServices': 'Alle Dienste',
  'dash.allNodes': 'Alle Knoten',
  'dash.mem': 'RAM',
  'dash.legend': 'Höhe: der größere Teil von vergebener CPU und vergebenem Speicher.',
};
