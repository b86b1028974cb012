// Both languages say everything, with the same placeholders, in files that the build reads.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { packed } from '../build/texts';
import { filled, type Text } from '../src/lib/texts.svelte';

const project = JSON.parse(readFileSync('project.inlang/settings.json', 'utf8'));
const patterns: string[] = project['plugin.inlang.messageFormat'].pathPattern;
const areas = readdirSync('messages/zh-CN').sort();
const read = (locale: string, area: string) =>
  JSON.parse(readFileSync(`messages/${locale}/${area}`, 'utf8')) as Record<string, unknown>;

/** The names in braces, wherever they stand in a message or its variants. */
function placeholders(message: unknown): string[] {
  const texts =
    typeof message === 'string'
      ? [message]
      : [JSON.stringify((message as { match: unknown }[]).map((one) => Object.values(one.match as object)))];
  return [...new Set(texts.flatMap((text) => [...text.matchAll(/\{(\w+)\}/g)].map((hit) => hit[1]!)))].sort();
}

describe('texts', () => {
  it('are all listed for the build', () => {
    expect(readdirSync('messages/en').sort()).toEqual(areas);
    expect(patterns.map((pattern) => pattern.split('/').at(-1)).sort()).toEqual(areas);
  });

  it.each(areas)('%s says the same in both languages', (area) => {
    const zh = read('zh-CN', area);
    const en = read('en', area);
    expect(Object.keys(en).sort()).toEqual(Object.keys(zh).sort());
    for (const key of Object.keys(zh)) {
      expect([key, placeholders(en[key])]).toEqual([key, placeholders(zh[key])]);
      expect(JSON.stringify(en[key]), `${key} in English`).not.toMatch(/[\u4e00-\u9fff]/);
      expect(zh[key], key).not.toBe('');
    }
  });

  it('are all named by the code, and the code names no other', () => {
    const code = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(svelte|ts)$/.test(name) && !/^lib.paraglide/.test(name))
      .map((name) => readFileSync(`src/${name}`, 'utf8'))
      .join('\n');
    // A name that is put together while it runs would escape this, and the types.
    expect(code).not.toMatch(/\bm\[/);
    const named = new Set([...code.matchAll(/\bm\.(\w+)/g)].map((hit) => hit[1]!));
    const keys = areas.flatMap((area) => Object.keys(read('zh-CN', area)));
    expect(keys.filter((key) => !named.has(key))).toEqual([]);
    expect([...named].filter((key) => !keys.includes(key))).toEqual([]);
  });

  it('have keys that occur once, in the area that begins them', () => {
    const keys = areas.flatMap((area) => Object.keys(read('zh-CN', area)));
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('packs', () => {
  it.each(areas)('%s has only forms that the build understands', (area) => {
    for (const locale of ['zh-CN', 'en']) {
      for (const [key, message] of Object.entries(read(locale, area))) {
        expect(() => packed(key, message as never), key).not.toThrow();
      }
    }
  });

  it('fill in what is named, and choose the form that a number takes', () => {
    expect(filled('{n} of {all}', { n: 1, all: '1,200' }, 'en')).toBe('1 of 1,200');
    const files: Text = packed('files', [
      {
        declarations: ['input n', 'input count', 'local nCount = n: plural'],
        selectors: ['nCount'],
        match: { 'nCount=one': '{count} file', 'nCount=other': '{count} files' },
      },
    ]) as Text;
    expect(filled(files, { n: 1, count: '1' }, 'en')).toBe('1 file');
    expect(filled(files, { n: 1200, count: '1,200' }, 'en')).toBe('1,200 files');
  });

  it('of a kind that is not known stop the build', () => {
    expect(() => packed('odd', undefined)).toThrow(/odd/);
    const gendered = {
      declarations: ['input who'],
      selectors: ['who'],
      match: { 'who=her': 'hers', 'who=*': 'theirs' },
    };
    expect(() => packed('odd', [gendered])).toThrow(/odd/);
  });
});
