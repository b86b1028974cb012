// What a setting takes: checked here before it is sent, and the server's refusal in the words of the page's language.
import type { FieldProblem, Setting, Shape } from '$lib/api';
import { m } from '$lib/messages';

export type { Setting, Shape };

const bytesOf = (text: string) => new TextEncoder().encode(text).length;
const HOST = /^(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?$/;

function isBaseUrl(text: string): boolean {
  if (!/^https?:\/\//i.test(text) || /[?#\s]/.test(text)) return false;
  try {
    const url = new URL(text);
    return url.host !== '' && url.username === '' && url.password === '';
  } catch {
    return false;
  }
}

/** What is wrong with a value, in words; `null` if nothing is known to be. The server has the last word. */
export function problemOf(shape: Shape, raw: string): string | null {
  const value = raw.trim();
  switch (shape.kind) {
    case 'secret':
      if (/[^\x21-\x7e]/.test(value)) return m.settings_wrong_secret();
      return value.length > shape.max ? m.settings_wrong_long({ max: shape.max }) : null;
    case 'text':
    case 'name':
      if (shape.kind === 'name' && value === '') return m.settings_wrong_empty();
      if (shape.kind === 'name' && /[\r\n\t]/.test(value)) return m.settings_wrong_line();
      return bytesOf(value) > shape.max ? m.settings_wrong_long({ max: shape.max }) : null;
    case 'number': {
      const fits = /^\d+$/.test(value) && Number(value) >= shape.min && Number(value) <= shape.max;
      return fits ? null : m.settings_wrong_number({ min: shape.min, max: shape.max });
    }
    case 'base_url':
      return value === '' || isBaseUrl(value) ? null : m.settings_wrong_url();
    case 'hosts':
      return value.split(/[,;\s]+/).every((name) => name === '' || HOST.test(name))
        ? null
        : m.settings_wrong_hosts();
    case 'word':
      return shape.words.includes(value) ? null : m.settings_wrong_word();
    case 'aliases': {
      const lines = raw.split('\n');
      const bad = lines.findIndex((line) => line.trim() && !/^\s*#/.test(line) && !/[:：]/.test(line));
      return bad < 0 ? null : m.settings_wrong_colon({ line: bad + 1 });
    }
    default:
      return null;
  }
}

/** Why the server refused a value; its own words only where they name the line and the part that is wrong. */
export function refusalOf(shape: Shape, raw: string, problem: FieldProblem): string {
  if (problem.code === 'locked') return m.settings_wrong_locked();
  if (problem.code !== 'invalid') return m.settings_wrong_other();
  if (shape.kind === 'aliases') return m.settings_wrong_aliases({ detail: problem.message });
  if (shape.kind === 'base_url') return m.settings_wrong_url();
  if (shape.kind === 'hosts') return m.settings_wrong_hosts();
  return problemOf(shape, raw) ?? m.settings_wrong_other();
}

/** Values that say the same: blanks at the ends are not kept. */
export const same = (a: string, b: string) => a.trim() === b.trim();
