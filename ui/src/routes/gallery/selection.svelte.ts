// Which images are chosen. A range runs from where one last chose to where one chooses with Shift.
import type { Image } from '$lib/api';

class Selection {
  #chosen = $state.raw<Map<string, Image>>(new Map());
  #anchor: string | null = null;

  readonly count = $derived(this.#chosen.size);
  readonly bytes = $derived.by(() => {
    let sum = 0;
    for (const image of this.#chosen.values()) sum += image.bytes;
    return sum;
  });

  get images(): Image[] {
    return [...this.#chosen.values()];
  }

  has(id: string): boolean {
    return this.#chosen.has(id);
  }

  toggle(image: Image): void {
    const chosen = new Map(this.#chosen);
    if (!chosen.delete(image.id)) chosen.set(image.id, image);
    this.#chosen = chosen;
    this.#anchor = image.id;
  }

  /** Everything between the anchor and `image`, in the order of `items`. */
  extend(items: Image[], image: Image): void {
    const to = items.findIndex((other) => other.id === image.id);
    const from = items.findIndex((other) => other.id === this.#anchor);
    if (from < 0 || to < 0) {
      if (!this.has(image.id)) this.toggle(image);
      return;
    }
    this.add(items.slice(Math.min(from, to), Math.max(from, to) + 1));
  }

  /** Where a range begins that is drawn with the keyboard. */
  anchorAt(image: Image): void {
    if (this.#anchor === null || this.count === 0) this.#anchor = image.id;
  }

  add(images: Image[]): void {
    const chosen = new Map(this.#chosen);
    for (const image of images) chosen.set(image.id, image);
    this.#chosen = chosen;
  }

  /** An image has changed: what is asked before a deletion goes by how it is now. */
  note(image: Image): void {
    if (this.has(image.id)) this.#chosen = new Map(this.#chosen).set(image.id, image);
  }

  remove(ids: Iterable<string>): void {
    const chosen = new Map(this.#chosen);
    for (const id of ids) chosen.delete(id);
    if (chosen.size !== this.#chosen.size) this.#chosen = chosen;
  }

  clear(): void {
    this.#chosen = new Map();
    this.#anchor = null;
  }
}

export const selection = new Selection();
