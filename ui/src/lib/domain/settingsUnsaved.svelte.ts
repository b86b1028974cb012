// Forms of the settings page that do not save themselves: which of them hold input that would be lost.
import { SvelteMap } from 'svelte/reactivity';

class UnsavedForms {
  readonly labels = new SvelteMap<string, () => string>();

  mark(name: string, holds: boolean, label: () => string): void {
    if (holds) this.labels.set(name, label);
    else this.labels.delete(name);
  }
}

export const unsavedForms = new UnsavedForms();
