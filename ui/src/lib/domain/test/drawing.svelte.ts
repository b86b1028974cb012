// The test picture that is being drawn, if any. It outlives the page that began it: going elsewhere and back shows it.
import { api, asApiError, call, type ApiError, type TestDrawing } from '$lib/api';

class TestPictureState {
  /** When the running one began, in milliseconds since 1970. */
  began = $state<number | null>(null);
  drawn = $state.raw<TestDrawing | null>(null);
  error = $state.raw<ApiError | null>(null);

  get busy(): boolean {
    return this.began !== null;
  }

  draw = async (prompt = ''): Promise<void> => {
    if (this.busy) return;
    this.began = Date.now();
    this.error = null;
    this.drawn = null;
    try {
      const body = prompt.trim() ? { prompt: prompt.trim() } : {};
      this.drawn = await call(api.POST('/draw-test', { body }));
    } catch (cause) {
      this.error = asApiError(cause);
    } finally {
      this.began = null;
    }
  };
}

export const testPicture = new TestPictureState();
