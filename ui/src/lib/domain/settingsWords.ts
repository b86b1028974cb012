// The settings in words: label, one-line explanation, example and options of each key, and where it stands on the page.
import { m } from '$lib/messages';
import type { Shape } from './settingsCheck';
import { STORAGE } from './settingsStorage';

export type Option = { value: string; label: string; hint?: string };
export type Words = { label: string; hint?: string; example?: string; options?: Option[] };

export const SECTIONS = [
  'upstreams',
  'gateway',
  'conversation',
  'history',
  'bucket',
  'cache',
  'security',
  'appearance',
  'desktop',
  'account',
] as const;
export type Section = (typeof SECTIONS)[number];

export const isSection = (text: string | undefined): text is Section => SECTIONS.includes(text as Section);

const TITLES: Record<Section, () => string> = {
  upstreams: m.settings_s_upstreams,
  gateway: m.settings_s_gateway,
  conversation: m.settings_s_conversation,
  history: m.settings_s_history,
  bucket: m.settings_s_bucket,
  cache: m.settings_s_cache,
  security: m.settings_s_security,
  appearance: m.settings_s_appearance,
  desktop: m.desktop_section,
  account: m.settings_s_account,
};
const ABOUTS: Record<Section, () => string> = {
  upstreams: m.settings_s_upstreams_about,
  gateway: m.settings_s_gateway_about,
  conversation: m.settings_s_conversation_about,
  history: m.settings_s_history_about,
  bucket: m.settings_s_bucket_about,
  cache: m.settings_s_cache_about,
  security: m.settings_s_security_about,
  appearance: m.settings_s_appearance_about,
  desktop: m.desktop_section_about,
  account: m.settings_s_account_about,
};
export const sectionTitle = (section: Section) => TITLES[section]();
export const sectionAbout = (section: Section) => ABOUTS[section]();

const KEYS: Record<string, () => Words> = {
  ...STORAGE,
  gateway_model: () => ({
    label: m.settings_k_gateway_model(),
    hint: m.settings_k_gateway_model_hint(),
    example: 'picgate',
  }),
  public_base_url: () => ({
    label: m.settings_k_public_base_url(),
    hint: m.settings_k_public_base_url_hint(),
    example: 'https://img.example.com',
  }),
  model_aliases: () => ({
    label: m.settings_k_model_aliases(),
    hint: m.settings_k_model_aliases_hint(),
    example: 'picgate-16x9-4k: --ar 16:9 --size 4k',
  }),
  images_response: () => ({
    label: m.settings_k_images_response(),
    hint: m.settings_k_images_response_hint(),
    options: [
      { value: 'auto', label: m.settings_o_response_auto(), hint: m.settings_o_response_auto_hint() },
      { value: 'url', label: m.settings_o_response_url(), hint: m.settings_o_response_url_hint() },
      { value: 'b64_json', label: m.settings_o_response_b64(), hint: m.settings_o_response_b64_hint() },
    ],
  }),
  json_keep_alive: () => ({
    label: m.settings_k_json_keep_alive(),
    hint: m.settings_k_json_keep_alive_hint(),
  }),
  content_array: () => ({ label: m.settings_k_content_array(), hint: m.settings_k_content_array_hint() }),
  progress_style: () => ({
    label: m.settings_k_progress_style(),
    hint: m.settings_k_progress_style_hint(),
    options: [
      {
        value: 'content',
        label: m.settings_o_progress_content(),
        hint: m.settings_o_progress_content_hint(),
      },
      {
        value: 'reasoning',
        label: m.settings_o_progress_reasoning(),
        hint: m.settings_o_progress_reasoning_hint(),
      },
      { value: 'quiet', label: m.settings_o_progress_quiet(), hint: m.settings_o_progress_quiet_hint() },
    ],
  }),
  intent_words: () => ({
    label: m.settings_k_intent_words(),
    hint: m.settings_k_intent_words_hint(),
    example: m.settings_k_intent_words_example(),
  }),
  task_model: () => ({
    label: m.settings_k_task_model(),
    hint: m.settings_k_task_model_hint(),
    example: 'gpt-4o-mini',
  }),
  quota_window: () => ({
    label: m.settings_k_quota_window(),
    hint: m.settings_k_quota_window_hint(),
    example: m.settings_k_quota_window_example(),
  }),
  keep_uploads: () => ({ label: m.settings_k_keep_uploads(), hint: m.settings_k_keep_uploads_hint() }),
  fetch_external_images: () => ({
    label: m.settings_k_fetch_external_images(),
    hint: m.settings_k_fetch_external_images_hint(),
  }),
  allowed_hosts: () => ({
    label: m.settings_k_allowed_hosts(),
    hint: m.settings_k_allowed_hosts_hint(),
    example: 'picgate.example.com',
  }),
  notify_finished: () => ({ label: m.desktop_notify_finished(), hint: m.desktop_notify_finished_hint() }),
  notify_failed: () => ({ label: m.desktop_notify_failed(), hint: m.desktop_notify_failed_hint() }),
  notify_disk: () => ({ label: m.desktop_notify_disk(), hint: m.desktop_notify_disk_hint() }),
  notify_bucket: () => ({ label: m.desktop_notify_bucket(), hint: m.desktop_notify_bucket_hint() }),
  language: () => ({
    label: m.settings_k_language(),
    hint: m.settings_k_language_hint(),
    options: [
      { value: 'auto', label: m.settings_o_language_auto(), hint: m.settings_o_language_auto_hint() },
      { value: 'zh', label: '简体中文' },
      { value: 'en', label: 'English' },
    ],
  }),
};

/** How a setting is told to a person; one that is newer than this page by its key. */
export function wordsOf(key: string, shape: Shape): Words {
  const { min, max } = shape.kind === 'number' ? shape : { min: 0, max: 0 };
  if (key === 'history_images') {
    const hint = m.settings_k_history_images_hint({ min, max });
    return { label: m.settings_k_history_images(), hint, example: '8' };
  }
  if (key === 'history_mb') {
    return {
      label: m.settings_k_history_mb(),
      hint: m.settings_k_history_mb_hint({ min, max }),
      example: '20',
    };
  }
  const known = KEYS[key]?.() ?? { label: key };
  if (shape.kind !== 'word') return known;
  const named = known.options ?? [];
  const rest = shape.words.filter((word) => !named.some((option) => option.value === word));
  const options = [
    ...named.filter((option) => shape.words.includes(option.value)),
    ...rest.map((word) => ({ value: word, label: word })),
  ];
  return { ...known, options };
}

/** What a setting is called; one that is newer than this page by its key. */
export function labelOf(key: string): string {
  if (key === 'listen') return m.desktop_listen_title();
  return wordsOf(key, { kind: 'switch' }).label;
}

/** The value that holds when nothing is set, in words, if it is short enough to stand on a button. */
export function defaultInWords(words: Words, shape: Shape, value: string): string | null {
  if (shape.kind === 'switch') return null;
  if (value.trim() === '') return m.settings_default_empty();
  const named = words.options?.find((option) => option.value === value)?.label ?? value;
  return named.length <= 24 ? named : null;
}
