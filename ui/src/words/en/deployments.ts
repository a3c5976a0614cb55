// English: deployments.
export const deployments = {
  'deployments.more': { one: 'and {n} more service', other: 'and {n} more services' },
} as const;
