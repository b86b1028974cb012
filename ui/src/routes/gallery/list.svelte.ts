// The images that the gallery has loaded: pages after one another, kept when one leaves the page and comes back, and
// changed by what the live stream tells.
import { api, asApiError, call, wasAborted, type ApiError, type Image, type ImagePage } from '$lib/api';
import { belongs, type Request } from './query';

const PAGE = 200;

class GalleryList {
  items = $state.raw<Image[]>([]);
  /** All that fit the request, loaded or not. */
  total = $state(0);
  next = $state<string | null>(null);
  loading = $state(false);
  error = $state.raw<ApiError | null>(null);
  /** Whether it was a further page that failed, and not the beginning. */
  failedMore = $state(false);
  /** Tries the last load once more. */
  again: () => void = () => {};
  /** Whether `items` answer the request; until then those of the one before stay in sight. */
  ready = $state(false);
  /** Nothing was ever loaded: there is nothing to keep in sight. */
  blank = $state(true);
  /** New images that wait above, so that nothing moves under the eyes. */
  waiting = $state.raw<Image[]>([]);

  #request: Request = { sort: 'created', order: 'desc' };
  #key = '';
  #control: AbortController | null = null;

  /** Shows what is asked for. The same as before: stays as it is, and only the beginning is renewed. */
  open(request: Request): void {
    const key = JSON.stringify(request);
    if (key === this.#key && this.ready) {
      void this.#load(null, (page) => this.#renew(page));
      return;
    }
    this.#key = key;
    this.#request = request;
    this.ready = false;
    this.waiting = [];
    this.reload();
  }

  reload = (): void => {
    void this.#load(null, (page) => {
      this.items = page.items;
      this.next = page.next;
      this.total = page.total;
      this.ready = true;
      this.blank = false;
    });
  };

  /** The page after the last one, if there is one and nothing is on its way. */
  more = (): void => {
    if (!this.ready || this.loading || this.next === null) return;
    void this.#load(this.next, (page) => {
      const known = new Set(this.items.map((image) => image.id));
      this.items = [...this.items, ...page.items.filter((image) => !known.has(image.id))];
      this.next = page.next;
      this.total = page.total;
    });
  };

  indexOf(id: string): number {
    return this.items.findIndex((image) => image.id === id);
  }

  /** An image was saved or changed. `wait`: new ones stay above until they are called for. */
  note(image: Image, wait: boolean): void {
    if (!this.ready) return;
    const index = this.indexOf(image.id);
    if (index >= 0) {
      this.items = this.items.with(index, image);
      return;
    }
    const { sort, order } = this.#request;
    if (sort !== 'created' || order !== 'desc' || !belongs(image, this.#request)) return;
    if (this.waiting.some((other) => other.id === image.id)) return;
    this.total += 1;
    if (wait) this.waiting = [image, ...this.waiting];
    else this.items = [image, ...this.items];
  }

  /** Brings in what waits. */
  admit(): void {
    const known = new Set(this.items.map((image) => image.id));
    this.items = [...this.waiting.filter((image) => !known.has(image.id)), ...this.items];
    this.waiting = [];
  }

  remove(ids: Iterable<string>): void {
    const gone = new Set(ids);
    const before = this.items.length + this.waiting.length;
    this.items = this.items.filter((image) => !gone.has(image.id));
    this.waiting = this.waiting.filter((image) => !gone.has(image.id));
    this.total = Math.max(0, this.total - (before - this.items.length - this.waiting.length));
  }

  /** A new first page over what is loaded: where it meets the old list, the rest of that goes on. */
  #renew(page: ImagePage): void {
    const end = page.items.at(-1);
    const meets = end && page.next !== null ? this.indexOf(end.id) : -1;
    this.total = page.total;
    this.waiting = [];
    if (meets < 0) {
      this.items = page.items;
      this.next = page.next;
      return;
    }
    const known = new Set(page.items.map((image) => image.id));
    const rest = this.items.slice(meets + 1).filter((image) => !known.has(image.id));
    this.items = [...page.items, ...rest];
    if (rest.length === 0) this.next = page.next;
  }

  async #load(after: string | null, take: (page: ImagePage) => void): Promise<void> {
    this.#control?.abort();
    const control = new AbortController();
    this.#control = control;
    this.again = () => void this.#load(after, take);
    this.loading = true;
    this.error = null;
    try {
      const query = { ...this.#request, limit: PAGE, after: after ?? undefined };
      const page = await call(api.GET('/images', { params: { query }, signal: control.signal }));
      if (this.#control !== control) return;
      take(page);
    } catch (cause) {
      if (this.#control !== control || wasAborted(cause)) return;
      this.error = asApiError(cause);
      this.failedMore = after !== null;
    }
    this.loading = false;
  }
}

export const gallery = new GalleryList();
