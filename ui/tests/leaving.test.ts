// Another bucket while pictures are in the present one alone: a person is asked, and what was typed goes or is sent again.
import { beforeEach, expect, it, vi } from 'vitest';
import type { Setting } from '../src/lib/api';
import { PATIENCE } from './patience';

vi.mock('$lib/i18n.svelte', () => ({ i18n: { locale: 'en' } }));
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
const { asking } = await import('../src/lib/ui/confirm.svelte');

const setting = (key: string, section: Setting['section'], value: string): Setting => ({
  key,
  value,
  default: '',
  shape: { kind: 'text', max: 256 },
  section,
  locked_by: null,
  is_set: value !== '',
});

type Sent = { values: Record<string, string>; leave_images: boolean };
let sent: Sent[] = [];
let held: Record<string, string> = {};

beforeEach(() => {
  sent = [];
  held = { r2_bucket: 'old', quota_window: '' };
  vi.stubGlobal('fetch', async (request: Request) => {
    const body = (await request.json()) as Sent;
    sent.push(body);
    if ('r2_bucket' in body.values && !body.leave_images) {
      const error = { code: 'images_left_behind', message: 'no', fields: {}, count: 48 };
      return Response.json({ error }, { status: 409 });
    }
    Object.assign(held, body.values);
    const items = [
      setting('r2_bucket', 'bucket', held.r2_bucket!),
      setting('quota_window', 'conversation', held.quota_window!),
    ];
    return Response.json({ items });
  });
});

async function typed() {
  const draft = new SettingsDraft();
  draft.take([setting('r2_bucket', 'bucket', 'old'), setting('quota_window', 'conversation', '')]);
  draft.change('r2_bucket', 'new');
  draft.change('quota_window', '5 hours');
  const saved = draft.save();
  await vi.waitFor(() => expect(asking.question).not.toBeNull(), PATIENCE);
  expect(asking.question!.title).toContain('48');
  return { draft, saved };
}

it('is changed when a person says that it is meant', async () => {
  const { draft, saved } = await typed();
  asking.answer(true);
  await saved;
  expect(sent.at(-1)).toEqual({ values: { r2_bucket: 'new', quota_window: '5 hours' }, leave_images: true });
  expect(held).toEqual({ r2_bucket: 'new', quota_window: '5 hours' });
  expect(draft.unsaved).toBe(false);
});

it('stays as it is when not, and everything else is saved', async () => {
  const { draft, saved } = await typed();
  asking.answer(false);
  await saved;
  expect(held).toEqual({ r2_bucket: 'old', quota_window: '5 hours' });
  expect(draft.shown(draft.find('r2_bucket')!)).toBe('old');
  expect(draft.unsaved).toBe(false);
  expect(draft.failure).toBeNull();
});
