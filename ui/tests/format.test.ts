// Sizes, shares and times as people read them.
import { describe, expect, it } from 'vitest';
import { formatBytes } from '../src/lib/format/bytes';
import { formatShare } from '../src/lib/format/numbers';
import { formatAgo, formatDay, formatDuration, formatElapsed } from '../src/lib/format/times';

describe('sizes', () => {
  it('have three figures and never 1024 of a unit', () => {
    expect(formatBytes(0, 'en')).toBe('0 B');
    expect(formatBytes(1023, 'en')).toBe('1,023 B');
    expect(formatBytes(1024, 'en')).toBe('1 KB');
    expect(formatBytes(312 * 1024 ** 2, 'zh-CN')).toBe('312 MB');
    expect(formatBytes(1.5 * 1024 ** 3, 'en')).toBe('1.5 GB');
    expect(formatBytes(1024 ** 2 - 1, 'en')).toBe('1 MB');
    expect(formatBytes(-5, 'en')).toBe('0 B');
  });
});

describe('shares', () => {
  it('are never rounded to nothing or to all', () => {
    expect(formatShare(0, 'en')).toBe('0%');
    expect(formatShare(0.0001, 'en')).toBe('1%');
    expect(formatShare(0.999, 'en')).toBe('99%');
    expect(formatShare(1, 'en')).toBe('100%');
  });
});

describe('times', () => {
  const now = Date.UTC(2026, 10, 24, 12);
  it('are told relative to now', () => {
    expect(formatAgo(now - 20_000, now, 'zh-CN', '刚刚')).toBe('刚刚');
    expect(formatAgo(now - 3 * 60_000, now, 'zh-CN', '刚刚')).toBe('3 分钟前');
    expect(formatAgo(now - 26 * 3_600_000, now, 'zh-CN', '刚刚')).toBe('昨天');
    expect(formatAgo(now - 26 * 3_600_000, now, 'en', 'just now')).toBe('yesterday');
    expect(formatAgo(now - 400 * 86_400_000, now, 'en', 'just now')).toBe('last year');
  });

  it('keep the day of the server', () => {
    expect(formatDay('2026-11-01', 'zh-CN')).toBe('11月1日');
    expect(formatDay('2026-11-01', 'en')).toBe('Nov 1');
  });

  it('last', () => {
    expect(formatDuration(850, 'en')).toBe('850 ms');
    expect(formatDuration(12_400, 'en')).toBe('12.4 sec');
    expect(formatDuration(125_000, 'en')).toBe('2 min 5 sec');
    expect(formatDuration(12_000_000, 'zh-CN')).toBe('3 小时 20 分钟');
    expect(formatElapsed(125_900)).toBe('2:05');
  });
});
