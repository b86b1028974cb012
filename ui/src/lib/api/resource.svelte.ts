// Something that a page loads: its data, its failure, and whether it is on its way. Loading again keeps what is shown.
import { untrack } from 'svelte';
import { asApiError, wasAborted, type ApiError } from './error';
import { live } from './live.svelte';

export class Resource<T> {
  data = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  loading = $state(false);

  #control: AbortController | null = null;

  constructor(readonly load: (signal: AbortSignal) => Promise<T>) {}

  /** Loads (again). An older request that still runs is given up. */
  refresh = (): Promise<void> => {
    this.#control?.abort();
    const control = new AbortController();
    this.#control = control;
    untrack(() => (this.loading = true));
    // Called here and not after an await: what `load` reads is tracked by the effect around us.
    return this.#settle(this.load(control.signal), control);
  };

  stop(): void {
    this.#control?.abort();
  }

  async #settle(answer: Promise<T>, control: AbortController): Promise<void> {
    try {
      const data = await answer;
      if (this.#control !== control) return;
      this.data = data;
      this.error = null;
    } catch (cause) {
      if (this.#control !== control || wasAborted(cause)) return;
      this.error = asApiError(cause);
    }
    this.loading = false;
  }
}

/** In a component: loads now, when what `load` reads changes, and when the live stream comes back after a pause. */
export function resource<T>(load: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const made = new Resource(load);
  $effect(() => {
    void live.again;
    void made.refresh();
    return () => made.stop();
  });
  return made;
}
