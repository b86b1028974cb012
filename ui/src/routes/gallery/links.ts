// Links of many images at once. The server knows under which address clients reach it: it is asked once, for one image,
// and the links of the others differ only in the id.
import { api, call, type Image } from '$lib/api';

/** The same shortening that the server applies to the text of a link. */
const alt = (image: Image) =>
  [...(image.prompt ?? 'image')]
    .slice(0, 60)
    .join('')
    .replace(/[[\]"<>&\r\n]/g, '');

export async function linksOf(images: Image[], shape: 'url' | 'markdown'): Promise<string> {
  const first = images[0];
  if (!first) return '';
  const { links } = await call(api.GET('/images/{id}', { params: { path: { id: first.id } } }));
  return images
    .map((image) => {
      const url = links.url.replace(first.id, image.id);
      return shape === 'url' ? url : `![${alt(image)}](${url})`;
    })
    .join('\n');
}
