// Whoever changes the bucket while pictures are in the present one alone is asked: they would not be found any more.
import { count } from '$lib/format';
import { m } from '$lib/messages';
import { confirm } from '$lib/ui/confirm.svelte';

/** Whether it is meant. */
export function mayLeave(images: number): Promise<boolean> {
  return confirm({
    title: m.bucket_leave_title({ n: images, count: count(images) }),
    body: m.bucket_leave_body(),
    facts: [m.bucket_leave_first(), m.bucket_leave_forgotten()],
    verb: m.bucket_leave_verb(),
    cancel: m.bucket_leave_cancel(),
    danger: true,
  });
}
