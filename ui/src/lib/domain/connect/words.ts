// The words for places, remedies and steps of the connect card, by the server's codes.
import type { Connect, ConnectCheck, Place } from '$lib/api';
import { m } from '$lib/messages';

/** What the card needs of a place: the server names its own, and the public address is one more. */
export type Way = Omit<Place, 'place'> & { place: Place['place'] | 'public' };
type Step = ConnectCheck['steps'][number];

/** All ways to reach us, the public address first if there is one. */
export function waysOf(connect: Connect): Way[] {
  const { public_base_url: open, places } = connect;
  const own: Way[] = open
    ? [{ place: 'public', base_url: `${open.replace(/\/+$/, '')}/v1`, works: true, remedy: null }]
    : [];
  return [...own, ...places];
}

export function placeName(place: Way['place']): string {
  if (place === 'public') return m.connect_public();
  if (place === 'host') return m.connect_host();
  if (place === 'lan') return m.connect_lan();
  if (place === 'network') return m.connect_network();
  return m.connect_docker();
}

export function placeAbout(place: Way['place']): string {
  if (place === 'public') return m.connect_public_about();
  if (place === 'host') return m.connect_host_about();
  if (place === 'lan') return m.connect_lan_about();
  if (place === 'network') return m.connect_network_about();
  return place === 'docker_linux' ? m.connect_docker_linux_about() : m.connect_docker_desktop_about();
}

/** Why an address does not work, and what to change. */
export function remedyText(remedy: NonNullable<Place['remedy']>, connect: Connect): string {
  const { address, locked_by: name } = connect;
  const { bridge } = connect;
  const onBridge = () =>
    bridge ? m.connect_listen_bridge({ address, bridge }) : m.connect_bridge_none({ address });
  const why = remedy === 'listen_bridge' ? onBridge() : m.connect_listen_all({ address });
  return `${why} ${name ? m.connect_open_locked({ name }) : m.connect_open_switch()}`;
}

const STEPS: Record<Step['step'], () => string> = {
  reach: () => m.connect_step_reach(),
  key: () => m.connect_step_key(),
  link: () => m.connect_step_link(),
};
export const stepName = (step: Step['step']) => STEPS[step]();

const CODES: Record<NonNullable<Step['code']>, () => string> = {
  unreachable: () => m.connect_code_unreachable(),
  no_answer: () => m.connect_code_no_answer(),
  only_here: () => m.connect_code_only_here(),
  not_on_bridge: () => m.connect_code_not_on_bridge(),
  no_bridge: () => m.connect_code_no_bridge(),
  unknown_name: () => m.connect_code_unknown_name(),
  not_picgate: () => m.connect_code_not_picgate(),
  wrong_key: () => m.connect_code_wrong_key(),
  no_image: () => m.connect_no_image(),
  no_link: () => m.connect_code_no_link(),
  wrong_picture: () => m.connect_code_wrong_picture(),
};
export const codeText = (code: Step['code']) => (code === null ? '' : CODES[code]());
