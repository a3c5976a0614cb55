// How an invited machine joins, and which node it became.
import type { NodeSummary } from '../api/types';

export const ROLES = ['agent', 'public-agent'] as const;
export type Role = (typeof ROLES)[number];

/** One line for the shell of the new machine: settings of the packaged service, closed to others, and its start. */
export function joinCommand({ token, master }: { token: string; master: string }, role: Role): string {
  const lines = [`TEPUI_FLAGS="--role ${role}"`, `TEPUI_MASTERS=${master}`, `TEPUI_JOIN_TOKEN=${token}`];
  return `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} | sudo install -m 600 /dev/stdin /etc/default/tepui && sudo systemctl enable --now tepui`;
}

/** Nodes that came since the invitation; a token lets one in, so the first is it. */
export function joined(nodes: readonly NodeSummary[], before: ReadonlySet<string>): NodeSummary | undefined {
  return nodes.filter(({ id }) => !before.has(id)).sort((a, b) => (a.registered_at < b.registered_at ? -1 : 1))[0];
}
