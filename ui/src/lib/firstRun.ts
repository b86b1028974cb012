// How far the first run has come in this browser, until it is over: whoever comes back goes on where they stopped.
import { recall, remember } from './storage';

const KEY = 'setup.step';

export const firstRun = {
  at: (step: 2 | 3) => remember(KEY, String(step)),
  end: () => remember(KEY, null),
  /** Where it goes on, if it does. */
  get path(): string | null {
    const step = recall(KEY);
    return step === '2' || step === '3' ? `/setup?step=${step}` : null;
  },
};
