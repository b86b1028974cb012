// What each action of the cache page is called, what it would do now, why it may not, and what is asked before it runs.
import { api, asApiError, call, live, type Cache, type CacheAction, type JobKind } from '$lib/api';
import { bytes, count } from '$lib/format';
import { m } from '$lib/messages';
import { withPassword } from '$lib/domain/password/question.svelte';
import { confirm, type Question } from '$lib/ui/confirm.svelte';
import { toast } from '$lib/ui/toast';

export type ActionKind = keyof Cache['actions'];
type Words = { go: () => string; about: () => string; does: (action: CacheAction) => string };

const numbers = ({ count: n, bytes: size }: { count: number; bytes: number }) => ({
  n,
  count: count(n),
  size: bytes(size),
});
const frees = (action: CacheAction) => m.cache_does_free(numbers(action));
const uploads = (action: CacheAction) => m.cache_does_upload(numbers(action));

export const WORDS: Record<ActionKind, Words> = {
  clean_expired: { go: () => m.cache_go_clean(), about: () => m.cache_a_clean_about(), does: frees },
  enforce_cap: { go: () => m.cache_go_cap(), about: () => m.cache_a_cap_about(), does: frees },
  clear_local: { go: () => m.cache_go_clear(), about: () => m.cache_a_clear_about(), does: frees },
  upload_pending: { go: () => m.cache_go_upload(), about: () => m.cache_a_upload_about(), does: uploads },
  retry_failed: { go: () => m.cache_go_retry(), about: () => m.cache_a_retry_about(), does: uploads },
  forget_metadata: {
    go: () => m.cache_go_forget(),
    about: () => m.cache_a_forget_about(),
    does: (action) => m.cache_does_forget(numbers(action)),
  },
};

const OFF: Partial<Record<ActionKind, () => string>> = {
  clean_expired: () => m.cache_no_off_clean(),
  enforce_cap: () => m.cache_no_off_cap(),
  forget_metadata: () => m.cache_no_off_forget(),
};

/** Why it can do nothing now. */
export function hindrance(kind: ActionKind, action: CacheAction, cache: Cache): string | null {
  switch (action.reason) {
    case null:
      return null;
    case 'nothing':
      return m.cache_no_nothing();
    case 'off':
      return OFF[kind]?.() ?? m.cache_no_nothing();
    case 'no_bucket':
      return m.cache_no_bucket();
    case 'bucket_paused':
      return cache.bucket.state === 'unknown' ? m.cache_no_unknown() : m.cache_no_paused();
    case 'clock':
      return m.cache_no_clock();
  }
}

/** Begins a job; its progress comes by the live stream. */
export async function start(kind: JobKind): Promise<void> {
  try {
    live.noteJob(await call(api.POST('/jobs', { body: { kind } })));
  } catch (cause) {
    toast.failed(m.cache_start_failed(), cause);
  }
}

/** Ends a job early; `false` if it had ended by itself. */
export async function cancel(id: string): Promise<void> {
  try {
    await call(api.DELETE('/jobs/{id}', { params: { path: { id } } }));
  } catch (cause) {
    if (asApiError(cause).code !== 'not_found') toast.failed(m.job_cancel_failed(), cause);
  }
}

/** What is asked before an action that takes something away; nothing for the others. */
function question(
  kind: ActionKind,
  cache: Cache,
  rules: { lastCopies: boolean; objects: boolean },
): Question | null {
  const action = cache.actions[kind];
  if (kind === 'clear_local') {
    return {
      title: m.cache_clear_title(),
      body: m.cache_clear_body(numbers(action)),
      facts: cache.last_copies.count > 0 ? [m.cache_clear_held(numbers(cache.last_copies))] : [],
      verb: m.cache_clear_verb(numbers(action)),
    };
  }
  if (kind === 'forget_metadata') {
    return {
      title: m.cache_forget_title(numbers(action)),
      body: rules.objects ? m.cache_forget_body_objects() : m.cache_forget_body(),
      verb: m.cache_forget_verb(numbers(action)),
      danger: true,
    };
  }
  if (kind === 'enforce_cap' && rules.lastCopies) {
    return {
      title: m.cache_capnow_title(),
      body: m.cache_capnow_body(numbers(action)),
      verb: m.cache_clear_verb(numbers(action)),
      danger: true,
    };
  }
  return null;
}

export async function act(
  kind: ActionKind,
  cache: Cache,
  rules: { lastCopies: boolean; objects: boolean },
): Promise<void> {
  const asked = question(kind, cache, rules);
  if (asked === null || (await confirm(asked))) await start(kind);
}

/** Clears everything, also what exists nowhere else: asked a second time, with a tick and the password. */
export async function clearLastCopies(cache: Cache): Promise<void> {
  const lost = numbers(cache.last_copies);
  const question = {
    title: m.cache_last_title(lost),
    facts: [m.cache_last_body(lost), m.cache_last_upload()],
    tick: m.cache_last_tick(lost),
    verb: m.cache_last_verb(lost),
    danger: true,
  };
  const job = await withPassword(question, (password) =>
    call(api.POST('/jobs', { body: { kind: 'clear_local', last_copies: true, password } })),
  );
  if (job) live.noteJob(job);
}
