// How the UI is built: a static bundle under /admin/ with hashed names, one chunk per page, nothing inline.
import { paraglideVitePlugin } from '@inlang/paraglide-js';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { texts } from './build/texts.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const backend = process.env.PICGATE_BACKEND ?? 'http://127.0.0.1:5650';

export default defineConfig({
  base: '/admin/',
  plugins: [
    tailwindcss(),
    paraglideVitePlugin({
      project: './project.inlang',
      outdir: './src/lib/paraglide',
      strategy: ['globalVariable', 'baseLocale'],
    }),
    svelte(),
    texts(),
  ],
  resolve: {
    alias: { $lib: here('./src/lib') },
    conditions: process.env.VITEST ? ['browser'] : undefined,
  },
  build: {
    outDir: 'dist',
    target: 'es2022',
    // A data URL in CSS or markup would need `data:` in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 400,
  },
  server: {
    port: 5651,
    proxy: { '/admin/api': backend, '/images': backend, '/v1': backend },
  },
  test: {
    include: ['tests/**/*.test.ts'],
    environment: 'node',
  },
});
