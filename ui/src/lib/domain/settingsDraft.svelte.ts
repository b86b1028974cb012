// The settings as they are being changed: what was typed and is not saved yet, what is wrong with it, and the saving
// itself, 2 s after the last change or when a field is left. What is valid is saved even if something else is not.
import { SvelteMap } from 'svelte/reactivity';
import { api, asApiError, call, type ApiError } from '$lib/api';
import { mayLeave } from './bucket/leaving';
import { anotherBucket, LOSING, otherLinks, saveRules } from './cache/losing';
import { problemOf, refusalOf, same, type Setting } from './settingsCheck';

const PATIENCE_MS = 2_000;

/** A value, or null for the default. */
type Value = string | null;

export class SettingsDraft {
  items = $state.raw<Setting[]>([]);
  /** Not saved yet, by key. */
  readonly typed = new SvelteMap<string, Value>();
  /** What is wrong, by key; the input stays. */
  readonly problems = new SvelteMap<string, string>();
  saving = $state(false);
  savedAt = $state<number | null>(null);
  failure = $state.raw<ApiError | null>(null);

  /** What stands in a field that still has the focus after its value was saved in another spelling. */
  #echo = new SvelteMap<string, string>();
  #focused: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #run: Promise<void> | null = null;
  #onsaved: (items: Setting[]) => void;

  constructor(onsaved: (items: Setting[]) => void = () => {}) {
    this.#onsaved = onsaved;
  }

  /** Something would be lost if the page went away now. */
  get unsaved(): boolean {
    return this.typed.size > 0;
  }

  /** Waiting for their turn: not saved and not known to be wrong. */
  get pending(): number {
    return [...this.typed.keys()].filter((key) => !this.problems.has(key)).length;
  }

  /** New values of the server; what is being typed stays. */
  take(items: Setting[]): void {
    this.items = items;
    for (const item of items) {
      if (!item.locked_by) continue;
      this.#drop(item.key);
    }
  }

  find(key: string): Setting | undefined {
    return this.items.find((item) => item.key === key);
  }

  /** What stands in the field. */
  shown(item: Setting): string {
    const typed = this.typed.get(item.key);
    if (typed === null) return item.default;
    return typed ?? this.#echo.get(item.key) ?? item.value;
  }

  change(key: string, value: Value, { now = false } = {}): void {
    const item = this.find(key);
    if (!item || item.locked_by) return;
    this.#echo.delete(key);
    this.problems.delete(key);
    this.failure = null;
    if (value !== null && value === item.value && !this.saving) this.typed.delete(key);
    else this.typed.set(key, value);
    clearTimeout(this.#timer);
    if (now) void this.save();
    // Half a key is tried in vain, and its server may count that: it is saved when its field is left.
    else if (item.shape.kind !== 'secret') this.#timer = setTimeout(() => void this.save(), PATIENCE_MS);
  }

  focus(key: string): void {
    this.#focused = key;
  }

  blur(key: string): void {
    if (this.#focused === key) this.#focused = null;
    this.#echo.delete(key);
    if (this.typed.has(key) && !this.problems.has(key)) void this.save();
  }

  /** Saves what is valid, and what is typed meanwhile. */
  save = (): Promise<void> => {
    clearTimeout(this.#timer);
    this.#run ??= this.#saveAll().finally(() => (this.#run = null));
    return this.#run;
  };

  /** Gives up what is not saved. */
  discard(): void {
    clearTimeout(this.#timer);
    this.typed.clear();
    this.problems.clear();
    this.#echo.clear();
    this.failure = null;
  }

  async #saveAll(): Promise<void> {
    this.failure = null;
    this.saving = true;
    try {
      for (let batch = this.#batch(); batch.size > 0; batch = this.#batch()) {
        if (!(await this.#send(batch))) break;
      }
    } finally {
      this.saving = false;
    }
  }

  #batch(): Map<string, Value> {
    const batch = new Map<string, Value>();
    for (const [key, value] of this.typed) {
      const item = this.find(key);
      if (!item) continue;
      // A key that holds is never shown: whatever is written replaces it.
      const isSecret = item.shape.kind === 'secret';
      const holds = isSecret ? value === null && !item.is_set : same(value ?? item.default, item.value);
      const problem = value === null ? null : problemOf(item.shape, value);
      if (holds) this.#saved(key, value);
      else if (problem !== null) this.problems.set(key, problem);
      else if (!this.problems.has(key)) batch.set(key, value);
    }
    return batch;
  }

  /** Whether to go on with what is left. `leaving`: also if pictures in the present bucket are not found any more. */
  async #send(batch: Map<string, Value>, leaving = false): Promise<boolean> {
    try {
      const body = { values: Object.fromEntries(batch), leave_images: leaving };
      const losing = LOSING.filter((key) => batch.has(key));
      const ofBucket = [...batch.keys()].filter((key) => this.#isOfBucket(key));
      const onlyLinks = losing.length === 0 && ofBucket.every((key) => key.startsWith('bucket_'));
      const ask = () => (onlyLinks ? otherLinks() : anotherBucket(losing.length > 0));
      const answer = await saveRules(
        (password) => call(api.PATCH('/settings', { body: { ...body, password } })),
        undefined,
        ofBucket.length > 0 ? ask : undefined,
      );
      if (answer === null) {
        // The present rules and bucket stay, and their fields say so again.
        for (const key of [...losing, ...ofBucket]) this.#drop(key);
        return true;
      }
      this.take(answer.items);
      this.savedAt = Date.now();
      for (const [key, value] of batch) if (this.typed.get(key) === value) this.#saved(key, value);
      this.#onsaved(this.items);
      return true;
    } catch (cause) {
      const error = asApiError(cause);
      if (error.code === 'images_left_behind' && !leaving) {
        if (await mayLeave(error.count ?? 0)) return this.#send(batch, true);
        // The present bucket stays, and its fields say so again.
        for (const key of batch.keys()) if (this.#isOfBucket(key)) this.#drop(key);
        return true;
      }
      const refused = Object.entries(error.fields).filter(([key]) => batch.has(key));
      for (const [key, problem] of refused) {
        const item = this.find(key);
        const value = batch.get(key) ?? '';
        if (item && this.typed.get(key) === batch.get(key)) {
          this.problems.set(key, refusalOf(item.shape, value, problem));
        }
      }
      // Nothing was saved: what was not refused is sent again alone.
      if (error.status === 422 && refused.length > 0) return true;
      this.failure = error;
      return false;
    }
  }

  #isOfBucket(key: string): boolean {
    return this.find(key)?.section === 'bucket';
  }

  #saved(key: string, value: Value): void {
    this.#drop(key);
    const item = this.find(key);
    if (value !== null && this.#focused === key && item && item.value !== value) this.#echo.set(key, value);
  }

  #drop(key: string): void {
    this.typed.delete(key);
    this.problems.delete(key);
  }
}
