// The words for places, remedies and steps of the connect card, by the server's codes.
import type { Connect } from '$lib/api';
import { m } from '$lib/messages';

/** What the card needs of a place: the server names four, and the public address is a fifth. */
export type Way = { place: string; base_url: string; works: boolean; remedy?: string | null };

/** All ways to reach us, the public address first if there is one. */
export function waysOf(connect: Connect): Way[] {
  const { public_base_url: open, places } = connect;
  const own: Way[] = open
    ? [{ place: 'public', base_url: `${open.replace(/\/+$/, '')}/v1`, works: true }]
    : [];
  return [...own, ...places];
}

export function placeName(place: string): string {
  if (place === 'public') return m.connect_public();
  if (place === 'host') return m.connect_host();
  if (place === 'lan') return m.connect_lan();
  return m.connect_docker();
}

export function placeAbout(place: string): string {
  if (place === 'public') return m.connect_public_about();
  if (place === 'host') return m.connect_host_about();
  if (place === 'lan') return m.connect_lan_about();
  return place === 'docker_linux' ? m.connect_docker_linux_about() : m.connect_docker_desktop_about();
}

export function remedyText(remedy: string, address: string): string {
  if (remedy === 'listen_bridge') return m.connect_listen_bridge({ address });
  if (remedy === 'set_public_base_url') return m.connect_set_public();
  return m.connect_listen_all({ address });
}

export function stepName(step: string): string {
  if (step === 'reach') return m.connect_step_reach();
  if (step === 'key' || step === 'models') return m.connect_step_key();
  if (step === 'link') return m.connect_step_link();
  return m.connect_step_other({ step });
}

const CODES: Record<string, () => string> = {
  unreachable: () => m.connect_code_unreachable(),
  unknown_name: () => m.connect_code_unknown_name(),
  not_picgate: () => m.connect_code_not_picgate(),
  wrong_key: () => m.connect_code_wrong_key(),
  no_link: () => m.connect_code_no_link(),
};

export function codeText(code: string | null | undefined): string {
  return CODES[code ?? '']?.() ?? m.connect_code_other({ code: code ?? '?' });
}
