// How the UI is built: a static bundle under /admin/ with hashed names, one chunk per page, nothing inline.
import { paraglideVitePlugin } from '@inlang/paraglide-js';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import nodeFs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { texts } from './build/texts.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const backend = process.env.PICGATE_BACKEND ?? 'http://127.0.0.1:5650';

/** Files that are written at once, at most. */
const WRITTEN_AT_ONCE = 64;

/**
 * The file system as Paraglide gets it. It writes more than a thousand files, one for each text, and would open all of them
 * at once; where fewer may be open (in containers, often 1,024), the rest would be missing without a word.
 */
function fewFilesAtOnce() {
  const waiting: (() => void)[] = [];
  let writing = 0;
  const writeFile: typeof nodeFs.promises.writeFile = async (...file) => {
    if (writing >= WRITTEN_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    else writing += 1;
    try {
      await nodeFs.promises.writeFile(...file);
    } finally {
      // The place goes to the next one that waits.
      const next = waiting.shift();
      if (next) next();
      else writing -= 1;
    }
  };
  return { ...nodeFs, promises: { ...nodeFs.promises, writeFile } };
}

export default defineConfig({
  base: '/admin/',
  plugins: [
    tailwindcss(),
    paraglideVitePlugin({
      project: './project.inlang',
      outdir: './src/lib/paraglide',
      strategy: ['globalVariable', 'baseLocale'],
      fs: fewFilesAtOnce(),
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
    // Far beyond what is needed, so that a slow machine is no failure: tests/patience.ts and loading what is tested.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
