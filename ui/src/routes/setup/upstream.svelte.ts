// What is filled in for the upstream while it is set up: kept while one goes between the steps, tested, saved.
import { api, asApiError, call, wasAborted, type ApiError, type UpstreamTest } from '$lib/api';
import { presets, type PresetId } from './presets';

export class UpstreamDraft {
  preset = $state<PresetId>('demo');
  name = $state('');
  base_url = $state('');
  api_key = $state('');
  model = $state('');
  /** Where it is stored, once it was saved. */
  saved = $state.raw<{ id: number; base_url: string } | null>(null);

  testing = $state(false);
  result = $state.raw<UpstreamTest | null>(null);
  testError = $state.raw<ApiError | null>(null);
  saving = $state(false);
  saveError = $state.raw<ApiError | null>(null);

  #control: AbortController | null = null;

  /** Fills in what the card knows. */
  choose(id: PresetId): void {
    const preset = presets.find((one) => one.id === id)!;
    this.preset = id;
    this.name = id === 'demo' || id === 'custom' ? '' : preset.title();
    this.base_url = preset.base_url;
    this.model = preset.model;
    // A key belongs to one provider and is not sent to another.
    this.api_key = '';
    this.forget();
    this.saveError = null;
  }

  /** What a test found no longer counts. */
  forget(): void {
    this.#control?.abort();
    this.testing = false;
    this.result = null;
    this.testError = null;
  }

  async test(): Promise<void> {
    this.forget();
    const control = new AbortController();
    this.#control = control;
    this.testing = true;
    const kept = this.saved && this.saved.base_url === this.base_url.trim() ? this.saved.id : undefined;
    const body = {
      id: kept,
      kind: 'openai' as const,
      base_url: this.base_url.trim(),
      model: this.model.trim(),
      api_key: this.api_key.trim() || undefined,
    };
    try {
      this.result = await call(api.POST('/upstreams/test', { body, signal: control.signal }));
    } catch (cause) {
      if (!wasAborted(cause)) this.testError = asApiError(cause);
    } finally {
      if (this.#control === control) this.testing = false;
    }
  }

  /** Whether it was saved. */
  async save(): Promise<boolean> {
    this.saving = true;
    this.saveError = null;
    const name = this.name.trim() || hostOf(this.base_url);
    const fields = { name, base_url: this.base_url.trim(), model: this.model.trim() };
    const key = this.api_key.trim();
    try {
      if (this.saved) {
        const body = key ? { ...fields, api_key: key } : fields;
        await call(api.PATCH('/upstreams/{id}', { params: { path: { id: this.saved.id } }, body }));
        this.saved = { ...this.saved, base_url: fields.base_url };
      } else {
        const body = {
          ...fields,
          kind: 'openai' as const,
          dialect: 'auto' as const,
          api_key: key || undefined,
        };
        await call(api.POST('/upstreams', { body }));
        const { items } = await call(api.GET('/upstreams'));
        const mine = items.filter((one) => one.name === name && one.id !== null).at(-1);
        this.saved = mine ? { id: mine.id!, base_url: mine.base_url } : null;
      }
      this.api_key = '';
      return true;
    } catch (cause) {
      this.saveError = asApiError(cause);
      return false;
    } finally {
      this.saving = false;
    }
  }
}

function hostOf(url: string): string {
  try {
    return new URL(url.trim()).hostname;
  } catch {
    return url.trim();
  }
}
