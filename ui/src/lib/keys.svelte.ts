// Keyboard shortcuts: one listener, sequences such as "g d", and a list that the help dialog shows. Nothing fires while
// somebody types or a dialog is open.
import { untrack } from 'svelte';

export type Shortcut = {
  /** Keys as `KeyboardEvent.key`, a sequence divided by blanks: "g d", "?", "/"; "Mod+1" with Ctrl or, on a Mac, Cmd. */
  keys: string;
  label: () => string;
  run: () => void;
};

const SEQUENCE_MS = 1_200;

function typing(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest?.('input, textarea, select, [contenteditable="true"], [role="textbox"]');
}

class Keys {
  shortcuts = $state.raw<Shortcut[]>([]);
  #pressed: string[] = [];
  #at = 0;

  /** Adds shortcuts; the returned function takes them away. Made for `$effect(() => keys.add([…]))`. */
  add(shortcuts: Shortcut[]): () => void {
    const now = () => untrack(() => this.shortcuts);
    this.shortcuts = [...now(), ...shortcuts];
    return () => {
      this.shortcuts = now().filter((one) => !shortcuts.includes(one));
    };
  }

  /** Listens; the returned function ends it. */
  begin(): () => void {
    const heard = (event: KeyboardEvent) => this.#heard(event);
    addEventListener('keydown', heard);
    return () => removeEventListener('keydown', heard);
  }

  #heard(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    if (event.ctrlKey || event.metaKey) {
      // Such keys type nothing: they work in fields as well.
      const found = this.shortcuts.findLast((one) => one.keys === `Mod+${event.key}`);
      if (found) event.preventDefault();
      found?.run();
      return;
    }
    if (
      typing(event.target) ||
      document.querySelector('[role="dialog"], [role="alertdialog"], [role="menu"]')
    )
      return;
    if (event.key === 'Shift') return;
    if (event.timeStamp - this.#at > SEQUENCE_MS) this.#pressed = [];
    this.#at = event.timeStamp;
    this.#pressed = [...this.#pressed, event.key].slice(-2);
    // The one added last wins: a page may take over a key of the frame.
    const found =
      this.shortcuts.findLast((one) => one.keys === this.#pressed.join(' ')) ??
      this.shortcuts.findLast((one) => one.keys === event.key);
    if (!found) return;
    event.preventDefault();
    this.#pressed = [];
    found.run();
  }
}

export const keys = new Keys();
