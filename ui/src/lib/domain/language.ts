// Another language, chosen by a person: its texts may have to be loaded, and that may fail.
import { i18n, type Locale } from '$lib/i18n.svelte';
import { m } from '$lib/messages';
import { toast } from '$lib/ui/toast';

export async function chooseLanguage(locale: Locale): Promise<void> {
  try {
    await i18n.choose(locale);
  } catch {
    toast.warn(m.frame_language_failed(), { about: m.frame_chunk_about() });
  }
}
