// The five pages of the rail, in order: label, icon, address, key.
import ChartColumn from '@lucide/svelte/icons/layout-dashboard';
import Database from '@lucide/svelte/icons/hard-drive';
import Images from '@lucide/svelte/icons/images';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Settings from '@lucide/svelte/icons/settings';
import { m } from '$lib/messages';
import type { Icon } from '$lib/ui/icon';

export type RailPage = { path: string; label: () => string; icon: Icon; key: string };

export const railPages: RailPage[] = [
  { path: '/dashboard', label: () => m.nav_dashboard(), icon: ChartColumn, key: 'd' },
  { path: '/gallery', label: () => m.nav_gallery(), icon: Images, key: 'g' },
  { path: '/cache', label: () => m.nav_cache(), icon: Database, key: 'c' },
  { path: '/logs', label: () => m.nav_logs(), icon: ScrollText, key: 'l' },
  { path: '/settings', label: () => m.nav_settings(), icon: Settings, key: 's' },
];

export const isAt = (page: RailPage, path: string) => path === page.path || path.startsWith(`${page.path}/`);
