// Short notices in one place. Failures are told in the words of `explain`, so that they read the same everywhere.
import { asApiError, wasAborted } from '$lib/api/error';
import { explain } from './explain';
import { toasts, type Tone } from './toasts.svelte';

type Options = { about?: string; action?: { label: string; run: () => void }; id?: string };

const SHORT_MS = 5_000;
/** A failure is read, not glanced at. */
const LONG_MS = 10_000;

const show = (tone: Tone, text: string, { about, action, id }: Options, lastsMs = SHORT_MS) =>
  toasts.show({ tone, text, about, action }, lastsMs, id);

export const toast = {
  done: (text: string, options: Options = {}) => show('ok', text, options),
  note: (text: string, options: Options = {}) => show('info', text, options),
  warn: (text: string, options: Options = {}) => show('warn', text, options, LONG_MS),
  /** `what` says what was attempted: "没有保存". */
  failed: (what: string, cause: unknown, options: Options = {}) => {
    if (wasAborted(cause)) return;
    const error = asApiError(cause);
    // A dialog asks for the password already.
    if (error.code === 'not_signed_in') return;
    const { text, remedy } = explain(error);
    show('bad', what, { about: [text, remedy].filter(Boolean).join(' '), ...options }, LONG_MS);
  },
};
