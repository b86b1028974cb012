// A failure in words: what happened, and what to do. By code; the server's text only for codes that nobody knows here.
import type { ApiError } from '$lib/api/error';
import { m } from '$lib/messages';

export type Explanation = { text: string; remedy: string | null };

const KNOWN: Record<string, () => Explanation> = {
  unreachable: () => ({ text: m.err_unreachable(), remedy: m.err_unreachable_do() }),
  timeout: () => ({ text: m.err_timeout(), remedy: m.err_timeout_do() }),
  bad_answer: () => ({ text: m.err_bad_answer(), remedy: m.err_bad_answer_do() }),
  not_signed_in: () => ({ text: m.err_not_signed_in(), remedy: null }),
  wrong_ticket: () => ({ text: m.err_wrong_ticket(), remedy: m.err_wrong_ticket_do() }),
  already_set_up: () => ({ text: m.err_already_set_up(), remedy: m.err_already_set_up_do() }),
  weak_password: () => ({ text: m.err_weak_password(), remedy: null }),
  wrong_credentials: () => ({ text: m.err_wrong_credentials(), remedy: null }),
  password_needed: () => ({ text: m.err_password_needed(), remedy: null }),
  invalid_settings: () => ({ text: m.err_invalid_settings(), remedy: null }),
  images_left_behind: () => ({ text: m.err_images_left_behind(), remedy: m.err_images_left_behind_do() }),
  invalid_upstream: () => ({ text: m.err_invalid_upstream(), remedy: null }),
  invalid_request: () => ({ text: m.err_invalid_request(), remedy: null }),
  bucket_unavailable: () => ({ text: m.err_bucket_unavailable(), remedy: null }),
  not_local: () => ({ text: m.err_not_local(), remedy: null }),
  gateway_paused: () => ({ text: m.err_gateway_paused(), remedy: m.err_gateway_paused_do() }),
  no_shell: () => ({ text: m.err_no_shell(), remedy: null }),
  no_keychain: () => ({ text: m.desktop_keychain_none(), remedy: null }),
  listening_late: () => ({ text: m.err_listening_late(), remedy: null }),
  not_found: () => ({ text: m.err_not_found(), remedy: null }),
  job_running: () => ({ text: m.err_already_running(), remedy: null }),
  no_copy: () => ({ text: m.err_no_copy(), remedy: null }),
  too_many_downloads: () => ({ text: m.err_too_many_downloads(), remedy: null }),
  database_failed: () => ({ text: m.err_database_failed(), remedy: m.err_database_failed_do() }),
  storage_failed: () => ({ text: m.err_storage_failed(), remedy: m.err_storage_failed_do() }),
  no_bucket: () => ({ text: m.err_no_bucket(), remedy: m.err_no_bucket_do() }),
  last_copy: () => ({ text: m.err_last_copy(), remedy: null }),
  quota_exhausted: () => ({ text: m.err_quota_exhausted(), remedy: m.err_quota_exhausted_do() }),
  rate_limited: () => ({ text: m.err_rate_limited(), remedy: m.err_rate_limited_do() }),
  insufficient_balance: () => ({
    text: m.err_insufficient_balance(),
    remedy: m.err_insufficient_balance_do(),
  }),
  upstream_auth: () => ({ text: m.err_upstream_auth(), remedy: m.err_upstream_auth_do() }),
  content_blocked: () => ({ text: m.err_content_blocked(), remedy: m.err_content_blocked_do() }),
  no_image: () => ({ text: m.err_no_image(), remedy: m.err_no_image_do() }),
  bad_parameter: () => ({ text: m.err_bad_parameter(), remedy: m.err_bad_parameter_do() }),
  too_large: () => ({ text: m.err_too_large(), remedy: null }),
  upstream_timeout: () => ({ text: m.err_upstream_timeout(), remedy: m.err_upstream_timeout_do() }),
  upstream_error: () => ({ text: m.err_upstream_error(), remedy: m.err_upstream_error_do() }),
  upstream_unreachable: () => ({
    text: m.err_upstream_unreachable(),
    remedy: m.err_upstream_unreachable_do(),
  }),
  bad_username: () => ({ text: m.err_bad_username(), remedy: null }),
  import_failed: () => ({ text: m.err_import_failed(), remedy: m.err_import_failed_do() }),
  internal_error: () => ({ text: m.err_internal_error(), remedy: m.err_internal_error_do() }),
  upstream_failed: () => ({ text: m.err_upstream_failed(), remedy: m.err_upstream_failed_do() }),
  shell_failed: () => ({ text: m.err_shell_failed(), remedy: m.err_shell_failed_do() }),
  foreign_origin: () => ({ text: m.err_foreign_origin(), remedy: m.err_foreign_origin_do() }),
  not_set_up: () => ({ text: m.err_not_set_up(), remedy: m.err_not_set_up_do() }),
  bad_upstream_answer: () => ({ text: m.err_bad_upstream_answer(), remedy: m.err_bad_upstream_answer_do() }),
};

export function explain(error: ApiError): Explanation {
  if (error.code === 'too_many_attempts') {
    return { text: m.err_too_many_attempts({ seconds: error.retryAfter ?? 60 }), remedy: null };
  }
  const known = KNOWN[error.code]?.();
  if (known) return known;
  return { text: m.err_other({ message: error.message, code: error.code }), remedy: null };
}

/** The words for a code alone, as lists of results carry them. */
export function explainCode(code: string, message = ''): Explanation {
  const known = KNOWN[code]?.();
  return known ?? { text: message || m.err_other({ message: code, code }), remedy: null };
}
