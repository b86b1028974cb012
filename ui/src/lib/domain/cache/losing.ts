// Rules by which more pictures may go for good take the password, and so does another bucket: whoever finds this browser open
// must not have them.
import { asApiError } from '$lib/api';
import { withPassword, type PasswordQuestion } from '$lib/domain/password/question.svelte';
import { m } from '$lib/messages';

/** The settings that the server may ask about. */
export const LOSING: readonly string[] = [
  'evict_last_copy',
  'cache_cap_mb',
  'delete_cloud_with_metadata',
  'retention_days',
];

const rules = (further: string[] = []): PasswordQuestion => ({
  title: m.cache_lose_title(),
  facts: [m.cache_lose_rule(), m.cache_lose_gone(), ...further],
  verb: m.cache_lose_verb(),
  danger: true,
});

/** What is asked before copies go to a bucket that was not used before, perhaps `withRules`. */
export function anotherBucket(withRules: boolean): PasswordQuestion {
  const facts = [m.bucket_use_all(), m.bucket_use_yours()];
  return withRules ? rules(facts) : { title: m.bucket_use_title(), facts, verb: m.bucket_use_verb() };
}

/** What is asked before links lead to a server where none led. */
export const otherLinks = (): PasswordQuestion => ({
  title: m.bucket_lead_title(),
  facts: [m.bucket_lead_yours()],
  verb: m.bucket_lead_verb(),
});

/**
 * What `save` answered, with the password if the server wants it; null if the person changed their mind. A dialog that
 * saves goes away `before` the question, which would open behind it.
 */
export async function saveRules<T>(
  save: (password?: string) => Promise<T>,
  before: () => void = () => {},
  question: () => PasswordQuestion = () => rules(),
): Promise<T | null> {
  try {
    return await save();
  } catch (cause) {
    if (asApiError(cause).code !== 'password_needed') throw cause;
  }
  before();
  return withPassword(question(), save);
}
