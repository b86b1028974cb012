// What differs in a native window of the desktop app: other pages have windows of their own, and whatever leaves PicGate's
// pages opens in the system's browser, where people expect tabs, downloads and addresses.
import { api, call, type ShellPage } from '$lib/api';
import { m } from '$lib/messages';
import { pathOf, router } from '$lib/router';
import { toast } from '$lib/ui/toast';

const PAGES: ShellPage[] = ['dashboard', 'settings', 'cache', 'gallery', 'logs', 'about'];

/** The page that a path below /admin belongs to. */
export function pageOf(path: string): ShellPage | null {
  return PAGES.find((page) => path === `/${page}` || path.startsWith(`/${page}/`)) ?? null;
}

/** Opens a page's own window, or brings it to the front. */
export async function openWindow(page: ShellPage, rest = ''): Promise<void> {
  try {
    await call(api.POST('/shell/open', { body: { page, rest: rest || null } }));
  } catch (cause) {
    toast.failed(m.desktop_open_failed(), cause);
  }
}

async function openExternal(url: string): Promise<void> {
  try {
    await call(api.POST('/shell/external', { body: { url } }));
  } catch (cause) {
    toast.failed(m.desktop_external_failed(), cause);
  }
}

/** Whether another window takes over: only from page to page, so that signing in stays where it is. */
function takenOver(url: URL): boolean {
  const path = pathOf(url.pathname) ?? '';
  const page = pageOf(path);
  const here = pageOf(router.path);
  if (!page || !here || page === here) return false;
  void openWindow(page, path.slice(page.length + 1) + url.search);
  return true;
}

const isWeb = (url: URL | HTMLAnchorElement) => url.protocol === 'http:' || url.protocol === 'https:';

function clicked(event: MouseEvent): void {
  if (event.defaultPrevented || event.button > 1) return;
  const link = (event.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
  if (!link || !isWeb(link)) return;
  const path = link.origin === location.origin ? pathOf(link.pathname) : null;
  // What the API hands out as a file needs the session, which the system's browser does not have.
  if (path?.startsWith('/api/')) return;
  if (path === null) {
    event.preventDefault();
    void openExternal(link.href);
    return;
  }
  // There are no tabs here: with Ctrl or the middle button a page opens like with a plain click.
  const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (plain && !link.target) return;
  event.preventDefault();
  void router.go(path + link.search);
}

/** Acts as a native window; the returned function ends it. */
export function beginNativeWindow(): () => void {
  const open = window.open.bind(window);
  window.open = (to) => {
    const url = new URL(to ?? '', location.href);
    if (isWeb(url)) void openExternal(url.href);
    return null;
  };
  router.elsewhere = takenOver;
  document.addEventListener('click', clicked, true);
  document.addEventListener('auxclick', clicked, true);
  return () => {
    window.open = open;
    router.elsewhere = null;
    document.removeEventListener('click', clicked, true);
    document.removeEventListener('auxclick', clicked, true);
  };
}
