// A key that is written and never read: it waits until its field is left, replaces what was there, and can be removed.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Setting } from '../src/lib/api';

vi.mock('$lib/i18n.svelte', () => ({ i18n: { locale: 'zh-CN' } }));
// Node's Request wants whole addresses; a browser completes them.
const Whole = globalThis.Request;
vi.stubGlobal(
  'Request',
  class extends Whole {
    constructor(input: RequestInfo | URL, init?: RequestInit) {
      super(typeof input === 'string' ? new URL(input, 'http://localhost') : input, init);
    }
  },
);
const { SettingsDraft } = await import('../src/lib/domain/settingsDraft.svelte');

const KEY = 'r2_secret_access_key';
const secret = (is_set: boolean): Setting => ({
  key: KEY,
  value: '',
  default: '',
  shape: { kind: 'secret', max: 1024 },
  section: 'bucket',
  locked_by: null,
  is_set,
});

let sent: unknown[] = [];

beforeEach(() => {
  sent = [];
  vi.useFakeTimers();
  vi.stubGlobal('fetch', async (request: Request) => {
    const { values } = (await request.json()) as { values: Record<string, string | null> };
    sent.push(values);
    return Response.json({ items: [secret(values[KEY] !== null)] });
  });
});
afterEach(() => void vi.useRealTimers());

it('half a key is not sent, the whole one when its field is left', async () => {
  const draft = new SettingsDraft();
  draft.take([secret(false)]);
  draft.focus(KEY);
  draft.change(KEY, 'half');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent).toEqual([]);
  expect(draft.unsaved).toBe(true);
  draft.change(KEY, 'half-and-half');
  draft.blur(KEY);
  await draft.save();
  expect(sent).toEqual([{ [KEY]: 'half-and-half' }]);
  expect(draft.unsaved).toBe(false);
  // It is known to be there, and never shown.
  expect(draft.find(KEY)).toMatchObject({ is_set: true });
  expect(draft.shown(draft.find(KEY)!)).toBe('');
});

it('is removed when a person says so, and only if there is one', async () => {
  const draft = new SettingsDraft();
  draft.take([secret(true)]);
  draft.change(KEY, null, { now: true });
  await draft.save();
  expect(sent).toEqual([{ [KEY]: null }]);
  draft.change(KEY, null, { now: true });
  await draft.save();
  expect(sent).toHaveLength(1);
});

it('with blanks in it is refused before it is sent', async () => {
  const draft = new SettingsDraft();
  draft.take([secret(true)]);
  draft.change(KEY, 'two words');
  await draft.save();
  expect(sent).toEqual([]);
  expect(draft.problems.has(KEY)).toBe(true);
});
