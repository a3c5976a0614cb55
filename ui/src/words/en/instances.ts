// English: the list of instances.
export const instances = {
  'instances.filter': 'Filter instances',
  'instances.filterHint': 'Filter by id, node:, is:…',
  'instances.none': 'No instance matches',
  'instances.found': '{n} of {of}',

  'kill.label': 'Selected instances',
  'kill.stop…': 'Stop…',
  'kill.title': { one: 'Stop {n} instance', other: 'Stop {n} instances' },
  'kill.about': 'Each is taken out of load balancing, then stopped. Others take their places.',
  'kill.aboutScale': 'Each is taken out of load balancing, then stopped. None is replaced.',
  'kill.scale': 'Also scale down by as many',
  'kill.steps': 'Instances and how it went',
  'kill.done': { one: '{n} instance: stopping', other: '{n} instances: stopping' },
} as const;
