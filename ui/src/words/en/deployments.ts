// English: deployments.
export const deployments = {
  'deployments.more': { one: 'and {n} more service', other: 'and {n} more services' },

  'deployments.do.start': 'Starting {id}',
  'deployments.do.stop': 'Stopping {id}',
  'deployments.do.scale': 'Scaling {id}',
  'deployments.do.restart': 'Replacing instances of {id}',
  'deployments.step': 'step {n} of {of}',
  'deployments.done': '{id}: {n} of {of} done',
  'deployments.about': 'Changes that are being carried out now.',
  'deployments.ended': 'Those that ended',
  'deployments.none': 'No deployment is running',
  'deployments.noneHint': 'Every service is at its wanted version and size.',
  'deployments.backAndDelete…': 'Roll back and delete…',
  'deployments.backTitle': 'Roll this deployment back?',
  'deployments.backDone': 'Rolling back',
  'deployments.returns': {
    one: '{ids} returns to the version and size before this deployment, by a deployment of its own.',
    other: '{ids} return to the version and size before this deployment, by a deployment of their own.',
  },
  'deployments.backAndDelete': 'Roll back and delete {what}',
  'deployments.backAndDeleteTitle': 'Roll back and delete {what}?',
  'deployments.makes': {
    one: 'This deployment makes {ids}: there is nothing to go back to, so it is deleted.',
    other: 'This deployment makes {ids}: there is nothing to go back to, so they are deleted.',
  },
  'deployments.others': {
    one: '{ids} returns to the version and size before.',
    other: '{ids} return to the version and size before.',
  },
} as const;
