// A selection as one ZIP file: the server notes the list, the browser fetches the file and saves it as it comes.
import { api, call, type Image } from '$lib/api';
import { bytes, count } from '$lib/format';
import { m } from '$lib/messages';
import { toast } from '$lib/ui/toast';

/** The server takes so many. */
const MOST = 1000;

export async function downloadZip(images: Image[]): Promise<void> {
  if (images.length > MOST) {
    toast.warn(m.gallery_zip_many({ most: count(MOST) }));
    return;
  }
  try {
    const body = { ids: images.map((image) => image.id) };
    const archive = await call(api.POST('/images/archive', { body }));
    const link = document.createElement('a');
    link.href = archive.url;
    link.download = '';
    link.click();
    toast.done(m.gallery_zip_begun({ n: archive.count, size: bytes(archive.bytes) }));
  } catch (cause) {
    toast.failed(m.gallery_zip_failed(), cause);
  }
}
