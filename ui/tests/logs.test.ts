// Lines and records in one list: nothing twice, nothing out of order, nothing shown whose neighbours are not loaded.
import { describe, expect, it } from 'vitest';
import type { Entry } from '../src/routes/logs/entry';
import { above, behind, merge, renewed, type Half } from '../src/routes/logs/merge';

const entry = (key: string, at: number) => ({ key, at }) as Entry;
const half = (items: [string, number][], next: number | null = null): Half => ({
  items: items.map(([key, at]) => entry(key, at)),
  next,
});
const keys = (entries: Entry[]) => entries.map((one) => one.key).join('');

describe('merging', () => {
  it('goes by time and keeps the order of each', () => {
    expect(
      keys(
        merge(
          half([
            ['a', 9],
            ['b', 5],
            ['c', 1],
          ]),
          half([
            ['x', 7],
            ['y', 5],
          ]),
        ),
      ),
    ).toBe('axbyc');
    // The clock went back: lines stay in the order in which they were written.
    expect(
      keys(
        merge(
          half([
            ['a', 3],
            ['b', 8],
          ]),
          half([['x', 5]]),
        ),
      ),
    ).toBe('xab');
  });

  it('holds back what is older than the end of a list that goes on', () => {
    const lines = half(
      [
        ['a', 9],
        ['b', 8],
      ],
      17,
    );
    const records = half([
      ['x', 7],
      ['y', 2],
    ]);
    expect(keys(merge(lines, records))).toBe('ab');
    expect(behind(lines, records)).toEqual([true, false]);
    expect(behind(half([['a', 9]], 17), half([['x', 4]], 3))).toEqual([true, false]);
  });

  it('shows all once both have ended', () => {
    expect(keys(merge(half([['a', 9]]), half([['x', 7]])))).toBe('ax');
    expect(behind(half([['a', 9]]), half([['x', 7]]))).toEqual([false, false]);
  });
});

describe('what is new', () => {
  it('comes in once, whoever tells it first', () => {
    const old = half(
      [
        ['b', 5],
        ['a', 1],
      ],
      3,
    );
    const more = above([entry('c', 7), entry('b', 5)], old);
    expect(keys(more.items)).toBe('cba');
    expect(more.next).toBe(3);
    expect(above([entry('b', 5)], old)).toBe(old);
  });

  it('meets the old list, or says that it does not', () => {
    const old = half(
      [
        ['b', 5],
        ['a', 1],
      ],
      3,
    );
    expect(
      keys(
        renewed(
          half(
            [
              ['c', 7],
              ['b', 5],
            ],
            9,
          ),
          old,
        )!.items,
      ),
    ).toBe('cba');
    expect(
      renewed(
        half(
          [
            ['e', 20],
            ['d', 19],
          ],
          9,
        ),
        old,
      ),
    ).toBeNull();
    expect(keys(renewed(half([['e', 20]]), old)!.items)).toBe('e');
  });
});
