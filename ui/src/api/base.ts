// Where this page lives: at the root of its host, or below a prefix that somebody's proxy takes off.
// The document finds its prefix out before anything is fetched (index.html) and says it as `<base>`.

/** The path before `/ui`, without a slash at its end. */
export const PREFIX = typeof document === 'undefined' ? '' : new URL(document.baseURI).pathname.replace(/\/$/, '');

/** A path of this origin as the browser must ask for it. */
export function here(path: string): string {
  return PREFIX + path;
}
