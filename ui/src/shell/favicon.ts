// The icon of the tab says how the cluster is, so that one tab among many can be found.
import { useEffect } from 'react';
import { useConnection, useStatus } from '../api/hooks';

/** Shape and colour of the corner; nothing when all is well. */
const CORNERS = {
  trouble: '<path d="M22 15.5 31.5 31.5h-19z" fill="#f2c94c" stroke="#16202c" stroke-width="2"/>',
  lost: '<rect x="17" y="17" width="14" height="14" rx="2" fill="#ff6b7a" stroke="#16202c" stroke-width="2"/>',
};
const MOUNTAIN =
  '<rect width="32" height="32" rx="7" fill="#16202c"/><path d="M9 10.5 10.5 9h9l3 1 1.5 9.5H7.5z" fill="#6cb2ff"/><path d="m2.5 25 5-6.5 3.5-1 4 2 5-2.5 4 1.5 5.5 6.5z" fill="#3fcf8e"/>';

export type Corner = keyof typeof CORNERS | undefined;

export function iconOf(corner: Corner): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${MOUNTAIN}${corner ? CORNERS[corner] : ''}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export function useFavicon(): void {
  const lost = useConnection().phase === 'lost';
  const trouble = useStatus((status) => (status?.counts.apps_attention ?? 0) > 0 || (status?.warnings.length ?? 0) > 0);
  const corner: Corner = lost ? 'lost' : trouble ? 'trouble' : undefined;
  useEffect(() => {
    const link = document.querySelector<HTMLLinkElement>('link[rel=icon]');
    if (link) link.href = iconOf(corner);
  }, [corner]);
}
