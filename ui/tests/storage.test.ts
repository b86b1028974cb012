// How full the cache is, which copies a deletion touches, and where pictures are said to lie.
import { describe, expect, it } from 'vitest';
import type { Image } from '../src/lib/api';
import { grouped } from '../src/lib/domain/settingsStorage';
import { fill } from '../src/routes/cache/usage';
import { STATES, belongs, readQuery, toRequest } from '../src/routes/gallery/query';
import { copiesOf } from '../src/routes/gallery/remove';
import { selection } from '../src/routes/gallery/selection.svelte';

const image = (id: string, local: boolean, cloud: Image['cloud']): Image => ({
  id,
  width: 1,
  height: 1,
  bytes: 10,
  media_type: 'image/png',
  source: 'generated',
  prompt: 'a cat',
  model: 'picgate',
  created_at: 1,
  accessed_at: 1,
  local,
  elsewhere: false,
  cloud,
  thumbnail: 'made',
});
const both = image('both', true, 'stored');
const local = image('local', true, 'pending');
const failed = image('failed', true, 'failed');
const cloud = image('cloud', false, 'stored');
const gone = image('gone', false, 'none');
const all = [both, local, failed, cloud, gone];
const ids = (images: Image[]) => images.map(({ id }) => id);

describe('the usage bar', () => {
  it.each([
    [80, 100, 'ok'],
    [80.1, 100, 'warn'],
    [95, 100, 'warn'],
    [95.1, 100, 'bad'],
    [140, 100, 'bad'],
    [140, 0, 'ok'],
  ] as const)('%d of %d is %s', (used, cap, tone) => {
    expect(fill(used, cap).tone).toBe(tone);
  });

  it('says what is left and what is too much', () => {
    expect(fill(60, 100)).toMatchObject({ left: 40, over: 0 });
    expect(fill(140, 100)).toMatchObject({ left: 0, over: 40 });
    expect(fill(140, 0)).toMatchObject({ share: 0, over: 0 });
  });
});

describe('deleting', () => {
  it('knows which copies are the last ones', () => {
    expect(ids(copiesOf(all, 'local').there)).toEqual(['both', 'local', 'failed']);
    expect(ids(copiesOf(all, 'local').last)).toEqual(['local', 'failed']);
    expect(ids(copiesOf(all, 'cloud').last)).toEqual(['cloud']);
    expect(ids(copiesOf(all, 'all').last)).toEqual(ids(all));
  });
});

describe('what is chosen', () => {
  it('is known as it is now, and not as it was when it was chosen', () => {
    selection.add([cloud]);
    selection.note({ ...cloud, local: true });
    selection.note(gone);
    expect(ids(selection.images)).toEqual(['cloud']);
    expect(copiesOf(selection.images, 'cloud').last).toEqual([]);
    selection.clear();
  });
});

describe('the gallery filter', () => {
  it.each([
    ['local', ['both', 'local', 'failed']],
    ['local_only', ['local', 'failed']],
    ['both', ['both']],
    ['cloud', ['both', 'cloud']],
    ['cloud_only', ['cloud']],
    ['waiting', ['local', 'failed']],
    ['failed', ['failed']],
    ['missing', ['gone']],
  ])('%s shows what the server would', (state, expected) => {
    const request = toRequest(readQuery(new URLSearchParams({ state })), 0);
    expect(request.state).toBe(state);
    expect(ids(all.filter((one) => belongs(one, request)))).toEqual(expected);
  });

  it('takes no word that it does not know', () => {
    expect(readQuery(new URLSearchParams({ state: 'nowhere' })).state).toBe('');
    expect(STATES).toHaveLength(10);
  });
});

describe('the groups of settings', () => {
  const field = (key: string) => ({ key });

  it('keep everything, also what is newer than this page', () => {
    const fields = ['s3_write', 'brand_new', 'r2_bucket', 'bucket_links'].map(field);
    const groups = grouped('bucket', fields);
    expect(groups.map((group) => group.fields.map(({ key }) => key))).toEqual([
      ['r2_bucket'],
      ['bucket_links'],
      ['s3_write', 'brand_new'],
    ]);
  });

  it('are one where there are none', () => {
    expect(grouped('gateway', [field('a'), field('b')])).toHaveLength(1);
    expect(grouped('gateway', [])).toEqual([]);
  });
});
