// English: every key there is, a file an area. `{name}` is filled in; a text in two forms counts by `n`.
import { actions } from './en/actions';
import { dashboard } from './en/dashboard';
import { deployments } from './en/deployments';
import { instances } from './en/instances';
import { kit } from './en/kit';
import { nodes } from './en/nodes';
import { services } from './en/services';
import { shell } from './en/shell';

export const en = {
  ...actions,
  ...dashboard,
  ...deployments,
  ...instances,
  ...kit,
  ...nodes,
  ...services,
  ...shell,
} as const;
