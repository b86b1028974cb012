// The bucket in words: how it is, why it cannot be used, and the steps of trying it.
import type { Bucket, BucketTest } from '$lib/api';
import { m } from '$lib/messages';

type Step = BucketTest['steps'][number];
type Tone = 'ok' | 'plain' | 'bad';

const STATES: Record<Bucket['state'], [Tone, () => string]> = {
  ok: ['ok', () => m.bucket_state_ok()],
  unknown: ['plain', () => m.bucket_state_unknown()],
  paused: ['bad', () => m.bucket_state_paused()],
  off: ['plain', () => m.bucket_state_off()],
};
export const bucketState = (state: Bucket['state']) => STATES[state][1]();
export const bucketTone = (state: Bucket['state']) => STATES[state][0];

const REASONS: Record<string, () => string> = {
  unreachable: () => m.bucket_e_unreachable(),
  wrong_key: () => m.bucket_e_wrong_key(),
  wrong_secret: () => m.bucket_e_wrong_secret(),
  no_bucket: () => m.bucket_e_no_bucket(),
  forbidden: () => m.bucket_e_forbidden(),
  clock_skew: () => m.bucket_e_clock_skew(),
  quota: () => m.bucket_e_quota(),
  tls: () => m.bucket_e_tls(),
  timeout: () => m.bucket_e_timeout(),
  bucket_busy: () => m.bucket_e_busy(),
  wrong_bytes: () => m.bucket_e_wrong_bytes(),
  not_configured: () => m.bucket_e_not_configured(),
};
/** Why it cannot be used. */
export const bucketReason = (code: string | null) =>
  REASONS[code ?? '']?.() ?? m.bucket_e_other({ code: code ?? '?' });

/** Each step when it went well, and when it did not. */
const STEPS: Record<Step['step'], [() => string, () => string]> = {
  settings: [m.bucket_step_settings, m.bucket_step_settings_failed],
  reach: [m.bucket_step_reach, m.bucket_step_reach_failed],
  write: [m.bucket_step_write, m.bucket_step_write_failed],
  read: [m.bucket_step_read, m.bucket_step_read_failed],
  delete: [m.bucket_step_delete, m.bucket_step_delete_failed],
};
export const bucketStep = ({ step, ok }: Pick<Step, 'step' | 'ok'>) => STEPS[step][ok ? 0 : 1]();
