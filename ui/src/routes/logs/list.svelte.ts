// What the page has loaded: lines and records, page after page, and what the live stream adds. It outlives the page, so
// that coming back finds everything where it was.
import { asApiError, wasAborted, type Activity, type ApiError, type Line } from '$lib/api';
import { ofLine, ofRecord, type Entry, type LineEntry, type RecordEntry } from './entry';
import { above, behind, merge, renewed, type Half } from './merge';
import { PAGE, below, linesBefore, none, recordsBefore, trimmed } from './pages';
import { fits, type Query } from './query';

/** Entries that wait above; beyond it they are counted no longer and loaded anew. */
const WAITING_MAX = 2_000;
/** New entries are shown together after so many ms: a busy server tells hundreds in a second. */
const GATHER_MS = 120;
/** After a gap in the stream: how long until what is missing is asked for. */
const MEND_MS = 600;

class LogList {
  #lines = $state.raw<Half<LineEntry>>(none());
  #records = $state.raw<Half<RecordEntry>>(none());
  entries = $derived(merge(this.#lines, this.#records));
  /** There are older ones. */
  more = $derived(this.#lines.next !== null || this.#records.next !== null);
  loading = $state(false);
  error = $state.raw<ApiError | null>(null);
  /** Whether it was older ones that failed to load, and not the beginning. */
  failedMore = $state(false);
  again: () => void = () => {};
  /** Whether what is shown answers the query. */
  ready = $state(false);
  /** Nothing was ever loaded. */
  blank = $state(true);
  /** New ones stay above until they are called for. */
  paused = $state(false);
  waiting = $state.raw<Entry[]>([]);
  /** More waits than is counted. */
  overflow = $state(false);
  /** Keys of those that are unfolded. */
  open = $state.raw<ReadonlySet<string>>(new Set());
  /** Whether one looks at the newest. */
  atTop = true;

  #query: Query = { level: 'info', q: '', request: '', kinds: 'all' };
  #key = '';
  #control: AbortController | null = null;
  #fresh: Entry[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #mend: ReturnType<typeof setTimeout> | undefined;
  #lastSeq: number | null = null;

  /** Shows what is asked for. The same as before stays as it is and is only renewed. */
  show(query: Query): void {
    const key = JSON.stringify(query);
    if (key === this.#key && this.ready) {
      void this.#renew();
      return;
    }
    this.#key = key;
    this.#query = query;
    this.ready = false;
    this.reload();
  }

  reload = (): void => {
    this.waiting = [];
    this.overflow = false;
    void this.#load(async (signal) => {
      const [lines, records] = await Promise.all([
        linesBefore(this.#query, null, signal),
        recordsBefore(this.#query, null, signal),
      ]);
      return () => {
        [this.#lines, this.#records] = [lines, records];
        this.ready = true;
        this.blank = false;
      };
    });
  };

  /** Loads older ones, if there are any and nothing is on its way. */
  older = (): void => {
    if (!this.ready || this.loading || !this.more) return;
    const [lines, records] = [this.#lines, this.#records];
    const [wantsLines, wantsRecords] = behind(lines, records);
    void this.#load(async (signal) => {
      const [moreLines, moreRecords] = await Promise.all([
        wantsLines ? linesBefore(this.#query, lines.next, signal) : null,
        wantsRecords ? recordsBefore(this.#query, records.next, signal) : null,
      ]);
      return () => {
        if (moreLines) this.#lines = below(this.#lines, moreLines);
        if (moreRecords) this.#records = below(this.#records, moreRecords);
      };
    }, true);
  };

  noteLine = (line: Line): void => {
    const missed = this.#lastSeq !== null && line.seq > this.#lastSeq + 1;
    this.#lastSeq = line.seq;
    if (missed) {
      clearTimeout(this.#mend);
      this.#mend = setTimeout(() => void this.#renew(), MEND_MS);
    }
    this.#note(ofLine(line));
  };

  noteRecord = (record: Activity): void => this.#note(ofRecord(record));

  /** Brings in what waits. */
  admit(): void {
    if (this.overflow) {
      this.reload();
      return;
    }
    this.#add(this.waiting);
    this.waiting = [];
  }

  /** The page tells whether one looks at the newest: what waited comes in then. */
  look(atTop: boolean): void {
    const arrives = atTop && !this.atTop;
    this.atTop = atTop;
    if (arrives && !this.paused && (this.waiting.length > 0 || this.overflow)) this.admit();
  }

  toggle(key: string): void {
    const open = new Set(this.open);
    if (!open.delete(key)) open.add(key);
    this.open = open;
  }

  /** The log was cleared, here or elsewhere. */
  cleared = (): void => {
    this.#lastSeq = null;
    this.open = new Set();
    this.reload();
  };

  /** Listens no longer: what comes meanwhile is found when it renews. */
  rest = (): void => {
    clearTimeout(this.#mend);
    this.#lastSeq = null;
  };

  #note(entry: Entry): void {
    if (!this.ready || !fits(entry, this.#query)) return;
    this.#fresh.push(entry);
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const fresh = this.#fresh.reverse();
      this.#fresh = [];
      this.#take(fresh);
    }, GATHER_MS);
  }

  /** New ones come in at once. With nothing in sight there is no place to keep. */
  get #flows(): boolean {
    return !this.paused && (this.atTop || this.entries.length === 0);
  }

  #take(fresh: Entry[]): void {
    if (fresh.length === 0) return;
    if (this.#flows) {
      this.#add(fresh);
      return;
    }
    const known = new Set([...this.waiting, ...this.entries.slice(0, PAGE)].map((entry) => entry.key));
    const waiting = [...fresh.filter((entry) => !known.has(entry.key)), ...this.waiting];
    this.overflow ||= waiting.length > WAITING_MAX;
    this.waiting = waiting.slice(0, WAITING_MAX);
  }

  #add(fresh: Entry[]): void {
    const lines = fresh.filter((entry) => entry.kind === 'line');
    const records = fresh.filter((entry) => entry.kind === 'record');
    this.#lines = trimmed(above(lines, this.#lines));
    this.#records = trimmed(above(records, this.#records));
  }

  /** What came while nobody listened. It stays above if one looks at something older. */
  async #renew(): Promise<void> {
    await this.#load(async (signal) => {
      const [lines, records] = await Promise.all([
        linesBefore(this.#query, null, signal),
        recordsBefore(this.#query, null, signal),
      ]);
      return () => {
        if (this.#flows) {
          this.#lines = renewed(lines, this.#lines) ?? lines;
          this.#records = renewed(records, this.#records) ?? records;
          return;
        }
        const met = renewed(lines, this.#lines) && renewed(records, this.#records);
        this.overflow ||= !met;
        const known = new Set([...this.#lines.items, ...this.#records.items].map((entry) => entry.key));
        this.#take(
          merge({ ...lines, next: null }, { ...records, next: null }).filter((one) => !known.has(one.key)),
        );
      };
    });
  }

  async #load(load: (signal: AbortSignal) => Promise<() => void>, further = false): Promise<void> {
    this.#control?.abort();
    const control = new AbortController();
    this.#control = control;
    this.again = () => void this.#load(load, further);
    this.loading = true;
    this.error = null;
    try {
      const take = await load(control.signal);
      if (this.#control !== control) return;
      take();
    } catch (cause) {
      if (this.#control !== control || wasAborted(cause)) return;
      this.error = asApiError(cause);
      this.failedMore = further;
    }
    this.loading = false;
  }
}

export const logs = new LogList();
