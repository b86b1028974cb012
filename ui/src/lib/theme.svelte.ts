// Light, dark, or as the system has it. public/boot.js does the same before the first paint.
import { recall, remember } from './storage';

export type Theme = 'system' | 'light' | 'dark';

class ThemeState {
  #chosen = $state<Theme>('system');
  #systemDark = $state(false);

  get chosen(): Theme {
    return this.#chosen;
  }

  get dark(): boolean {
    return this.#chosen === 'dark' || (this.#chosen === 'system' && this.#systemDark);
  }

  begin(): void {
    const kept = recall('theme');
    this.#chosen = kept === 'light' || kept === 'dark' ? kept : 'system';
    const system = matchMedia('(prefers-color-scheme: dark)');
    this.#systemDark = system.matches;
    system.addEventListener('change', () => {
      this.#systemDark = system.matches;
      this.#apply();
    });
    this.#apply();
  }

  choose(theme: Theme): void {
    this.#chosen = theme;
    remember('theme', theme === 'system' ? null : theme);
    this.#apply();
  }

  #apply(): void {
    document.documentElement.classList.toggle('dark', this.dark);
  }
}

export const theme = new ThemeState();
