// The gateway's key as this page knows it: not before the password was given, and then until the page is left, the person
// signs out, or the key is replaced, here or in another window.
import { api, call, live, session, type GatewayKey as Answer } from '$lib/api';
import { m } from '$lib/messages';
import { withPassword } from './password/question.svelte';

class GatewayKey {
  #known = $state.raw<{ key: string; mark: string; of: string | null } | null>(null);

  constructor() {
    live.on('snapshot', ({ key_mark }) => this.#forget(key_mark));
    live.on('settings', ({ key_mark }) => this.#forget(key_mark));
  }

  /** Null: the password is to be asked for first. */
  get value(): string | null {
    return this.#known && session.signedIn && this.#known.of === session.now?.username
      ? this.#known.key
      : null;
  }

  accept({ key, mark }: Answer): void {
    this.#known = { key, mark, of: session.now?.username ?? null };
  }

  /** An old key is worse than none: clients would be given it. */
  #forget(present: string): void {
    if (this.#known?.mark !== present) this.#known = null;
  }

  /** For whoever has just typed the password. */
  async show(password: string): Promise<string> {
    const answer = await call(api.POST('/gateway-key/show', { body: { password } }));
    this.accept(answer);
    return answer.key;
  }

  /** The key; asks for the password if nobody did yet. Null if the person changed their mind. */
  async ask(): Promise<string | null> {
    if (this.value !== null) return this.value;
    const question = {
      title: m.settings_key_show_title(),
      facts: [m.settings_key_show_body()],
      verb: m.settings_key_show(),
    };
    return withPassword(question, (password) => this.show(password));
  }
}

export const gatewayKey = new GatewayKey();
