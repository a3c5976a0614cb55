// German. What the server says (causes, reasons of a refusal) comes in English and stays so.
import { actions } from './de/actions';
import { dashboard } from './de/dashboard';
import { deployments } from './de/deployments';
import { instances } from './de/instances';
import { kit } from './de/kit';
import { nodes } from './de/nodes';
import { services } from './de/services';
import { shell } from './de/shell';
import type { Catalog } from './index';

export const de: Catalog = {
  ...actions,
  ...dashboard,
  ...deployments,
  ...instances,
  ...kit,
  ...nodes,
  ...services,
  ...shell,
};
