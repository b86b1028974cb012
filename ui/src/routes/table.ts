// Every page: its address, its title, its code (loaded when first needed), and who may see it.
import type { Component } from 'svelte';
import { m } from '$lib/messages';

export type PageProps = { params: Record<string, string> };
/** A page may take its params or not. */
type Loaded = { default: Component<PageProps> | Component<Record<string, never>> };

export type Route = {
  name: string;
  pattern: string;
  title: () => string;
  load: () => Promise<Loaded>;
  /** `open`: a page without the frame, for people who are not signed in yet. */
  open?: boolean;
};

export const routes: Route[] = [
  {
    name: 'setup',
    pattern: '/setup',
    title: () => m.nav_setup(),
    load: () => import('./setup/Page.svelte'),
    open: true,
  },
  {
    name: 'login',
    pattern: '/login',
    title: () => m.nav_login(),
    load: () => import('./login/Page.svelte'),
    open: true,
  },
  {
    name: 'dashboard',
    pattern: '/dashboard',
    title: () => m.nav_dashboard(),
    load: () => import('./dashboard/Page.svelte'),
  },
  {
    name: 'gallery',
    pattern: '/gallery/:id?',
    title: () => m.nav_gallery(),
    load: () => import('./gallery/Page.svelte'),
  },
  { name: 'cache', pattern: '/cache', title: () => m.nav_cache(), load: () => import('./cache/Page.svelte') },
  {
    name: 'settings',
    pattern: '/settings/:section?',
    title: () => m.nav_settings(),
    load: () => import('./settings/Page.svelte'),
  },
  { name: 'logs', pattern: '/logs', title: () => m.nav_logs(), load: () => import('./logs/Page.svelte') },
  { name: 'about', pattern: '/about', title: () => m.nav_about(), load: () => import('./about/Page.svelte') },
];

export const missing: Route = {
  name: 'missing',
  pattern: '',
  title: () => m.nav_missing(),
  load: () => import('./missing/Page.svelte'),
};
