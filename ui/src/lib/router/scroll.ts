// Remembers how far each entry of the history was scrolled, and brings it back when its content has grown tall enough.
import { recallInTab, rememberInTab } from '$lib/storage';

const GIVE_UP_MS = 2_000;

class ScrollMemory {
  #places = new Map<string, number>();
  #waiting = 0;

  constructor() {
    try {
      this.#places = new Map(JSON.parse(recallInTab('scroll') ?? '[]') as [string, number][]);
    } catch {
      // Nothing remembered.
    }
    addEventListener('pagehide', () =>
      rememberInTab('scroll', JSON.stringify([...this.#places].slice(-100))),
    );
    for (const touch of ['wheel', 'touchstart', 'keydown', 'pointerdown']) {
      addEventListener(touch, () => cancelAnimationFrame(this.#waiting), { passive: true });
    }
  }

  keep(key: string): void {
    this.#places.set(key, scrollY);
  }

  /** Goes where this entry was; content that loads late is waited for, until the person moves. */
  restore(key: string): void {
    cancelAnimationFrame(this.#waiting);
    const wanted = this.#places.get(key) ?? 0;
    const until = performance.now() + GIVE_UP_MS;
    const attempt = () => {
      scrollTo(0, wanted);
      if (Math.abs(scrollY - wanted) > 1 && performance.now() < until) {
        this.#waiting = requestAnimationFrame(attempt);
      }
    };
    attempt();
  }

  top(): void {
    cancelAnimationFrame(this.#waiting);
    scrollTo(0, 0);
  }
}

export const scrollMemory = new ScrollMemory();
