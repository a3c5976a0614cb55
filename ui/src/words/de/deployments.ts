// German: deployments.
import type { Catalog } from '../index';
import type { deployments as english } from '../en/deployments';

export const deployments: Catalog<typeof english> = {
  'deployments.more': { one: 'und {n} weiterer Dienst', other: 'und {n} weitere Dienste' },

  'deployments.do.start': '{id} wird gestartet',
  'deployments.do.stop': '{id} wird angehalten',
  'deployments.do.scale': 'Anzahl von {id} wird geändert',
  'deployments.do.restart': 'Instanzen von {id} werden ersetzt',
  'deployments.step': 'Schritt {n} von {of}',
  'deployments.done': '{id}: {n} von {of} fertig',
  'deployments.about': 'Änderungen, die gerade ausgeführt werden.',
  'deployments.ended': 'Die beendeten',
  'deployments.none': 'Keine Ausrollung läuft',
  'deployments.noneHint': 'Jeder Dienst hat seine gewünschte Version und Anzahl.',
  'deployments.backAndDelete…': 'Zurückrollen und löschen…',
  'deployments.backTitle': 'Diese Ausrollung zurückrollen?',
  'deployments.backDone': 'Wird zurückgerollt',
  'deployments.returns': {
    one: '{ids} kehrt mit einer eigenen Ausrollung zu Version und Anzahl vor dieser zurück.',
    other: '{ids} kehren mit einer eigenen Ausrollung zu Version und Anzahl vor dieser zurück.',
  },
  'deployments.backAndDelete': '{what} zurückrollen und löschen',
  'deployments.backAndDeleteTitle': '{what} zurückrollen und löschen?',
  'deployments.makes': {
    one: 'Diese Ausrollung legt {ids} erst an: einen früheren Stand gibt es nicht, also wird der Dienst gelöscht.',
    other: 'Diese Ausrollung legt {ids} erst an: einen früheren Stand gibt es nicht, also werden die Dienste gelöscht.',
  },
  'deployments.others': {
    one: '{ids} kehrt zu Version und Anzahl davor zurück.',
    other: '{ids} kehren zu Version und Anzahl davor zurück.',
  },
};
