// Short notices in one place. Failures are told in the words of `explain`, so that they read the same everywhere.
import { toast as sonner } from 'svelte-sonner';
import { asApiError, wasAborted } from '$lib/api/error';
import { explain } from './explain';

type Options = { about?: string; action?: { label: string; run: () => void }; id?: string };

const shape = ({ about, action, id }: Options) => ({
  id,
  description: about,
  action: action && { label: action.label, onClick: action.run },
});

export const toast = {
  done: (text: string, options: Options = {}) => void sonner.success(text, shape(options)),
  note: (text: string, options: Options = {}) => void sonner.info(text, shape(options)),
  warn: (text: string, options: Options = {}) => void sonner.warning(text, shape(options)),
  /** `what` says what was attempted: "没有保存". */
  failed: (what: string, cause: unknown, options: Options = {}) => {
    if (wasAborted(cause)) return;
    const error = asApiError(cause);
    // A dialog asks for the password already.
    if (error.code === 'not_signed_in') return;
    const { text, remedy } = explain(error);
    sonner.error(what, {
      ...shape({ about: [text, remedy].filter(Boolean).join(' '), ...options }),
      duration: 10_000,
    });
  },
};
