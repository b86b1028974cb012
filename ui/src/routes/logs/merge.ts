// Two lists, each newest first, made into one. Each keeps its own order, also where the clock went back.
import type { Entry } from './entry';

export type Half<T extends Entry = Entry> = {
  items: T[];
  /** Where the next page begins; null at the end. */
  next: number | null;
};

/** What is older than this may have neighbours that are not loaded yet, and is not shown. */
export function horizon(halves: Half[]): number {
  return Math.max(
    -Infinity,
    ...halves.map((half) => (half.next === null ? -Infinity : (half.items.at(-1)?.at ?? Infinity))),
  );
}

export function merge(one: Half, two: Half): Entry[] {
  const least = horizon([one, two]);
  const made: Entry[] = [];
  let [a, b] = [0, 0];
  for (;;) {
    const [first, second] = [one.items[a], two.items[b]];
    const taken = first && (!second || first.at >= second.at) ? first : second;
    if (!taken || taken.at < least) return made;
    if (taken === first) a += 1;
    else b += 1;
    made.push(taken);
  }
}

/** The half that keeps the other from being shown: its next page is the one to load. */
export function behind(one: Half, two: Half): [boolean, boolean] {
  const least = horizon([one, two]);
  const blocks = (half: Half) => half.next !== null && (half.items.at(-1)?.at ?? Infinity) >= least;
  return [blocks(one), blocks(two)];
}

/** A new first page over what is loaded; null if they do not meet, so that something between them is missing. */
export function renewed<T extends Entry>(page: Half<T>, old: Half<T>): Half<T> | null {
  if (page.next === null) return page;
  const known = new Set(page.items.map((entry) => entry.key));
  const meets = old.items.some((entry) => known.has(entry.key));
  if (!meets) return null;
  return { items: [...page.items, ...old.items.filter((entry) => !known.has(entry.key))], next: old.next };
}

/** With new ones above, each once. */
export function above<T extends Entry>(fresh: T[], old: Half<T>): Half<T> {
  const known = new Set(old.items.slice(0, 500).map((entry) => entry.key));
  const added = fresh.filter((entry) => !known.has(entry.key));
  return added.length === 0 ? old : { items: [...added, ...old.items], next: old.next };
}
