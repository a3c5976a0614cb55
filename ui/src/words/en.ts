// English: a file an area. `{name}` is filled in; a text in two forms counts by `n`. What only the editor says
// comes with it (`late.ts`).
import { actions } from './en/actions';
import { activity } from './en/activity';
import { cluster } from './en/cluster';
import { dashboard } from './en/dashboard';
import { deployments } from './en/deployments';
import { dock } from './en/dock';
import { instances } from './en/instances';
import { kit } from './en/kit';
import { log } from './en/log';
import { map } from './en/map';
import { nodes } from './en/nodes';
import { overview } from './en/overview';
import { pods } from './en/pods';
import { resources } from './en/resources';
import { service } from './en/service';
import { services } from './en/services';
import { shell } from './en/shell';
import { users } from './en/users';
import { versions } from './en/versions';
import { views } from './en/views';
import { why } from './en/why';

export const en = {
  ...actions,
  ...activity,
  ...cluster,
  ...dashboard,
  ...deployments,
  ...dock,
  ...instances,
  ...kit,
  ...log,
  ...map,
  ...nodes,
  ...overview,
  ...pods,
  ...resources,
  ...service,
  ...services,
  ...shell,
  ...users,
  ...versions,
  ...views,
  ...why,
} as const;
