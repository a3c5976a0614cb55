// German: pods and their containers.
import type { Catalog } from '../index';
import type { pods as english } from '../en/pods';

export const pods: Catalog<typeof english> = {
  'list.pod': 'Pod',
  'pod.containers': 'Container',
  'pod.sidecar': 'Begleiter',
  'pod.outputOf': 'Ausgabe von {name}',
};
