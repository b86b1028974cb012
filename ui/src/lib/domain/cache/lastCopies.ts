// Whoever sets a cap without a bucket is asked right there: may the oldest pictures go although no copy exists elsewhere?
import { api, call } from '$lib/api';
import { bytes } from '$lib/format';
import { m } from '$lib/messages';
import { confirm } from '$lib/ui/confirm.svelte';

export const MEGABYTE = 1024 * 1024;

/** Whether they may go. Asks only where it makes a difference: a cap, no bucket, and not allowed yet. */
export async function askAboutLastCopies(capMegabytes: number): Promise<boolean> {
  const cache = await call(api.GET('/cache'));
  if (capMegabytes <= 0 || cache.bucket.state !== 'off') return false;
  const cap = capMegabytes * MEGABYTE;
  const over = cache.used_bytes - cap;
  return confirm({
    title: m.cache_ask_title(),
    body: m.cache_ask_body({ cap: bytes(cap) }),
    facts: over > 0 ? [m.cache_ask_now({ over: bytes(over) })] : [],
    verb: m.cache_ask_yes(),
    cancel: m.cache_ask_no(),
    danger: true,
  });
}
