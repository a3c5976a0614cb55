// German: nodes.
import type { Catalog } from '../index';
import type { nodes as english } from '../en/nodes';

export const nodes: Catalog<typeof english> = {
  'nodes.summary': '{nodes}, davon nehmen {n} Arbeit an',
  'nodes.filter': 'Knoten filtern',
  'nodes.filterHint': 'Nach Name, zone:, attribute:…',
  'nodes.none': 'Kein Knoten ist da',
  'nodes.noMatch': 'Kein Knoten passt',

  'node.gone': 'Es gibt keinen Knoten {id}',
  'node.seen': 'gesehen vor',
  'node.takeBack': 'Wieder Arbeit annehmen',
  'node.takenBack': '{host}: nimmt wieder Arbeit an',
  'node.drain': 'Räumen',
  'node.drain…': 'Räumen…',
  'node.drainTitle': '{host} räumen?',
  'node.draining': '{host}: wird geräumt',
  'node.drainHint': 'Der Knoten nimmt keine neue Arbeit an, bis er zurückgeholt wird.',
  'node.fates': 'Was geschähe',
  'node.otherTasks': 'Andere Aufgaben',
  'node.leaves': 'Daten in {volumes} bleiben auf diesem Knoten zurück',
  'node.empty': 'Hier läuft nichts',
  'node.instances': 'Instanzen auf {host}',
  'node.zone': 'Region und Zone',
  'node.attributes': 'Merkmale',
  'node.ports': 'Ports der Maschine',
  'node.id': 'Kennung',
};
