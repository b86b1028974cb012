// Rules by which more pictures may go for good take the password: whoever finds this browser open must not have them.
import { asApiError } from '$lib/api';
import { withPassword } from '$lib/domain/password/question.svelte';
import { m } from '$lib/messages';

/** The settings that the server may ask about. */
export const LOSING: readonly string[] = [
  'evict_last_copy',
  'cache_cap_mb',
  'delete_cloud_with_metadata',
  'retention_days',
];

/**
 * What `save` answered, with the password if the server wants it; null if the person changed their mind. A dialog that
 * saves goes away `before` the question, which would open behind it.
 */
export async function saveRules<T>(
  save: (password?: string) => Promise<T>,
  before: () => void = () => {},
): Promise<T | null> {
  try {
    return await save();
  } catch (cause) {
    if (asApiError(cause).code !== 'password_needed') throw cause;
  }
  before();
  const question = {
    title: m.cache_lose_title(),
    facts: [m.cache_lose_rule(), m.cache_lose_gone()],
    verb: m.cache_lose_verb(),
    danger: true,
  };
  return withPassword(question, save);
}
