// Pages of lines and of records from the server, and how lists of them grow and are cut.
import { api, call } from '$lib/api';
import { ofLine, ofRecord, seqOf, type Entry, type LineEntry, type RecordEntry } from './entry';
import type { Half } from './merge';
import { eventsOf, isShown, toRequest, type Query } from './query';

/** Entries of one page from the server. */
export const PAGE = 200;
/** Entries that stay loaded of each kind while new ones come in; older ones load again when one scrolls there. */
const KEPT = 4_000;

export const none = <T extends Entry>(): Half<T> => ({ items: [], next: null });

export async function linesBefore(
  asked: Query,
  before: number | null,
  signal: AbortSignal,
): Promise<Half<LineEntry>> {
  if (asked.kinds === 'requests') return none();
  const query = { ...toRequest(asked), events: eventsOf(asked), limit: PAGE, before: before ?? undefined };
  const page = await call(api.GET('/logs', { params: { query }, signal }));
  const items = page.items.map(ofLine).filter((entry) => isShown(entry, asked));
  return { items, next: page.next ?? null };
}

export async function recordsBefore(
  asked: Query,
  before: number | null,
  signal: AbortSignal,
): Promise<Half<RecordEntry>> {
  if (asked.kinds === 'program') return none();
  const query = { ...toRequest(asked), limit: PAGE, before: before ?? undefined };
  const page = await call(api.GET('/activity', { params: { query }, signal }));
  return { items: page.items.map(ofRecord), next: page.next ?? null };
}

/** With an older page below. */
export function below<T extends Entry>(half: Half<T>, page: Half<T>): Half<T> {
  const known = new Set(half.items.map((entry) => entry.key));
  return { items: [...half.items, ...page.items.filter((entry) => !known.has(entry.key))], next: page.next };
}

/** Without its oldest, where there are too many. */
export function trimmed<T extends Entry>(half: Half<T>): Half<T> {
  if (half.items.length <= KEPT + PAGE) return half;
  const items = half.items.slice(0, KEPT);
  const next = seqOf(items.at(-1)!);
  // What the stream told has no number yet: it stays until a page says it.
  return next === null ? half : { items, next };
}
