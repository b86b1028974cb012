// How large a picture is shown and where: fitted to its place until one zooms, then around the point one zooms at.

type Size = { width: number; height: number };

const MOST = 8;

const clamp = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));

export class Zoom {
  stage = $state.raw<Size>({ width: 0, height: 0 });
  image = $state.raw<Size>({ width: 1, height: 1 });
  /** Pixels of the screen for a pixel of the picture; null: fitted. */
  #scale = $state<number | null>(null);
  x = $state(0);
  y = $state(0);

  readonly fit = $derived(
    Math.min(1, this.stage.width / this.image.width, this.stage.height / this.image.height) || 0,
  );
  readonly scale = $derived(this.#scale ?? this.fit);
  readonly zoomed = $derived(this.#scale !== null);
  readonly most = $derived(Math.max(MOST, this.fit * MOST));

  reset = (): void => {
    this.#scale = null;
    this.x = this.y = 0;
  };

  /** By a factor, around a point given from the middle of the stage. */
  by(factor: number, px = 0, py = 0): void {
    const before = this.scale;
    const after = clamp(before * factor, this.fit, this.most);
    if (after <= this.fit * 1.001) {
      this.reset();
      return;
    }
    this.#scale = after;
    this.#place(px - ((px - this.x) * after) / before, py - ((py - this.y) * after) / before);
  }

  /** Between fitted and pixel for pixel; a picture that fits as it is doubles. */
  toggle(px: number, py: number): void {
    if (this.zoomed) this.reset();
    else this.by(this.fit < 0.9 ? 1 / this.fit : 2, px, py);
  }

  pan(dx: number, dy: number): void {
    if (this.zoomed) this.#place(this.x + dx, this.y + dy);
  }

  /** The picture never leaves its place: an edge stops at the edge, and what is smaller stays in the middle. */
  #place(x: number, y: number): void {
    const spareX = Math.max(0, (this.image.width * this.scale - this.stage.width) / 2);
    const spareY = Math.max(0, (this.image.height * this.scale - this.stage.height) / 2);
    this.x = clamp(x, -spareX, spareX);
    this.y = clamp(y, -spareY, spareY);
  }
}
