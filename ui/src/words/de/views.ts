// German: what the views of a service are called where a key or a word opens them, and what they tell.
export const views = {
  'key.activity': 'Verlauf',
  'key.versions': 'Versionen',
  'view.lastLines': 'Das Letzte, was Versuch {n} schrieb:',
  'view.attempts': 'alle Versuche',
  'view.heldBack': 'beendet, der nächste Start wartet',
  'view.volumes': 'Dauerhafte Datenträger',
  'view.isThere': 'Einen Dienst dieses Namens gibt es schon.',
  'view.changeIt': 'Ihn so ändern …',
};
