// Formats bound to the language that is on: read inside markup they follow a switch of the language by themselves.
import { clock } from '$lib/clock.svelte';
import { i18n } from '$lib/i18n.svelte';
import { m } from '$lib/messages';
import { formatBytes } from './bytes';
import { formatCount, formatShare } from './numbers';
import * as times from './times';

export const bytes = (value: number) => formatBytes(value, i18n.locale);
export const count = (value: number) => formatCount(value, i18n.locale);
export const share = (value: number) => formatShare(value, i18n.locale);
/** Renews itself as time passes. */
export const ago = (at: number) => times.formatAgo(at, clock.now, i18n.locale, m.ui_just_now());
export const exact = (at: number) => times.formatExact(at, i18n.locale);
export const dateTime = (at: number) => times.formatDateTime(at, i18n.locale);
export const timeOfDay = (at: number) => times.formatClock(at, i18n.locale);
export const day = (value: string) => times.formatDay(value, i18n.locale);
export const duration = (ms: number) => times.formatDuration(ms, i18n.locale);
/** Renews itself every second. */
export const elapsedSince = (at: number) => times.formatElapsed(clock.second - at);
/** "a, b and c" in the words of the language. */
export const list = (items: string[]) =>
  new Intl.ListFormat(i18n.locale, { type: 'conjunction' }).format(items);
