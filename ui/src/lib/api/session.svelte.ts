// Who is signed in. Pages never ask: App shows set-up, sign-in or the page by what stands here.
import { ApiError, asApiError } from './error';
import { api, call, whenSignedOut } from './client';
import { i18n } from '$lib/i18n.svelte';
import type { Session } from './types';

class SessionState {
  #now = $state.raw<Session | null>(null);
  /** The session ended while somebody worked: the page stays, and a dialog asks for the password. */
  expired = $state(false);
  error = $state.raw<ApiError | null>(null);
  /** A one-time ticket that came with the address; taken out of it at once. */
  ticket = $state<string | null>(null);

  constructor() {
    whenSignedOut(() => {
      if (this.#now?.state === 'signed_in') this.expired = true;
    });
  }

  get now(): Session | null {
    return this.#now;
  }

  get signedIn(): boolean {
    return this.#now?.state === 'signed_in';
  }

  /** Asks the server, and uses a ticket that came with the address if one is there. */
  async load(): Promise<void> {
    this.error = null;
    this.ticket ??= takeTicket();
    try {
      this.#accept(await call(api.GET('/session')));
      if (this.#now?.state === 'signed_out' && this.ticket) await this.#useTicket(this.ticket);
    } catch (cause) {
      this.error = asApiError(cause);
    }
  }

  async login(username: string, password: string): Promise<void> {
    this.#accept(await call(api.POST('/session/login', { body: { username, password } })));
  }

  async setup(ticket: string, username: string, password: string): Promise<void> {
    this.#accept(await call(api.POST('/session/setup', { body: { ticket, username, password } })));
    this.ticket = null;
  }

  async logout(): Promise<void> {
    try {
      await call(api.POST('/session/logout'));
    } catch (cause) {
      // Over already is what was wanted.
      if (asApiError(cause).code !== 'not_signed_in') throw cause;
    }
    this.expired = false;
    const before = this.#now;
    if (before) this.#now = { ...before, state: 'signed_out', username: null };
  }

  async #useTicket(ticket: string): Promise<void> {
    this.ticket = null;
    try {
      this.#accept(await call(api.POST('/session/ticket', { body: { ticket } })));
    } catch {
      // A used or old ticket: the ordinary sign-in stands in its place.
    }
  }

  #accept(session: Session): void {
    this.#now = session;
    if (session.state === 'signed_in') this.expired = false;
    i18n.follow(session.language);
  }
}

/** The ticket in `#ticket=…` (never sent to the server by a browser) or `?ticket=…`; it vanishes from the address. */
function takeTicket(): string | null {
  const url = new URL(location.href);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const ticket = fragment.get('ticket') ?? url.searchParams.get('ticket');
  if (ticket === null) return null;
  url.hash = '';
  url.searchParams.delete('ticket');
  history.replaceState(history.state, '', url);
  return ticket || null;
}

export const session = new SessionState();
