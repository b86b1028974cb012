// Everything live, over one event stream. State that every page may show stands here; pages that keep lists of their
// own listen with `on`. After a pause the server sends a snapshot, and `again` counts up, so that pages reload theirs.
import { API } from './client';
import type { Bucket, Figures, Job, LiveEvents, Running, Snapshot } from './types';

export type Connection = 'connecting' | 'live' | 'reconnecting';

/** All of them: a name that the server adds, or no longer has, is a mistake in the types here. */
const NAMES: Record<keyof LiveEvents, true> = {
  snapshot: true,
  stats: true,
  running: true,
  job: true,
  bucket: true,
  cache: true,
  image: true,
  images_deleted: true,
  log: true,
  log_cleared: true,
  activity: true,
  upstreams: true,
  settings: true,
  paused: true,
};

/** A browser opens six connections to one server: a page that nobody sees gives its stream back after this time. */
const HIDDEN_MS = 20_000;
const RETRY_MS = [1_000, 2_000, 5_000, 10_000, 20_000];

type Listener<K extends keyof LiveEvents> = (event: LiveEvents[K]) => void;

class Live {
  connection = $state<Connection>('connecting');
  stats = $state.raw<Figures | null>(null);
  running = $state.raw<Running[]>([]);
  jobs = $state.raw<Job[]>([]);
  bucket = $state.raw<Bucket | null>(null);
  /** New requests are refused; null before the server has said. */
  paused = $state<boolean | null>(null);
  /** How often the stream came back after a pause: read it in an effect to load again. */
  again = $state(0);

  #source: EventSource | null = null;
  #listeners = new Map<keyof LiveEvents, Set<Listener<never>>>();
  #attempts = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #hidden: ReturnType<typeof setTimeout> | undefined;
  #wanted = false;
  #seen = false;

  /** Begins to listen; the returned function ends it. */
  begin(): () => void {
    this.#wanted = true;
    this.#open();
    document.addEventListener('visibilitychange', this.#visibility);
    return () => {
      this.#wanted = false;
      document.removeEventListener('visibilitychange', this.#visibility);
      this.#close();
      this.connection = 'connecting';
      this.#seen = false;
    };
  }

  /** Hears one kind of event; the returned function stops it. Made for `$effect(() => live.on(…))`. */
  on<K extends keyof LiveEvents>(name: K, listener: Listener<K>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener as Listener<never>);
    return () => listeners.delete(listener as Listener<never>);
  }

  /** Figures as the server just answered them: newer than what the stream told last. */
  noteStats(figures: Figures): void {
    this.stats = figures;
  }

  /** A job as the server just answered it, before its first event. */
  noteJob(job: Job): void {
    const before = this.jobs.find((other) => other.id === job.id);
    // A short job: the stream told its end before the answer came that says that it began.
    if (before && before.state !== 'running' && job.state === 'running') return;
    const known = before !== undefined;
    this.jobs = known ? this.jobs.map((other) => (other.id === job.id ? job : other)) : [job, ...this.jobs];
  }

  #visibility = () => {
    clearTimeout(this.#hidden);
    if (document.hidden) this.#hidden = setTimeout(() => this.#close(), HIDDEN_MS);
    else if (!this.#source) this.#open();
  };

  #open(): void {
    this.#close();
    if (!this.#wanted) return;
    const source = new EventSource(`${API}/events`);
    this.#source = source;
    for (const name of Object.keys(NAMES) as (keyof LiveEvents)[]) {
      source.addEventListener(name, (event) => this.#receive(name, (event as MessageEvent<string>).data));
    }
    source.onerror = () => {
      if (this.#source !== source) return;
      this.connection = this.#seen ? 'reconnecting' : 'connecting';
      // The browser tries again by itself unless the answer was no stream at all.
      if (source.readyState !== EventSource.CLOSED) return;
      this.#close();
      const wait = RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)];
      this.#attempts += 1;
      this.#retry = setTimeout(() => this.#open(), wait);
    };
  }

  #close(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #receive<K extends keyof LiveEvents>(name: K, text: string): void {
    let event: LiveEvents[K];
    try {
      event = JSON.parse(text) as LiveEvents[K];
    } catch {
      return;
    }
    this.#keep(name, event);
    for (const listener of this.#listeners.get(name) ?? []) (listener as Listener<K>)(event);
  }

  #keep(name: keyof LiveEvents, event: unknown): void {
    if (name === 'snapshot') {
      const snapshot = event as Snapshot;
      this.stats = snapshot.stats;
      this.running = snapshot.running;
      this.jobs = snapshot.jobs;
      this.bucket = snapshot.bucket;
      this.paused = snapshot.paused;
      this.connection = 'live';
      this.#attempts = 0;
      if (this.#seen) this.again += 1;
      this.#seen = true;
    } else if (name === 'stats') {
      this.stats = event as Figures;
    } else if (name === 'running') {
      this.running = event as Running[];
    } else if (name === 'job') {
      this.noteJob(event as Job);
    } else if (name === 'bucket') {
      this.bucket = event as Bucket;
    } else if (name === 'paused') {
      this.paused = (event as LiveEvents['paused']).paused;
    }
  }
}

export const live = new Live();
