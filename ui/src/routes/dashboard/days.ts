// The days of the plot: all of the last 30, also those on which nothing was drawn.
import type { Day } from '$lib/api';

export type DayOf = { day: string; ok: number; failed: number; mean: number | null };

const COUNT = 30;

const name = (date: Date) =>
  [
    date.getFullYear(),
    String(date.getMonth() + 1).padStart(2, '0'),
    String(date.getDate()).padStart(2, '0'),
  ].join('-');

export function fillDays(days: Day[], today = new Date()): DayOf[] {
  const known = new Map(days.map((day) => [day.day, day]));
  return Array.from({ length: COUNT }, (_, index) => {
    const date = new Date(today.getFullYear(), today.getMonth(), today.getDate() - (COUNT - 1 - index));
    const found = known.get(name(date));
    return {
      day: name(date),
      ok: found?.ok ?? 0,
      failed: found?.failed ?? 0,
      mean: found?.mean_ms ?? null,
    };
  });
}

export function sumOf(days: DayOf[]): { ok: number; failed: number } {
  return days.reduce((sum, day) => ({ ok: sum.ok + day.ok, failed: sum.failed + day.failed }), {
    ok: 0,
    failed: 0,
  });
}

/** At most so many lines stand across the plot. */
const LINES = 5;

/** A round scale that holds `most`: where it ends, and its lines. */
export function scaleOf(most: number): { top: number; ticks: number[] } {
  const wanted = Math.max(4, most);
  let step = 1;
  for (let at = 0; wanted / step > LINES; at += 1) step = [1, 2, 5][at % 3]! * 10 ** Math.floor(at / 3);
  const lines = Math.ceil(wanted / step);
  return { top: lines * step, ticks: Array.from({ length: lines + 1 }, (_, line) => line * step) };
}
