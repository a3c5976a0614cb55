// English: every key there is, a file an area. `{name}` is filled in; a text in two forms counts by `n`.
import { actions } from './en/actions';
import { activity } from './en/activity';
import { compose } from './en/compose';
import { dashboard } from './en/dashboard';
import { deployments } from './en/deployments';
import { dock } from './en/dock';
import { edit } from './en/edit';
import { form } from './en/form';
import { instances } from './en/instances';
import { kit } from './en/kit';
import { log } from './en/log';
import { map } from './en/map';
import { nodes } from './en/nodes';
import { overview } from './en/overview';
import { resources } from './en/resources';
import { service } from './en/service';
import { services } from './en/services';
import { shell } from './en/shell';
import { versions } from './en/versions';
import { views } from './en/views';
import { why } from './en/why';

export const en = {
  ...actions,
  ...activity,
  ...compose,
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
  ...resources,
  ...service,
  ...services,
  ...shell,
  ...versions,
  ...views,
  ...why,
} as const;
