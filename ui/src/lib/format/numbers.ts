// Counts and shares in the digits of the locale.

export function formatCount(count: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(count);
}

/** `share` is 0…1. Never "100 %" for what is not whole, never "0 %" for what is not nothing. */
export function formatShare(share: number, locale: string): string {
  const kept = share > 0 && share < 0.01 ? 0.01 : share < 1 && share > 0.99 ? 0.99 : share;
  return new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 }).format(kept);
}
