// The gateway's key as this page knows it: not before the password was given, and then until the page is left or the
// person signs out.
import { api, call, session } from '$lib/api';
import { m } from '$lib/messages';
import { withPassword } from './password/question.svelte';

class GatewayKey {
  #known = $state.raw<{ key: string; of: string | null } | null>(null);

  /** Null: the password is to be asked for first. */
  get value(): string | null {
    return this.#known && session.signedIn && this.#known.of === session.now?.username
      ? this.#known.key
      : null;
  }

  accept(key: string): void {
    this.#known = { key, of: session.now?.username ?? null };
  }

  /** For whoever has just typed the password. */
  async show(password: string): Promise<string> {
    const { key } = await call(api.POST('/gateway-key/show', { body: { password } }));
    this.accept(key);
    return key;
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
