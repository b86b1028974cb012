// Which route an address belongs to. Pure: it knows patterns and paths, no pages.

/** The UI's address on the server. */
export const BASE = '/admin';

export type Params = Record<string, string>;

/** The path below BASE, always beginning with "/", never ending with one (except the root). Null: not ours. */
export function pathOf(pathname: string): string | null {
  if (pathname !== BASE && !pathname.startsWith(`${BASE}/`)) return null;
  const rest = pathname.slice(BASE.length).replace(/\/+$/, '');
  return rest === '' ? '/' : rest;
}

/** Matches "/gallery/:id" or, with an optional end, "/gallery/:id?". Null: no match. */
export function match(pattern: string, path: string): Params | null {
  const wanted = pattern.split('/').filter(Boolean);
  const given = path.split('/').filter(Boolean);
  if (given.length > wanted.length) return null;
  const params: Params = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index];
    const name = part.startsWith(':') ? part.slice(1).replace(/\?$/, '') : null;
    if (value === undefined) {
      if (name === null || !part.endsWith('?')) return null;
    } else if (name === null) {
      if (part !== value) return null;
    } else {
      try {
        params[name] = decodeURIComponent(value);
      } catch {
        return null;
      }
    }
  }
  return params;
}

/** Where to go after sign-in: only a path of ours, never another site. */
export function safeNext(next: string | null): string {
  if (!next || !next.startsWith('/') || next.startsWith('//') || next.includes('\\')) return '/dashboard';
  const path = next.split(/[?#]/)[0] ?? '';
  return path === '/' || path.startsWith('/login') || path.startsWith('/setup') ? '/dashboard' : next;
}
