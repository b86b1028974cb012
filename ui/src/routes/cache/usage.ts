// How full the cache is, and what that means.

export type Fill = {
  /** Of the cap; may be more than 1. 0 without a cap. */
  share: number;
  left: number;
  over: number;
  tone: 'ok' | 'warn' | 'bad';
};

const WARN = 0.8;
const BAD = 0.95;

export function fill(used: number, cap: number): Fill {
  const share = cap > 0 ? used / cap : 0;
  return {
    share,
    left: Math.max(0, cap - used),
    over: cap > 0 ? Math.max(0, used - cap) : 0,
    tone: share > BAD ? 'bad' : share > WARN ? 'warn' : 'ok',
  };
}
