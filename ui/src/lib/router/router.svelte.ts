// Where we are, over the history API. Links are plain `<a href="/admin/…">`; this takes them over. A page with
// unsaved input sets `guard`, which is asked before leaving.
import { BASE, pathOf } from './match';
import { scrollMemory } from './scroll';
import { recallInTab, rememberInTab } from '$lib/storage';

type Entry = { key: string; index: number };
type Going = { replace?: boolean };

const newKey = () => Math.random().toString(36).slice(2, 10);

class Router {
  #url = $state.raw(new URL(location.href));
  #entry: Entry = { key: newKey(), index: 0 };
  /** Set while a guard that said no is putting the history back. */
  #undoing = false;
  /** How this address was reached: scroll is restored on back and forward, else the page begins at its top. */
  arrived: 'new' | 'back' = 'back';
  /** Asked before leaving this page for another path; false stays. */
  guard: ((path: string) => boolean | Promise<boolean>) | null = null;
  /** Asked before going to another path: true means that another window shows it. */
  elsewhere: ((url: URL) => boolean) | null = null;
  /** In a native window the frame hides its rail: the tray switches pages. */
  readonly inWindow: boolean;

  constructor() {
    this.inWindow = this.query.get('window') === '1' || recallInTab('window') === '1';
    if (this.inWindow) rememberInTab('window', '1');
    history.scrollRestoration = 'manual';
    const kept = history.state as Partial<Entry> | null;
    if (typeof kept?.key === 'string') this.#entry = { key: kept.key, index: kept.index ?? 0 };
    else history.replaceState(this.#entry, '');
    addEventListener('popstate', (event) => void this.#popped(event.state as Partial<Entry> | null));
    addEventListener('pagehide', () => scrollMemory.keep(this.#entry.key));
    document.addEventListener('click', (event) => this.#clicked(event));
  }

  /** Below /admin: "/gallery/…". */
  get path(): string {
    return pathOf(this.#url.pathname) ?? '/';
  }

  get query(): URLSearchParams {
    return this.#url.searchParams;
  }

  /** Path and query below /admin, to come back to. */
  get here(): string {
    return this.path + this.#url.search;
  }

  /** The address of a path of ours, for `href`. */
  href(path: string): string {
    return BASE + path;
  }

  /** Goes to a path below /admin. */
  async go(path: string, { replace = false }: Going = {}): Promise<void> {
    const url = new URL(BASE + path, location.origin);
    if (url.href === this.#url.href || this.elsewhere?.(url)) return;
    if (url.pathname !== this.#url.pathname && !(await this.#mayLeave(url))) return;
    scrollMemory.keep(this.#entry.key);
    this.#entry = replace
      ? { key: newKey(), index: this.#entry.index }
      : { key: newKey(), index: this.#entry.index + 1 };
    if (replace) history.replaceState(this.#entry, '', url);
    else history.pushState(this.#entry, '', url);
    this.arrived = 'new';
    this.#url = url;
  }

  /** Changes the query in place (filters, sort): null takes a name out. No new entry, no scroll. */
  setQuery(changes: Record<string, string | null>): void {
    const url = new URL(this.#url);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === '') url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    if (url.href === this.#url.href) return;
    history.replaceState(this.#entry, '', url);
    this.#url = url;
  }

  /** Back to where one came from inside the UI, else to `fallback`. */
  back(fallback: string): void {
    if (this.#entry.index > 0) history.back();
    else void this.go(fallback, { replace: true });
  }

  /** Called once the page of this address stands: scrolls to where it was, or to the top. */
  settled(): void {
    if (this.arrived === 'back') scrollMemory.restore(this.#entry.key);
    else scrollMemory.top();
  }

  async #mayLeave(url: URL): Promise<boolean> {
    if (!this.guard) return true;
    if (!(await this.guard(pathOf(url.pathname) ?? ''))) return false;
    this.guard = null;
    return true;
  }

  async #popped(state: Partial<Entry> | null): Promise<void> {
    if (this.#undoing) {
      this.#undoing = false;
      return;
    }
    const next: Entry = { key: state?.key ?? newKey(), index: state?.index ?? 0 };
    const url = new URL(location.href);
    if (this.guard && url.pathname !== this.#url.pathname) {
      const step = next.index - this.#entry.index;
      // The browser has moved already: go back first, ask, and move again if the answer is yes.
      this.#undoing = true;
      history.go(-step);
      if (!(await this.#mayLeave(url))) return;
      history.go(step);
      return;
    }
    scrollMemory.keep(this.#entry.key);
    this.#entry = next;
    this.arrived = 'back';
    this.#url = url;
  }

  #clicked(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    const path = pathOf(link.pathname);
    if (path === null || path.startsWith('/api/') || link.hash) return;
    event.preventDefault();
    void this.go(path + link.search);
  }
}

export const router = new Router();
