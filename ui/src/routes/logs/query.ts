// What the address asks for: the least level, a search, one request, and which of the two kinds.
import { LEVELS, type Entry, type Level } from './entry';
import { eventsWith, sentence } from './sentences';

export const KINDS = ['all', 'requests', 'program'] as const;
export type Kinds = (typeof KINDS)[number];
export type Query = { level: Level; q: string; request: string; kinds: Kinds };

export function readQuery(params: URLSearchParams): Query {
  const pick = <T extends string>(name: string, words: readonly T[], other: T): T =>
    words.find((word) => word === params.get(name)) ?? other;
  return {
    level: pick('level', LEVELS, 'info'),
    q: params.get('q') ?? '',
    request: params.get('request') ?? '',
    kinds: pick('kinds', KINDS, 'all'),
  };
}

export const isNarrowed = (query: Query) =>
  query.level !== 'info' || query.q !== '' || query.request !== '' || query.kinds !== 'all';

/** For both lists of the server. One request is shown whole. */
export function toRequest(query: Query): { level: Level; q?: string; request?: string } {
  return {
    level: query.request ? 'debug' : query.level,
    q: query.q || undefined,
    request: query.request || undefined,
  };
}

/** What only lines know: events whose words hold the search. */
export const eventsOf = (query: Query) => (query.q ? eventsWith(query.q).join(',') || undefined : undefined);

/** The same for the export. */
export function exportPath(query: Query, records: boolean): string {
  const params = new URLSearchParams({ records: String(records) });
  const asked = { ...toRequest(query), events: eventsOf(query) };
  for (const [name, value] of Object.entries(asked)) if (value) params.set(name, value);
  return `/logs/export?${params}`;
}

/** Where a record tells how a request was answered, the line that says the same stands back. */
export const isShown = (entry: Entry, query: Query) =>
  query.kinds === 'program' ||
  !!query.request ||
  entry.kind === 'record' ||
  entry.line.fields.event !== 'answered';

/** Whether what the stream tells belongs to what is shown. */
export function fits(entry: Entry, query: Query): boolean {
  const { level, q, request } = toRequest(query);
  if (!isShown(entry, query)) return false;
  if (query.kinds !== 'all' && (query.kinds === 'requests') !== (entry.kind === 'record')) return false;
  if (LEVELS.indexOf(entry.level) > LEVELS.indexOf(level)) return false;
  if (request && entry.request !== request) return false;
  if (!q) return true;
  const told =
    entry.kind === 'line'
      ? [entry.line.message, ...Object.values(entry.line.fields), sentence(entry.line)]
      : [
          entry.record.prompt,
          entry.record.model,
          entry.record.upstream,
          entry.record.message,
          entry.record.outcome,
        ];
  return [...told, entry.request].join('\n').toLowerCase().includes(q.toLowerCase());
}
