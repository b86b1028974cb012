// Who can reach the gateway, in words.
import type { Reach } from '$lib/api';
import { m } from '$lib/messages';

export function reachName(reach: Reach): string {
  if (reach === 'everyone') return m.desktop_reach_everyone();
  return reach === 'docker' ? m.desktop_reach_docker() : m.desktop_reach_this_computer();
}

export function reachAbout(reach: Reach): string {
  if (reach === 'everyone') return m.desktop_reach_everyone_about();
  return reach === 'docker' ? m.desktop_reach_docker_about() : m.desktop_reach_this_computer_about();
}
