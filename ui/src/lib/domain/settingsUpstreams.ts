// Upstreams: what the admin API does with them (every change answers the whole list), presets, and their words.
import { api, call } from '$lib/api';
import type {
  FieldProblem,
  NewUpstream,
  Upstream,
  UpstreamPatch,
  UpstreamProbe,
  UpstreamTest,
} from '$lib/api';
import { m } from '$lib/messages';
import { confirm } from '$lib/ui/confirm.svelte';

async function listOf(answer: Promise<{ items: Upstream[] }>): Promise<Upstream[]> {
  return (await answer).items;
}
const at = (id: number) => ({ params: { path: { id } } });

export const upstreams = {
  list: (signal?: AbortSignal) => listOf(call(api.GET('/upstreams', { signal }))),
  add: (body: NewUpstream) => listOf(call(api.POST('/upstreams', { body }))),
  change: (id: number, body: UpstreamPatch) =>
    listOf(call(api.PATCH('/upstreams/{id}', { ...at(id), body }))),
  remove: (id: number) => listOf(call(api.DELETE('/upstreams/{id}', at(id)))),
  order: (ids: number[]) => listOf(call(api.PUT('/upstreams/order', { body: { ids } }))),
  forget: (id: number) => listOf(call(api.POST('/upstreams/{id}/forget', at(id)))),
  test: (body: UpstreamProbe): Promise<UpstreamTest> => call(api.POST('/upstreams/test', { body })),
};

export type Preset = Pick<Upstream, 'kind' | 'base_url' | 'model' | 'dialect'> & {
  id: string;
  label: () => string;
  about: () => string;
  /** The name that the form begins with. */
  name: () => string;
};

export const presets: Preset[] = [
  {
    id: 'openai',
    label: m.settings_p_openai,
    about: m.settings_p_openai_about,
    name: () => 'OpenAI',
    kind: 'openai',
    base_url: 'https://api.openai.com/v1',
    model: 'gpt-image-1',
    dialect: 'auto',
  },
  {
    id: 'openrouter',
    label: m.settings_p_openrouter,
    about: m.settings_p_openrouter_about,
    name: () => 'OpenRouter',
    kind: 'openai',
    base_url: 'https://openrouter.ai/api/v1',
    model: 'google/gemini-2.5-flash-image',
    dialect: 'chat',
  },
  {
    id: 'relay',
    label: m.settings_p_relay,
    about: m.settings_p_relay_about,
    name: () => 'new-api',
    kind: 'openai',
    base_url: 'http://localhost:3000/v1',
    model: 'gpt-image-1',
    dialect: 'auto',
  },
  {
    id: 'custom',
    label: m.settings_p_custom,
    about: m.settings_p_custom_about,
    name: () => '',
    kind: 'openai',
    base_url: '',
    model: '',
    dialect: 'auto',
  },
  {
    id: 'demo',
    label: m.settings_p_demo,
    about: m.settings_p_demo_about,
    name: () => 'Demo',
    kind: 'demo',
    base_url: '',
    model: 'demo',
    dialect: 'auto',
  },
];

/** What was learnt, in words. */
export function learntInWords(word: string): string {
  const [name, member = ''] = word.split(':');
  if (name === 'refuses') return m.settings_q_refuses({ member });
  if (word === 'chat_only') return m.settings_q_chat_only();
  if (word === 'images_only') return m.settings_q_images_only();
  if (word === 'edits_as_json') return m.settings_q_edits_as_json();
  return word === 'no_stream' ? m.settings_q_no_stream() : word;
}

export type UpstreamForm = { name: string; base_url: string; model: string; api_key: string };

function isUrl(text: string): boolean {
  try {
    const url = new URL(text);
    return /^https?:$/.test(url.protocol) && url.host !== '' && !url.username && !url.password;
  } catch {
    return false;
  }
}

/** What is wrong with a form, by field, before it is sent. */
export function problemsOf(form: UpstreamForm, kind: Upstream['kind']): Record<string, string> {
  const wrong: Record<string, string> = {};
  const name = form.name.trim();
  if (name === '' || [...name].length > 64) wrong.name = m.settings_f_wrong_name();
  if (kind === 'demo') return wrong;
  if (!isUrl(form.base_url.trim())) wrong.base_url = m.settings_f_wrong_url();
  const model = form.model.trim();
  if (model === '' || model.length > 256) wrong.model = m.settings_f_wrong_model();
  if (/[^\x21-\x7e]/.test(form.api_key.trim())) wrong.api_key = m.settings_f_wrong_key();
  return wrong;
}

/** What the server refused, by the codes of its faults, in words of the page's language. */
export function refusedFields(fields: Record<string, FieldProblem>): Record<string, string> {
  const words: Record<string, () => string> = {
    'name.length': m.settings_f_wrong_name,
    'name.taken': m.settings_f_wrong_name_taken,
    'name.too_many': m.settings_f_wrong_many,
    'base_url.address': m.settings_f_wrong_url,
    'api_key.characters': m.settings_f_wrong_key,
    'api_key.moved': m.settings_f_key_moved,
    'model.length': m.settings_f_wrong_model,
  };
  return Object.fromEntries(
    Object.entries(fields).map(([field, { code }]) => [
      field,
      (words[`${field}.${code}`] ?? m.settings_wrong_other)(),
    ]),
  );
}

const NEAR =
  /^(localhost|.*\.(local|lan|internal|home\.arpa)|[^.:]+|127\..*|10\..*|192\.168\..*|169\.254\..*|172\.(1[6-9]|2\d|3[01])\..*|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\..*|\[(::1|f[cd].*|fe[89ab].*)\])$/i;

/** Whether such an address most likely wants a key: a relay at home may do without, a provider does not. */
export function wantsKey(base_url: string): boolean {
  try {
    return !NEAR.test(new URL(base_url.trim()).hostname);
  } catch {
    return false;
  }
}

/** Asks before an upstream is saved that would refuse every request for want of a key. */
export async function mayLackKey(base_url: string): Promise<boolean> {
  if (!wantsKey(base_url)) return true;
  return confirm({
    title: m.settings_f_keyless_title(),
    body: m.settings_f_keyless_body({ host: new URL(base_url.trim()).hostname }),
    verb: m.settings_f_keyless_verb(),
    cancel: m.settings_f_keyless_back(),
  });
}
