// German: deployments.
import type { Catalog } from '../index';
import type { deployments as english } from '../en/deployments';

export const deployments: Catalog<typeof english> = {
  'deployments.more': { one: 'und {n} weiterer Dienst', other: 'und {n} weitere Dienste' },
};
