// A build step for the texts: a page loads those of its own areas, and of one language. Paraglide checks the messages and
// types `m`, but what it writes holds every text in every language wherever a message is named. Here each message
// becomes a place in the pack of its area (messages/LOCALE/AREA.json); $lib/texts.svelte loads packs and fills in.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

/** A message: a text, or one with forms for numbers, as inlang's message format writes it. */
type Message = string | [{ declarations: string[]; selectors: string[]; match: Record<string, string> }];
/** What $lib/texts.svelte understands: a text, or the input that counts and a text for each form. */
type Packed = string | [string, Record<string, string>];
/** An area's pack, or with a locale the texts in it. */
const AREA = 'virtual:texts/';
const MESSAGE = /\/src\/lib\/paraglide\/messages\/(?!_index)[^/]+\.js$/;

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const project = JSON.parse(readFileSync(here('../project.inlang/settings.json'), 'utf8'));
const locales: string[] = project.locales;
const files: string[] = project['plugin.inlang.messageFormat'].pathPattern;
const fileOf = (area: string, locale: string) => here(`../messages/${locale}/${area}.json`);
const read = (area: string, locale: string) =>
  JSON.parse(readFileSync(fileOf(area, locale), 'utf8')) as Record<string, Message>;

export function packed(key: string, message: Message | undefined): Packed {
  if (typeof message === 'string') return message;
  const [{ declarations, selectors, match }] = message ?? [{ declarations: [], selectors: [], match: {} }];
  const counted = declarations.map((one) => /^local (\w+) = (\w+): plural$/.exec(one)).find(Boolean);
  const forms = Object.entries(match).map(([when, text]) => [when.split('=')[1] ?? '', text] as const);
  if (!counted || selectors.join() !== counted[1] || !match[`${counted[1]}=other`]) {
    throw new Error(`'${key}' has forms of a kind that build/texts.ts does not know`);
  }
  return [counted[2]!, Object.fromEntries(forms)];
}

export function texts(): Plugin {
  const areas = files.map((pattern) => basename(pattern, '.json'));
  const keysOf = (area: string) => Object.keys(read(area, project.baseLocale));
  let places = new Map<string, [area: string, place: number]>();

  return {
    name: 'picgate-texts',
    enforce: 'post',
    // While one develops, and in tests of functions, texts stand as Paraglide writes them.
    apply: 'build',
    buildStart() {
      places = new Map(
        areas.flatMap((area) => keysOf(area).map((key, at) => [key, [area, at]] as const)) as never,
      );
    },
    resolveId: (id) => (id.startsWith(AREA) ? `\0${id}` : null),
    load(id) {
      if (!id.startsWith(`\0${AREA}`)) return null;
      const [area, locale] = id.slice(AREA.length + 1).split('/') as [string, string | undefined];
      if (locale === undefined) {
        const loads = locales.map((one) => `'${one}': () => import('${AREA}${area}/${one}')`);
        const code = `import { area } from '$lib/texts.svelte';\nexport const say = area({ ${loads.join(', ')} });`;
        // Where nobody names a message of this area, nothing of it is kept.
        return { code, moduleSideEffects: false };
      }
      this.addWatchFile(fileOf(area, locale));
      const said = read(area, locale);
      return `export default ${JSON.stringify(keysOf(area).map((key) => packed(key, said[key])))}`;
    },
    transform(code, id) {
      if (!MESSAGE.test(id)) return null;
      const key = /^export const (\w+)/m.exec(code)?.[1] ?? '';
      const place = places.get(key);
      if (!place) throw new Error(`${id} is no message of any area`);
      const [area, at] = place;
      return {
        code: `import { say } from '${AREA}${area}';\nexport const ${key} = (inputs) => say(${at}, inputs);`,
        map: null,
      };
    },
  };
}
