// The only door to the server: typed paths, our header, one deadline, one kind of error, and one place that notices
// that the session is over. Use: `const stats = await call(api.GET('/stats'))`.
import createClient from 'openapi-fetch';
import { ApiError, asApiError, fromAnswer, wasAborted } from './error';
import { i18n } from '$lib/i18n.svelte';
import type { paths } from './schema';

/** Where the admin API lives. */
export const API = '/admin/api';

/** A drawing may take minutes; everything else answers soon or not at all. */
const DEADLINE_MS = 60_000;
const DRAWING_DEADLINE_MS = 20 * 60_000;

let signedOut: () => void = () => {};

/** Tells who wants to know that the server no longer knows our session. */
export function whenSignedOut(listener: () => void): void {
  signedOut = listener;
}

async function withDeadline(request: Request): Promise<Response> {
  const deadline = request.url.endsWith('/draw-test') ? DRAWING_DEADLINE_MS : DEADLINE_MS;
  const control = new AbortController();
  const give = () => control.abort();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    give();
  }, deadline);
  request.signal.addEventListener('abort', give);
  if (request.signal.aborted) give();
  try {
    return await fetch(request, { signal: control.signal });
  } catch (cause) {
    if (late) throw new ApiError('timeout', 'no answer in time', 0);
    if (wasAborted(cause)) throw cause;
    throw asApiError(cause);
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener('abort', give);
  }
}

export const api = createClient<paths>({ baseUrl: API, credentials: 'same-origin', fetch: withDeadline });

api.use({
  onRequest({ request }) {
    request.headers.set('Accept-Language', i18n.locale);
    if (request.method !== 'GET') request.headers.set('X-PicGate', '1');
    return request;
  },
});

/** Why a picture does not open: an `<img>` does not tell. Null: it can be read, so it is the browser that cannot show it. */
export async function whyNoPicture(id: string, signal: AbortSignal): Promise<ApiError | null> {
  try {
    const url = new URL(`/images/${encodeURIComponent(id)}`, location.origin);
    const response = await withDeadline(new Request(url, { signal, cache: 'no-store' }));
    if (response.ok) {
      await response.body?.cancel();
      return null;
    }
    return fromAnswer(response, await response.json().catch(() => undefined));
  } catch (cause) {
    if (wasAborted(cause)) throw cause;
    return asApiError(cause);
  }
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The body of a success; anything else is thrown as an ApiError. */
export async function call<T>(answer: Promise<Answer<T>>): Promise<T> {
  let settled: Answer<T>;
  try {
    settled = await answer;
  } catch (cause) {
    if (cause instanceof ApiError || wasAborted(cause)) throw cause;
    // A success whose body is no JSON: something between us and the server answers in its place.
    throw cause instanceof SyntaxError ? new ApiError('bad_answer', cause.message, 0) : asApiError(cause);
  }
  const { data, error, response } = settled;
  if (response.ok) return data as T;
  const failure = fromAnswer(response, error);
  if (failure.code === 'not_signed_in') signedOut();
  throw failure;
}
