// Rules by which pictures go for good: the password is asked for and sent, or the field goes back to what it was.
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
const { m } = await import('../src/lib/messages');
const { SettingsDraft } = await import('../src/lib/domain/settingsDraft.svelte');
const { asking } = await import('../src/lib/domain/password/question.svelte');

const items = (held: Record<string, string>): Setting[] => [
  {
    key: 'delete_cloud_with_metadata',
    value: held.delete_cloud_with_metadata!,
    default: 'false',
    shape: { kind: 'switch' },
    section: 'cache',
    locked_by: null,
    is_set: held.delete_cloud_with_metadata === 'true',
  },
  {
    key: 'quota_window',
    value: held.quota_window!,
    default: '',
    shape: { kind: 'text', max: 256 },
    section: 'conversation',
    locked_by: null,
    is_set: held.quota_window !== '',
  },
];

const bucket = (): Setting => ({
  key: 'r2_bucket',
  value: held.r2_bucket!,
  default: '',
  shape: { kind: 'text', max: 256 },
  section: 'bucket',
  locked_by: null,
  is_set: held.r2_bucket !== '',
});

let held: Record<string, string> = {};

beforeEach(() => {
  held = { delete_cloud_with_metadata: 'false', quota_window: '', r2_bucket: '' };
  vi.stubGlobal('fetch', async (request: Request) => {
    const body = (await request.json()) as { values: Record<string, string>; password?: string };
    const refused = (status: number, code: string) =>
      Response.json({ error: { code, message: 'no', fields: {}, count: null } }, { status });
    if ('delete_cloud_with_metadata' in body.values || body.values.r2_bucket) {
      if (!body.password) return refused(403, 'password_needed');
      if (body.password !== 'correct horse') return refused(401, 'wrong_credentials');
    }
    Object.assign(held, body.values);
    return Response.json({ items: [...items(held), bucket()] });
  });
});

async function typed() {
  const draft = new SettingsDraft();
  draft.take(items(held));
  draft.change('delete_cloud_with_metadata', 'true');
  draft.change('quota_window', '5 hours');
  const saved = draft.save();
  await vi.waitFor(() => expect(asking.question).not.toBeNull(), PATIENCE);
  return { draft, saved };
}

it('are saved with the password, and a wrong one is asked for again', async () => {
  const { draft, saved } = await typed();
  await expect(asking.try('wrong horse')).rejects.toMatchObject({ code: 'wrong_credentials' });
  expect(asking.question).not.toBeNull();
  await asking.try('correct horse');
  await saved;
  expect(held).toMatchObject({ delete_cloud_with_metadata: 'true', quota_window: '5 hours' });
  expect(draft.unsaved).toBe(false);
});

it('stay as they are without it, and everything else is saved', async () => {
  const { draft, saved } = await typed();
  asking.end();
  await saved;
  expect(held).toMatchObject({ delete_cloud_with_metadata: 'false', quota_window: '5 hours' });
  expect(draft.shown(draft.find('delete_cloud_with_metadata')!)).toBe('false');
  expect(draft.unsaved).toBe(false);
  expect(draft.failure).toBeNull();
});

it('are told apart from another bucket, which takes the password too', async () => {
  const draft = new SettingsDraft();
  draft.take([...items(held), bucket()]);
  draft.change('r2_bucket', 'pictures');
  draft.change('quota_window', '5 hours');
  const saved = draft.save();
  await vi.waitFor(() => expect(asking.question).not.toBeNull());
  expect(asking.question!.title).toBe(m.bucket_use_title());
  asking.end();
  await saved;
  expect(held).toMatchObject({ r2_bucket: '', quota_window: '5 hours' });
  expect(draft.shown(draft.find('r2_bucket')!)).toBe('');

  draft.change('r2_bucket', 'pictures');
  const again = draft.save();
  await vi.waitFor(() => expect(asking.question).not.toBeNull());
  await asking.try('correct horse');
  await again;
  expect(held.r2_bucket).toBe('pictures');
});
