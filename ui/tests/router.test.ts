// Which page an address belongs to, and where sign-in may lead back to.
import { describe, expect, it } from 'vitest';
import { match, pathOf, safeNext } from '../src/lib/router/match';

describe('an address', () => {
  it('is ours only below /admin', () => {
    expect(pathOf('/admin')).toBe('/');
    expect(pathOf('/admin/')).toBe('/');
    expect(pathOf('/admin/gallery/')).toBe('/gallery');
    expect(pathOf('/administrator')).toBeNull();
    expect(pathOf('/images/x')).toBeNull();
  });

  it('matches a pattern with an optional end', () => {
    expect(match('/gallery/:id?', '/gallery')).toEqual({});
    expect(match('/gallery/:id?', '/gallery/ab%20c')).toEqual({ id: 'ab c' });
    expect(match('/gallery/:id?', '/gallery/a/b')).toBeNull();
    expect(match('/gallery/:id?', '/logs')).toBeNull();
    expect(match('/gallery/:id', '/gallery')).toBeNull();
    expect(match('/gallery/:id', '/gallery/%E0%A4%A')).toBeNull();
  });
});

describe('after sign-in', () => {
  it('leads to pages of ours only', () => {
    expect(safeNext('/gallery?q=cat')).toBe('/gallery?q=cat');
    for (const next of [
      null,
      '',
      '//evil.example',
      'https://evil.example',
      '/\\evil.example',
      '/login?next=/x',
      '/',
    ]) {
      expect(safeNext(next)).toBe('/dashboard');
    }
  });
});
