// The filter line of a list: words, `is:condition`, `label:text`; all must hold.
import type { AppSummary } from '../api/types';
import { needsAttention } from './status';

function term(app: AppSummary, word: string): boolean {
  const [, key, value] = /^(is|label):(.+)$/.exec(word) ?? [];
  if (key === 'is' && value) {
    if (value === 'attention') return needsAttention(app);
    if (value === 'healthy') {
      return app.instances.running > 0 && app.instances.healthy === app.instances.running;
    }
    return value.split(',').includes(app.condition);
  }
  if (key === 'label' && value) {
    return Object.entries(app.labels).some(([k, v]) => `${k}=${v}`.toLowerCase().includes(value));
  }
  return `${app.id} ${app.image ?? ''} ${app.cmd ?? ''}`.toLowerCase().includes(word);
}

export function matches(app: AppSummary, query: string): boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => term(app, word));
}
