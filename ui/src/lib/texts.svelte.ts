// The texts that are in use, in the languages that are: packs of one area and one language, loaded when a page needs
// them. A text whose pack is on its way is empty until it is there. Paraglide types the messages; build/texts.ts turns each
// into `say(place, inputs)` of its area.
import { getLocale, type Locale } from './paraglide/runtime.js';

type Inputs = Record<string, unknown>;
/** A text, or the input that counts and a text for each form that a number takes. */
export type Text = string | [counted: string, forms: Record<string, string>];
type Load = () => Promise<{ default: Text[] }>;

const fill = (text: string, inputs: Inputs) =>
  text.replace(/\{(\w+)\}/g, (_, name: string) => String(inputs[name]));

export function filled(text: Text, inputs: Inputs, locale: Locale): string {
  if (typeof text === 'string') return fill(text, inputs);
  const [counted, forms] = text;
  const form = new Intl.PluralRules(locale).select(Number(inputs[counted]));
  return fill(forms[form] ?? forms.other ?? '', inputs);
}

class Area {
  #loads: Record<Locale, Load>;
  #packs = $state.raw<Partial<Record<Locale, Text[]>>>({});
  #coming = new Map<Locale, Promise<void>>();

  constructor(loads: Record<Locale, Load>) {
    this.#loads = loads;
  }

  say = (place: number, inputs: Inputs = {}): string => {
    const locale = getLocale();
    const text = this.#packs[locale]?.[place];
    if (text !== undefined) return filled(text, inputs, locale);
    // Nobody waited for it. What failed now is asked for again by the next text.
    this.need(locale).catch(() => {});
    return '';
  };

  need(locale: Locale): Promise<void> {
    let coming = this.#coming.get(locale);
    if (!coming) {
      coming = this.#load(locale);
      this.#coming.set(locale, coming);
      coming.catch(() => this.#coming.delete(locale));
    }
    return coming;
  }

  async #load(locale: Locale): Promise<void> {
    const pack = (await this.#loads[locale]()).default;
    this.#packs = { ...this.#packs, [locale]: pack };
  }
}

const areas: Area[] = [];

/** Called once for each area, by the code that names one of its messages. */
export function area(loads: Record<Locale, Load>): Area['say'] {
  const made = new Area(loads);
  areas.push(made);
  return made.say;
}

/** Everything that has been loaded by now can be read in this language. */
export async function textsIn(locale: Locale): Promise<void> {
  await Promise.all(areas.map((one) => one.need(locale)));
}

/** Loads code together with its texts: for what a page loads later. */
export async function withTexts<Loaded>(load: Promise<Loaded>): Promise<Loaded> {
  const loaded = await load;
  await textsIn(getLocale());
  return loaded;
}
