// The settings of the bucket and of the cache in words, and the groups in which they stand.
import { m } from '$lib/messages';
import type { Words } from './settingsWords';

export const STORAGE: Record<string, () => Words> = {
  r2_account_id: () => ({
    label: m.settings_k_r2_account_id(),
    hint: m.settings_k_r2_account_id_hint(),
    example: '8f14e45fceea167a5a36dedd4bea2543',
  }),
  r2_access_key_id: () => ({
    label: m.settings_k_r2_access_key_id(),
    hint: m.settings_k_r2_access_key_id_hint(),
  }),
  r2_secret_access_key: () => ({
    label: m.settings_k_r2_secret_access_key(),
    hint: m.settings_k_r2_secret_access_key_hint(),
  }),
  r2_bucket: () => ({
    label: m.settings_k_r2_bucket(),
    hint: m.settings_k_r2_bucket_hint(),
    example: 'pictures',
  }),
  s3_endpoint: () => ({
    label: m.settings_k_s3_endpoint(),
    hint: m.settings_k_s3_endpoint_hint(),
    example: 'https://s3.example.com',
  }),
  s3_region: () => ({
    label: m.settings_k_s3_region(),
    hint: m.settings_k_s3_region_hint(),
    example: 'auto',
  }),
  s3_prefix: () => ({
    label: m.settings_k_s3_prefix(),
    hint: m.settings_k_s3_prefix_hint(),
    example: 'picgate/',
  }),
  s3_write: () => ({
    label: m.settings_k_s3_write(),
    hint: m.settings_k_s3_write_hint(),
    options: [
      { value: 'behind', label: m.settings_o_write_behind(), hint: m.settings_o_write_behind_hint() },
      { value: 'through', label: m.settings_o_write_through(), hint: m.settings_o_write_through_hint() },
    ],
  }),
  bucket_public_url: () => ({
    label: m.settings_k_bucket_public_url(),
    hint: m.settings_k_bucket_public_url_hint(),
    example: 'https://pictures.example.com',
  }),
  bucket_links: () => ({
    label: m.settings_k_bucket_links(),
    hint: m.settings_k_bucket_links_hint(),
    options: [
      { value: 'gateway', label: m.settings_o_links_gateway(), hint: m.settings_o_links_gateway_hint() },
      { value: 'redirect', label: m.settings_o_links_redirect(), hint: m.settings_o_links_redirect_hint() },
      { value: 'direct', label: m.settings_o_links_direct(), hint: m.settings_o_links_direct_hint() },
    ],
  }),
  cache_ttl_hours: () => ({
    label: m.settings_k_cache_ttl_hours(),
    hint: m.settings_k_cache_ttl_hours_hint(),
    example: '72',
  }),
  cache_cap_mb: () => ({
    label: m.settings_k_cache_cap_mb(),
    hint: m.settings_k_cache_cap_mb_hint(),
    example: '10240',
  }),
  evict_last_copy: () => ({
    label: m.settings_k_evict_last_copy(),
    hint: m.settings_k_evict_last_copy_hint(),
  }),
  retention_days: () => ({
    label: m.settings_k_retention_days(),
    hint: m.settings_k_retention_days_hint(),
    example: '365',
  }),
  delete_cloud_with_metadata: () => ({
    label: m.settings_k_delete_cloud(),
    hint: m.settings_k_delete_cloud_hint(),
  }),
};

type Group = { title: () => string; about?: () => string; keys: string[] };

/** Groups of a section, in order; what is in none stands in the last. */
const GROUPS: Record<string, Group[]> = {
  bucket: [
    {
      title: m.settings_g_bucket,
      keys: ['r2_account_id', 'r2_access_key_id', 'r2_secret_access_key', 'r2_bucket'],
    },
    {
      title: m.settings_g_links,
      about: m.settings_g_links_about,
      keys: ['bucket_public_url', 'bucket_links'],
    },
    {
      title: m.settings_g_s3,
      about: m.settings_g_s3_about,
      keys: ['s3_endpoint', 's3_region', 's3_prefix', 's3_write'],
    },
  ],
  cache: [
    { title: m.settings_g_local, keys: ['cache_ttl_hours', 'cache_cap_mb', 'evict_last_copy'] },
    { title: m.settings_g_records, keys: ['retention_days', 'delete_cloud_with_metadata'] },
  ],
};

export type Grouped<T> = { title: string; about?: string; fields: T[] };

/** The fields of a section in their groups; one group without a title where there are none. */
export function grouped<T extends { key: string }>(section: string, fields: T[]): Grouped<T>[] {
  const groups = GROUPS[section];
  if (!groups) return fields.length ? [{ title: '', fields }] : [];
  const known = new Set(groups.flatMap((group) => group.keys));
  return groups
    .map((group, index) => ({
      title: group.title(),
      about: group.about?.(),
      fields: [
        ...group.keys.flatMap((key) => fields.filter((field) => field.key === key)),
        ...(index === groups.length - 1 ? fields.filter((field) => !known.has(field.key)) : []),
      ],
    }))
    .filter((group) => group.fields.length > 0);
}
