// German. What the server says (causes, reasons of a refusal) comes in English and stays so.
import { actions } from './de/actions';
import { activity } from './de/activity';
import { compose } from './de/compose';
import { cluster } from './de/cluster';
import { dashboard } from './de/dashboard';
import { deployments } from './de/deployments';
import { dock } from './de/dock';
import { edit } from './de/edit';
import { form } from './de/form';
import { instances } from './de/instances';
import { kit } from './de/kit';
import { log } from './de/log';
import { map } from './de/map';
import { nodes } from './de/nodes';
import { overview } from './de/overview';
import { pods } from './de/pods';
import { resources } from './de/resources';
import { service } from './de/service';
import { services } from './de/services';
import { shell } from './de/shell';
import { users } from './de/users';
import { versions } from './de/versions';
import { views } from './de/views';
import { why } from './de/why';
import type { Catalog } from './index';

export const de: Catalog = {
  ...actions,
  ...activity,
  ...compose,
  ...cluster,
  ...dashboard,
  ...deployments,
  ...dock,
  ...edit,
  ...form,
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
};
