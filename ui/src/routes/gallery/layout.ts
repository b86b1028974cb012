// Where the pictures of the gallery stand: equal cells in rows, so that the place of each is known before it is loaded.

/** Wanted width of a cell in pixels at 16 px a letter, from dense to large. */
const WIDTHS = [96, 136, 188, 252, 340];
export const DENSITIES = WIDTHS.length;

export const GAP = 12;
const ROW_GAP = 16;
/** Two lines below each picture, in rem. */
const CAPTION = 2.75;
/** Rows beyond the window that stand ready. */
const SPARE = 3;

export type Layout = { columns: number; cell: number; row: number; rows: number; height: number };

export function lay(width: number, density: number, rem: number, count: number): Layout {
  const wanted = (WIDTHS[density] ?? WIDTHS[2]!) * (rem / 16);
  const least = density >= DENSITIES - 1 ? 1 : 2;
  const columns = Math.max(least, Math.floor((width + GAP) / (wanted + GAP)));
  const cell = Math.max(1, (width - GAP * (columns - 1)) / columns);
  const row = cell + CAPTION * rem + ROW_GAP;
  const rows = Math.ceil(count / columns);
  return { columns, cell, row, rows, height: rows * row };
}

/** The rows to render: first and last, both included; none when last < first. */
export function visible(layout: Layout, scrolled: number, windowHeight: number): [number, number] {
  const first = Math.floor(scrolled / layout.row) - SPARE;
  const last = Math.floor((scrolled + windowHeight) / layout.row) + SPARE;
  return [Math.max(0, first), Math.min(layout.rows - 1, last)];
}

/** Where a key leads from a cell; null: it is no key that moves. */
export function moved(key: string, from: number, columns: number, perPage: number, count: number) {
  const step: Record<string, number> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    PageUp: -perPage * columns,
    PageDown: perPage * columns,
    Home: -count,
    End: count,
  };
  const by = step[key];
  if (by === undefined) return null;
  const to = from + by;
  // Up and down at the edge stay where they are instead of sliding along it.
  if (key === 'ArrowUp' && to < 0) return from;
  return Math.min(count - 1, Math.max(0, to));
}
