// The language of the UI. Messages read it through Paraglide's getLocale, which we point at a rune: so switching the
// language changes every text in place, and nothing that someone has typed is lost. The texts of a language are loaded
// before it is on.
import { isLocale, overwriteGetLocale, type Locale } from './paraglide/runtime.js';
import { recall, remember } from './storage';
import { textsIn } from './texts.svelte';

export type { Locale };

/** What the server's `language` setting may say. */
export type ServerLanguage = 'auto' | 'zh' | 'en';

function fromNavigator(): Locale {
  const wanted = navigator.languages?.length ? navigator.languages : [navigator.language ?? ''];
  for (const tag of wanted) {
    if (/^zh\b/i.test(tag)) return 'zh-CN';
    if (/^en\b/i.test(tag)) return 'en';
  }
  return 'zh-CN';
}

class I18n {
  #locale = $state<Locale>('zh-CN');
  #wanted: Locale = 'zh-CN';
  #chosen = false;

  get locale(): Locale {
    return this.#locale;
  }

  /** Before the first paint: what was chosen here, else what the browser asks for. Ends when it can be read. */
  begin(): Promise<void> {
    overwriteGetLocale(() => this.#locale);
    const kept = recall('language');
    this.#chosen = kept !== null && isLocale(kept);
    this.#set(this.#chosen ? (kept as Locale) : fromNavigator());
    return textsIn(this.#locale);
  }

  /** The person chose it: this browser remembers it. Fails if its texts cannot be loaded. */
  async choose(locale: Locale): Promise<void> {
    this.#chosen = true;
    await this.#change(locale);
    remember('language', locale);
  }

  /** The server's setting counts until someone chooses in this browser. */
  follow(language: ServerLanguage): void {
    if (this.#chosen) return;
    const wanted = language === 'auto' ? fromNavigator() : language === 'zh' ? 'zh-CN' : 'en';
    // Nobody asked for it: without its texts the one that is on stays.
    this.#change(wanted).catch(() => {});
  }

  async #change(locale: Locale): Promise<void> {
    this.#wanted = locale;
    await textsIn(locale);
    // Meanwhile another may have been asked for.
    if (this.#wanted === locale) this.#set(locale);
  }

  #set(locale: Locale): void {
    this.#locale = locale;
    this.#wanted = locale;
    document.documentElement.lang = locale;
  }
}

export const i18n = new I18n();
