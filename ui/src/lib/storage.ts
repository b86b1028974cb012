// What this browser remembers. Storage may be forbidden or full: then nothing is remembered and nothing breaks.

export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`picgate.${key}`);
    else localStorage.setItem(`picgate.${key}`, value);
  } catch {
    // See above.
  }
}

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`picgate.${key}`);
  } catch {
    return null;
  }
}

/** The same, but only as long as this tab lives. */
export function rememberInTab(key: string, value: string): void {
  try {
    sessionStorage.setItem(`picgate.${key}`, value);
  } catch {
    // See above.
  }
}

export function recallInTab(key: string): string | null {
  try {
    return sessionStorage.getItem(`picgate.${key}`);
  } catch {
    return null;
  }
}
