// Jobs in words, for the top bar, the cache page and the notices.
import type { Job, JobKind } from '$lib/api';
import { bytes, count } from '$lib/format';
import { m } from '$lib/messages';

const KINDS: Record<JobKind, () => string> = {
  clean_expired: () => m.job_clean_expired(),
  enforce_cap: () => m.job_enforce_cap(),
  forget_metadata: () => m.job_forget_metadata(),
  clear_local: () => m.job_clear_local(),
  upload_pending: () => m.job_upload_pending(),
  retry_failed: () => m.job_retry_failed(),
  check_files: () => m.job_check_files(),
  make_thumbnails: () => m.job_make_thumbnails(),
  import: () => m.job_import(),
};

/** Jobs whose bytes are room that was made. */
const FREES: ReadonlySet<JobKind> = new Set(['clean_expired', 'enforce_cap', 'clear_local']);

export const jobTitle = (job: Pick<Job, 'kind'>) => KINDS[job.kind]();

/** "12 / 48"; before it is known how many there are, that it goes on. */
export const jobProgress = (job: Job) =>
  job.total > 0 ? m.job_progress({ done: count(job.done), total: count(job.total) }) : m.job_counting();

/** How it ended. */
export function jobEnd(job: Job): string {
  if (job.state === 'cancelled') return m.job_cancelled({ done: count(job.done) });
  if (job.state === 'failed') return job.message ?? m.job_failed();
  if (job.failed > 0 && job.kind === 'check_files')
    return m.job_check_found({ done: count(job.done), failed: count(job.failed) });
  if (job.failed > 0) return m.job_done_with_failures({ done: count(job.done), failed: count(job.failed) });
  if (job.done === 0) return m.job_done_nothing();
  return job.bytes > 0 && FREES.has(job.kind)
    ? m.job_done_freed({ done: count(job.done), size: bytes(job.bytes) })
    : m.job_done({ done: count(job.done) });
}
