// Deleting images: asks first, deletes in portions that the server takes, and says what was not deleted.
import { api, call, type Image } from '$lib/api';
import { bytes } from '$lib/format';
import { m } from '$lib/messages';
import { confirm } from '$lib/ui/confirm.svelte';
import { toast } from '$lib/ui/toast';
import { gallery } from './list.svelte';
import { selection } from './selection.svelte';

const PORTION = 1000;

export type Failure = { id: string; code: string };

/** Null: the person said no. Else what could not be deleted. */
export async function removeImages(
  images: Image[],
  ondelete: () => void = () => {},
): Promise<Failure[] | null> {
  const n = images.length;
  if (n === 0) return null;
  const size = bytes(images.reduce((sum, image) => sum + image.bytes, 0));
  const yes = await confirm({
    title: m.gallery_delete_title({ n }),
    body: m.gallery_delete_body({ n, size }),
    facts: [m.gallery_delete_copies(), m.gallery_delete_links()],
    verb: m.gallery_delete_verb({ n }),
    danger: true,
  });
  if (!yes) return null;
  ondelete();

  const failures: Failure[] = [];
  let deleted = 0;
  try {
    for (let from = 0; from < n; from += PORTION) {
      const ids = images.slice(from, from + PORTION).map((image) => image.id);
      const { items } = await call(
        api.POST('/images/delete', { body: { ids, what: 'all', last_copies: true } }),
      );
      const gone = items.filter((item) => item.ok || item.code === 'not_found').map((item) => item.id);
      gallery.remove(gone);
      selection.remove(gone);
      deleted += items.filter((item) => item.ok).length;
      for (const item of items) if (!item.ok) failures.push({ id: item.id, code: item.code ?? '' });
    }
  } catch (cause) {
    const rest = n - deleted - failures.length;
    toast.failed(m.gallery_delete_failed({ n: rest }), cause);
    return failures;
  }
  if (deleted > 0) toast.done(m.gallery_deleted({ n: deleted }));
  return failures;
}
