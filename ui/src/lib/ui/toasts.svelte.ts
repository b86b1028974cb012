// The notices that are in sight: each leaves by itself, but not while somebody reads or points at one, nor while nobody
// looks at the tab.

export type Tone = 'ok' | 'info' | 'warn' | 'bad';
export type Toast = {
  id: string;
  tone: Tone;
  text: string;
  about: string | undefined;
  action: { label: string; run: () => void } | undefined;
};

/** More would cover the page: the oldest leaves. */
const SHOWN_MAX = 4;
const TICK_MS = 250;

class Toasts {
  items = $state.raw<Toast[]>([]);
  /** Somebody points at one or has the focus in it. */
  held = false;
  /** Milliseconds that each has left. */
  #left = new Map<string, number>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #made = 0;

  /** One with the same id takes the place of the former. */
  show(toast: Omit<Toast, 'id'>, lastsMs: number, id = `${(this.#made += 1)}`): void {
    const shown = { ...toast, id };
    this.#left.set(id, lastsMs);
    const known = this.items.some((one) => one.id === id);
    if (known) this.items = this.items.map((one) => (one.id === id ? shown : one));
    else this.items = [...this.items, shown];
    for (const old of this.items.slice(0, -SHOWN_MAX)) this.hide(old.id);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  hide(id: string): void {
    this.#left.delete(id);
    this.items = this.items.filter((one) => one.id !== id);
    if (this.items.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.held = false;
  }

  #tick(): void {
    if (this.held || document.hidden) return;
    for (const [id, left] of this.#left) {
      if (left > TICK_MS) this.#left.set(id, left - TICK_MS);
      else this.hide(id);
    }
  }
}

export const toasts = new Toasts();
