// The language of the UI. Messages read it through Paraglide's getLocale, which we point at a rune: so switching the
// language changes every text in place, and nothing that someone has typed is lost.
import { isLocale, overwriteGetLocale, type Locale } from './paraglide/runtime.js';
import { recall, remember } from './storage';

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
  #chosen = false;

  get locale(): Locale {
    return this.#locale;
  }

  /** Before the first paint: what was chosen here, else what the browser asks for. */
  begin(): void {
    overwriteGetLocale(() => this.#locale);
    const kept = recall('language');
    this.#chosen = kept !== null && isLocale(kept);
    this.#set(this.#chosen ? (kept as Locale) : fromNavigator());
  }

  /** The person chose it: this browser remembers it. */
  choose(locale: Locale): void {
    this.#chosen = true;
    remember('language', locale);
    this.#set(locale);
  }

  /** The server's setting counts until someone chooses in this browser. */
  follow(language: ServerLanguage): void {
    if (this.#chosen) return;
    this.#set(language === 'auto' ? fromNavigator() : language === 'zh' ? 'zh-CN' : 'en');
  }

  #set(locale: Locale): void {
    this.#locale = locale;
    document.documentElement.lang = locale;
  }
}

export const i18n = new I18n();
