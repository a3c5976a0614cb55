// Where to go after signing in: a service that refused a stranger sends the browser here with
// `/#/login?redirect=<its address>`. Only addresses of this origin are followed.

let wanted: string | undefined;

/** The address on `origin` that a sign-in link asks to return to, if it is one. */
export function returnOf(hash: string, origin: string): string | undefined {
  if (!hash.startsWith('#/login')) return undefined;
  const query = new URLSearchParams(hash.split('?')[1] ?? '');
  const text = query.get('redirect');
  if (!text || !URL.canParse(text, origin)) return undefined;
  const url = new URL(text, origin);
  return url.origin === origin ? url.pathname + url.search + url.hash : undefined;
}

/** Remembers the address for after the sign-in. */
export function keepReturn(hash: string): void {
  wanted = returnOf(hash, location.origin);
}

/** Goes back there; false when there is nowhere to go. */
export function comeBack(): boolean {
  if (wanted === undefined) return false;
  const to = wanted;
  wanted = undefined;
  location.assign(to);
  return true;
}
