// The plot of the dashboard.
import { describe, expect, it } from 'vitest';
import { scaleOf } from '../src/routes/dashboard/days';

describe('the scale of the plot', () => {
  it('is round, holds the most, and has few lines', () => {
    expect(scaleOf(0)).toEqual({ top: 4, ticks: [0, 1, 2, 3, 4] });
    for (const most of [1, 5, 6, 24, 99, 101, 12_345]) {
      const { top, ticks } = scaleOf(most);
      expect(top).toBeGreaterThanOrEqual(most);
      expect(top).toBeLessThan(2 * Math.max(4, most));
      expect(ticks.length).toBeLessThanOrEqual(7);
    }
  });
});
