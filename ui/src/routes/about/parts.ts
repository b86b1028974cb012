// The main components that PicGate stands on, with their licences.
import { m } from '$lib/messages';

export type Part = { name: string; purpose: () => string; licence: string; href: string };

const github = (path: string) => `https://github.com/${path}`;

export const parts: Part[] = [
  { name: 'axum', purpose: m.about_for_server, licence: 'MIT', href: github('tokio-rs/axum') },
  { name: 'Tokio', purpose: m.about_for_server, licence: 'MIT', href: github('tokio-rs/tokio') },
  { name: 'SQLite', purpose: m.about_for_database, licence: 'Public Domain', href: 'https://sqlite.org' },
  { name: 'rusqlite', purpose: m.about_for_database, licence: 'MIT', href: github('rusqlite/rusqlite') },
  {
    name: 'reqwest',
    purpose: m.about_for_http,
    licence: 'MIT / Apache-2.0',
    href: github('seanmonstar/reqwest'),
  },
  {
    name: 'rustls',
    purpose: m.about_for_tls,
    licence: 'MIT / Apache-2.0 / ISC',
    href: github('rustls/rustls'),
  },
  { name: 'image', purpose: m.about_for_images, licence: 'MIT / Apache-2.0', href: github('image-rs/image') },
  {
    name: 'fast_image_resize',
    purpose: m.about_for_images,
    licence: 'MIT / Apache-2.0',
    href: github('Cykooz/fast_image_resize'),
  },
  {
    name: 'argon2',
    purpose: m.about_for_passwords,
    licence: 'MIT / Apache-2.0',
    href: github('RustCrypto/password-hashes'),
  },
  { name: 'Svelte', purpose: m.about_for_ui, licence: 'MIT', href: github('sveltejs/svelte') },
  { name: 'Bits UI', purpose: m.about_for_ui, licence: 'MIT', href: github('huntabyte/bits-ui') },
  { name: 'Tailwind CSS', purpose: m.about_for_ui, licence: 'MIT', href: github('tailwindlabs/tailwindcss') },
  { name: 'Lucide', purpose: m.about_for_icons, licence: 'ISC', href: github('lucide-icons/lucide') },
  {
    name: 'Paraglide JS',
    purpose: m.about_for_texts,
    licence: 'MIT',
    href: github('opral/paraglide-js'),
  },
];
