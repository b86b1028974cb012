// Times in the local zone: exact ones, relative ones, and how long something took.

const STEPS: [limit: number, unit: Intl.RelativeTimeFormatUnit, size: number][] = [
  [60, 'minute', 1],
  [24 * 60, 'hour', 60],
  [30 * 24 * 60, 'day', 24 * 60],
  [365 * 24 * 60, 'month', 30 * 24 * 60],
  [Infinity, 'year', 365 * 24 * 60],
];

/** Chinese writes no blank between a number and its unit, "278毫秒"; everywhere else on our pages there is one. */
const spaced = (text: string) => text.replace(/(\d)(?=\p{Script=Han})/gu, '$1 ');

/** "刚刚", "3 分钟前", "昨天": `justNow` is the word for less than a minute. */
export function formatAgo(at: number, now: number, locale: string, justNow: string): string {
  const minutes = (at - now) / 60_000;
  const size = Math.abs(minutes);
  if (size < 1) return justNow;
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  for (const [limit, unit, length] of STEPS) {
    if (size < limit) return spaced(format.format(Math.trunc(minutes / length), unit));
  }
  return formatExact(at, locale);
}

/** Day and time to the second, with the zone. */
export function formatExact(at: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'long' }).format(at);
}

/** Day and time to the minute. */
export function formatDateTime(at: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(at);
}

/** The time of day to the second: 12:03:05. */
export function formatClock(at: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(at);
}

/** A day given as YYYY-MM-DD, without a zone moving it: "11月1日", "Nov 1". */
export function formatDay(day: string, locale: string): string {
  const [year, month, date] = day.split('-').map(Number);
  return new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric' }).format(
    new Date(year ?? 1970, (month ?? 1) - 1, date ?? 1),
  );
}

/** How long something took, short: "850 ms", "12.4 s", "2 min 5 s", "3 h 20 min". */
export function formatDuration(ms: number, locale: string): string {
  const unit = (value: number, name: string, digits = 0) =>
    spaced(
      new Intl.NumberFormat(locale, {
        style: 'unit',
        unit: name,
        unitDisplay: 'short',
        maximumFractionDigits: digits,
      }).format(value),
    );
  if (ms < 999.5) return unit(Math.max(0, ms), 'millisecond');
  if (ms < 59_950) return unit(ms / 1000, 'second', 1);
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) {
    const rest = seconds % 60;
    return [unit(Math.floor(seconds / 60), 'minute'), rest ? unit(rest, 'second') : '']
      .filter(Boolean)
      .join(' ');
  }
  const minutes = Math.round(seconds / 60);
  const rest = minutes % 60;
  return [unit(Math.floor(minutes / 60), 'hour'), rest ? unit(rest, 'minute') : ''].filter(Boolean).join(' ');
}

/** Seconds of something that still runs, without decimals that flicker: 0:07, 2:05. */
export function formatElapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
