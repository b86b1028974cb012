// Lines of the log in words: settings are called there as on their page.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { Line } from '../src/lib/api';
import { PATIENCE } from './patience';

vi.mock('$lib/i18n.svelte', () => ({ i18n: { locale: 'zh-CN' } }));
const { m } = await import('../src/lib/messages');
const { eventNames, sentence } = await import('../src/routes/logs/sentences');

const changed = (keys: string): string =>
  sentence({ message: 'settings were changed', fields: { event: 'settings', keys } } as unknown as Line);

it('settings have the names of their page, also those that are changed elsewhere', async () => {
  // Their words are loaded with the first one that is named.
  changed('listen');
  await vi.waitFor(() => expect(changed('listen')).not.toContain('listen'), PATIENCE);
  const told = changed('cache_cap_mb,history_mb,listen');
  expect(told).toContain(m.settings_k_cache_cap_mb());
  expect(told).toContain(m.settings_k_history_mb());
  expect(told).toContain(m.desktop_listen_title());
  expect(told).not.toMatch(/_/);
  expect(changed('brand_new')).toContain('brand_new');
});

it('every event that the program tells has words, and no others have', () => {
  const sources = readdirSync('../src-tauri', { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.rs'),
  );
  const told = sources.flatMap((path) => {
    const source = readFileSync(join('../src-tauri', path), 'utf8');
    return [...source.matchAll(/event = "(\w+)"/g)].map(([, name]) => name!);
  });
  // One place tells either of two.
  expect(eventNames.toSorted()).toEqual([...new Set([...told, 'paused', 'resumed'])].toSorted());
});
