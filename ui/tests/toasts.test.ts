// Notices: how many, how long, and what keeps them.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { toasts } from '../src/lib/ui/toasts.svelte';

const tab = { hidden: false };
const plain = { tone: 'info' as const, about: undefined, action: undefined };
const texts = () => toasts.items.map((one) => one.text);

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('document', tab);
});
afterEach(() => {
  for (const { id } of toasts.items) toasts.hide(id);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('a notice leaves by itself, a longer one later', () => {
  toasts.show({ ...plain, text: 'short' }, 1_000);
  toasts.show({ ...plain, text: 'long' }, 3_000);
  vi.advanceTimersByTime(1_500);
  expect(texts()).toEqual(['long']);
  vi.advanceTimersByTime(2_000);
  expect(texts()).toEqual([]);
});

it('a notice stays while somebody points at it, and while nobody sees the tab', () => {
  toasts.show({ ...plain, text: 'read me' }, 1_000);
  toasts.held = true;
  vi.advanceTimersByTime(10_000);
  toasts.held = false;
  tab.hidden = true;
  vi.advanceTimersByTime(10_000);
  tab.hidden = false;
  expect(texts()).toEqual(['read me']);
  vi.advanceTimersByTime(1_500);
  expect(texts()).toEqual([]);
});

it('one with the same id takes the place of the former and has its own time', () => {
  toasts.show({ ...plain, text: 'begun' }, 1_000, 'job');
  vi.advanceTimersByTime(750);
  toasts.show({ ...plain, text: 'done' }, 1_000, 'job');
  vi.advanceTimersByTime(750);
  expect(texts()).toEqual(['done']);
});

it('many do not cover the page', () => {
  for (let n = 1; n <= 9; n += 1) toasts.show({ ...plain, text: `${n}` }, 1_000);
  expect(texts()).toEqual(['6', '7', '8', '9']);
});
