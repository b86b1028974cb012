// What the page lists: lines that the program wrote, and records of requests, in one order.
import type { Activity, Line } from '$lib/api';

export type Level = 'error' | 'warn' | 'info' | 'debug';
export const LEVELS: Level[] = ['error', 'warn', 'info', 'debug'];

type Common = {
  /** The same for the same thing, whether it came by the stream or by a page. */
  key: string;
  /** When it happened; of a request: when it was answered. Milliseconds since 1970. */
  at: number;
  level: Level;
  request: string | null;
};
export type LineEntry = Common & { kind: 'line'; line: Line };
export type RecordEntry = Common & { kind: 'record'; record: Activity };
export type Entry = LineEntry | RecordEntry;

export function ofLine(line: Line): LineEntry {
  // After a clear and a restart the numbers begin anew; the time tells those lines apart.
  const key = `l${line.seq}-${line.at}`;
  return { kind: 'line', key, at: line.at, level: line.level as Level, request: line.request ?? null, line };
}

export function ofRecord(record: Activity): RecordEntry {
  const failed = record.outcome !== 'ok';
  return {
    kind: 'record',
    key: `r${record.at}-${record.duration_ms}-${record.request ?? record.prompt ?? ''}`,
    at: record.at + record.duration_ms,
    level: failed ? 'error' : record.kind === 'task' ? 'debug' : 'info',
    request: record.request ?? null,
    record,
  };
}

/** The number by which the server pages, if it has one yet. */
export const seqOf = (entry: Entry): number | null =>
  (entry.kind === 'line' ? entry.line.seq : entry.record.seq) ?? null;
