// The day that a time falls on, here where the person is.
import { day } from '$lib/format';
import { m } from '$lib/messages';

const two = (value: number) => String(value).padStart(2, '0');

/** 2026-11-01 */
export function localDay(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Its name: today and yesterday by word. */
export function dayOf(name: string): string {
  const now = Date.now();
  if (name === localDay(now)) return m.logs_today({ day: day(name) });
  // Noon, so that a night of 23 hours skips no day.
  const noon = new Date(now).setHours(12, 0, 0, 0);
  if (name === localDay(noon - 24 * 3_600_000)) return m.logs_yesterday({ day: day(name) });
  return name.startsWith(String(new Date(now).getFullYear())) ? day(name) : name;
}
