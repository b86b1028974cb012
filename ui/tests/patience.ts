// How long a test waits for anything; far beyond what is needed, so that a slow machine is no failure.
export const PATIENCE = { timeout: 30_000 };
