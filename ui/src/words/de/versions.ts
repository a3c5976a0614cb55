// German: versions of a service and the way back.
import type { Catalog } from '../index';
import type { versions as english } from '../en/versions';

export const versions: Catalog<typeof english> = {
  'versions.title': 'Versionen',
  'versions.none': 'Keine Version ist aufbewahrt',
  'versions.from': 'Von',
  'versions.to': 'Zu',
  'versions.list': 'Versionen, die neueste zuerst',
  'versions.compareFrom': 'Vergleichen von {when}',
  'versions.compareTo': 'Vergleichen mit {when}',
  'versions.active': 'aktiv',
  'versions.by': 'von {who}',
  'versions.running': '{n} von {of} Instanzen davon',
  'versions.back…': 'Zurückrollen…',
  'versions.back': 'Zurückrollen',
  'versions.backTitle': '{id} zurückrollen auf {when}?',
  'versions.backDone': '{id}: wird zurückgerollt',
  'versions.differs': 'Unterschiede',
  'versions.twice': 'Zweimal dieselbe Version',
  'versions.twiceHint': 'Zum Vergleichen eine andere wählen.',
  'versions.fields': 'Felder, die verschieden sind',
  'versions.field': 'Feld',
  'versions.before': 'Vorher',
  'versions.after': 'Nachher',
  'versions.unset': 'nicht gesetzt',
  'versions.keep': {
    one: '{n} Instanz behalten (jene Version hatte {had})',
    other: '{n} Instanzen behalten (jene Version hatte {had})',
  },
  'versions.taken': '{id}: Zurückrollen zurückgenommen',
  'versions.undoIn': 'Zurücknehmen ({s} s)',
  'versions.going': '{id} wird zurückgerollt.',
  'versions.live': 'ging in Betrieb',
  'versions.liveIn': 'war in Betrieb nach {time}',
  'versions.deploying': 'wird ausgerollt',
  'versions.untold': 'der Verlauf sagt es nicht',
};
