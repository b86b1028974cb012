// Names of settings for pages that seldom need one: they are loaded with the first, which stands there by its key until then.
import { withTexts } from '$lib/texts.svelte';

let named = $state.raw<((key: string) => string) | null>(null);
let coming: Promise<void> | null = null;

export function settingName(key: string): string {
  if (named) return named(key);
  coming ??= withTexts(import('./settingsWords')).then(
    (words) => {
      named = words.labelOf;
    },
    () => {
      coming = null;
    },
  );
  return key;
}
