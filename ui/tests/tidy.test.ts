// The house rules that a machine can check: small files that say their job, no text outside messages, no colours
// outside the tokens, no inline style attributes (the content security policy forbids them), lower layers below upper.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((name) => `src/${name.replaceAll('\\', '/')}`)
  .filter((name) => /\.(svelte|ts|css)$/.test(name))
  .filter((name) => !name.includes('/paraglide/') && !name.endsWith('schema.d.ts'));
const source = new Map(files.map((name) => [name, readFileSync(name, 'utf8')]));
const svelte = files.filter((name) => name.endsWith('.svelte'));
const code = files.filter((name) => !name.endsWith('.css'));

/** Without comments: they may be in any words. */
const bare = (name: string) =>
  source
    .get(name)!
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '');

describe('a file', () => {
  it.each(code)('%s is small and says its job first', (name) => {
    expect(source.get(name)!.split('\n').length).toBeLessThanOrEqual(250);
    expect(source.get(name)!.trimStart()).toMatch(name.endsWith('.svelte') ? /^<!-- / : /^(\/\/|\/\*\*) /);
  });

  it.each(code)('%s has no Chinese outside the messages', (name) => {
    // The names of languages are written in themselves.
    expect(bare(name).replace('简体中文', '')).not.toMatch(/[\u4e00-\u9fff]/);
  });

  it.each(svelte)('%s has no inline style and no colour of its own', (name) => {
    expect(bare(name)).not.toMatch(/\sstyle="/);
    expect(bare(name)).not.toMatch(/(class|`|').*\b(bg|text|border)-\[#/);
  });
});

describe('layers', () => {
  const imports = (name: string) =>
    [...bare(name).matchAll(/from '([^']+)'|import\('([^']+)'\)/g)].map((hit) => hit[1] ?? hit[2]!);

  it('ui knows nothing of images, pages or the frame', () => {
    for (const name of files.filter((one) => one.startsWith('src/lib/ui/'))) {
      for (const from of imports(name)) {
        expect(from, name).not.toMatch(/\$lib\/(domain|frame)|routes/);
        // The shape of a failure and of something loaded, and nothing else.
        if (from.startsWith('$lib/api')) expect(from, name).toMatch(/\/(error|resource\.svelte)$/);
      }
    }
  });

  it('domain pieces know no pages', () => {
    for (const name of files.filter((one) => one.startsWith('src/lib/'))) {
      for (const from of imports(name)) expect(from, name).not.toContain('routes');
    }
  });
});
