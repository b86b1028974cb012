// What the gallery is asked for: read from the address, so that it survives a reload, a share and the way back.
import type { Image } from '$lib/api';

export type Sort = 'created' | 'accessed' | 'size';
export type Order = 'desc' | 'asc';
export type Source = Image['source'];
export type State =
  | ''
  | 'local'
  | 'local_only'
  | 'both'
  | 'cloud'
  | 'cloud_only'
  | 'waiting'
  | 'failed'
  | 'elsewhere'
  | 'missing';
export type Dates = '' | 'today' | 'week' | 'month' | 'range';

export type Query = {
  q: string;
  sort: Sort;
  order: Order;
  source: Source | '';
  model: string;
  state: State;
  dates: Dates;
  /** YYYY-MM-DD, local, both included; only for `range`. */
  fromDay: string;
  toDay: string;
};

export type Request = {
  q?: string;
  sort: Sort;
  order: Order;
  source?: Source;
  model?: string;
  state?: Exclude<State, ''>;
  from?: number;
  to?: number;
};

export const SORTS: Sort[] = ['created', 'accessed', 'size'];
export const SOURCES: Source[] = ['generated', 'edited', 'uploaded', 'imported'];
/** Where the bytes lie. Without a bucket only some of it makes sense. */
export const STATES: State[] = [
  '',
  'local',
  'local_only',
  'both',
  'cloud',
  'cloud_only',
  'waiting',
  'failed',
  'elsewhere',
  'missing',
];
export const LOCAL_STATES: State[] = ['', 'local', 'elsewhere', 'missing'];
export const DATES: Dates[] = ['', 'today', 'week', 'month', 'range'];

const oneOf = <T extends string>(given: string | null, allowed: T[], otherwise: T): T =>
  allowed.includes(given as T) ? (given as T) : otherwise;

export function readQuery(params: URLSearchParams): Query {
  return {
    q: params.get('q') ?? '',
    sort: oneOf(params.get('sort'), SORTS, 'created'),
    order: oneOf<Order>(params.get('order'), ['desc', 'asc'], 'desc'),
    source: oneOf<Source | ''>(params.get('source'), SOURCES, ''),
    model: params.get('model') ?? '',
    state: oneOf(params.get('state'), STATES, ''),
    dates: oneOf(params.get('dates'), DATES, ''),
    fromDay: params.get('from') ?? '',
    toDay: params.get('to') ?? '',
  };
}

/** Midnight at the beginning of a day given as YYYY-MM-DD, `later` days on; undefined when it is no day. */
function midnight(day: string, later = 0): number | undefined {
  const [year, month, date] = day.split('-').map(Number);
  if (!year || !month || !date) return undefined;
  const at = new Date(year, month - 1, date + later).getTime();
  return Number.isNaN(at) ? undefined : at;
}

function daysBack(days: number, now: number): number {
  const today = new Date(now);
  return new Date(today.getFullYear(), today.getMonth(), today.getDate() - days).getTime();
}

function period(query: Query, now: number): Pick<Request, 'from' | 'to'> {
  switch (query.dates) {
    case 'today':
      return { from: daysBack(0, now) };
    case 'week':
      return { from: daysBack(6, now) };
    case 'month':
      return { from: daysBack(29, now) };
    case 'range':
      return { from: midnight(query.fromDay), to: midnight(query.toDay, 1) };
    default:
      return {};
  }
}

export function toRequest(query: Query, now: number): Request {
  return {
    sort: query.sort,
    order: query.order,
    q: query.q.trim() || undefined,
    source: query.source || undefined,
    model: query.model || undefined,
    state: query.state || undefined,
    ...period(query, now),
  };
}

/** How many filters are on, the search not counted. */
export const filterCount = (query: Query) =>
  [query.source, query.model, query.state, query.dates].filter(Boolean).length;

/** Whether the bytes of an image lie there. */
function lies(image: Image, state: Request['state']): boolean {
  const stored = image.cloud === 'stored';
  const waits = image.cloud === 'pending' || image.cloud === 'failed';
  switch (state) {
    case undefined:
      return true;
    case 'local':
      return image.local;
    case 'local_only':
      return image.local && !stored;
    case 'both':
      return image.local && stored;
    case 'cloud':
      return stored;
    case 'cloud_only':
      return stored && !image.local;
    case 'waiting':
      return waits;
    case 'failed':
      return image.cloud === 'failed';
    case 'elsewhere':
      return image.elsewhere;
    case 'missing':
      return !image.local && !stored && !image.elsewhere;
  }
}

/** Whether an image that was just saved belongs to what is shown. The server's search is finer: this is a good guess. */
export function belongs(image: Image, request: Request): boolean {
  const prompt = (image.prompt ?? '').toLowerCase();
  const words = (request.q ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  return (
    (!request.source || image.source === request.source) &&
    (!request.model || image.model === request.model) &&
    lies(image, request.state) &&
    (request.from === undefined || image.created_at >= request.from) &&
    (request.to === undefined || image.created_at < request.to) &&
    words.every((word) => prompt.includes(word))
  );
}
