// How good a password is, as a hint while typing. What counts is what the server says.

export type Strength = { level: 0 | 1 | 2 | 3 | 4; problem: 'short' | 'common' | null };

export const SHORTEST = 8;

/** What people try first; the server knows more of them. */
const COMMON =
  /^(1234567\d*|(.)\2+|password\d*|qwert\w*|admin\d*|administrator|abc12345|abcd1234|a1234567\d?|1q2w3e4r|1qaz2wsx|iloveyou|woaini\d+|(5201314|1314520)\d*|picgate\d*)$/i;

const bytes = (text: string) => new TextEncoder().encode(text).length;

/** Level 0 is not accepted, or nothing was typed. */
export function strengthOf(password: string, username: string): Strength {
  if (bytes(password) < SHORTEST) return { level: 0, problem: password ? 'short' : null };
  if (COMMON.test(password) || password.toLowerCase() === username.trim().toLowerCase()) {
    return { level: 0, problem: 'common' };
  }
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^a-zA-Z\d]/].filter((kind) => kind.test(password)).length;
  const different = new Set(password).size;
  const score = bytes(password) + kinds * 2 + Math.min(different, 12) / 2;
  if (score < 17 || different < 5) return { level: 1, problem: null };
  if (score < 21) return { level: 2, problem: null };
  return { level: score < 27 ? 3 : 4, problem: null };
}
