// English: the dashboard.
export const dashboard = {
  'dash.up': 'up {age}',
  'dash.noLeader': 'no leader',
  'dash.capacity': 'Capacity',
  'dash.cores': 'cores',
  'dash.attention': 'Needs attention',
  'dash.held': { one: '{n} service cannot go on: {names}', other: '{n} services cannot go on: {names}' },
  'dash.latest': 'Done last',
  'dash.load': 'Load of the cluster',
  'dash.noDoor': 'No request has come through the front door yet.',
  'dash.all': 'All',
  'dash.allN': 'All {n}',
  'dash.allServices': 'All services',
  'dash.allNodes': 'All nodes',
  'dash.mem': 'Mem',
  'dash.legend': 'Height: the larger of reserved CPU and memory.',
} as const;
