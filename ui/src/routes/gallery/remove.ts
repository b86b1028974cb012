// Deleting images, or one of their copies: asks first (for the password too, where many are lost for ever), deletes in
// portions that the server takes, and says of each what was not deleted.
import { api, asApiError, call, type DeletedItem, type DeleteWhat, type Image } from '$lib/api';
import { withPassword } from '$lib/domain/password/question.svelte';
import { bytes } from '$lib/format';
import { m } from '$lib/messages';
import { confirm, type Question } from '$lib/ui/confirm.svelte';
import { toast } from '$lib/ui/toast';
import { gallery } from './list.svelte';
import { selection } from './selection.svelte';

const PORTION = 1000;

export type Failure = { id: string; code: string };
/** What was not deleted, and of what kind the attempt was. */
export type Outcome = { what: DeleteWhat; failures: Failure[] };

const sizeOf = (images: Image[]) => bytes(images.reduce((sum, image) => sum + image.bytes, 0));

/** The images that have a copy there, and those of them that have no other one. */
export function copiesOf(images: Image[], what: DeleteWhat): { there: Image[]; last: Image[] } {
  const stored = (image: Image) => image.cloud === 'stored';
  if (what === 'local') {
    const there = images.filter((image) => image.local);
    return { there, last: there.filter((image) => !stored(image)) };
  }
  if (what === 'cloud') {
    const there = images.filter((image) => image.cloud !== 'none');
    return { there, last: there.filter((image) => !image.local) };
  }
  return { there: images, last: images };
}

function cloudFact(inCloud: number, of: number): string[] {
  if (inCloud === 0) return [];
  return [of === 1 ? m.gallery_delete_cloud_one() : m.gallery_delete_cloud_too({ n: inCloud })];
}

function question(images: Image[], last: Image[], what: DeleteWhat): Question {
  const n = images.length - (what === 'all' ? 0 : last.length);
  const kept = images.filter((image) => !last.includes(image));
  const words = { n, size: sizeOf(what === 'all' ? images : kept) };
  const held = { n: last.length, size: sizeOf(last) };
  if (what === 'all') {
    const inCloud = images.filter((image) => image.cloud === 'stored').length;
    return {
      title: m.gallery_delete_title(words),
      body: m.gallery_delete_body(words),
      facts: [...cloudFact(inCloud, images.length), m.gallery_delete_copies(), m.gallery_delete_links()],
      verb: m.gallery_delete_verb(words),
      danger: true,
    };
  }
  const local = what === 'local';
  return {
    title: local ? m.gallery_local_title(words) : m.gallery_cloud_title(words),
    body: local ? m.gallery_local_body(words) : m.gallery_cloud_body(words),
    facts: last.length > 0 ? [m.gallery_last_stay(held)] : [],
    verb: local ? m.gallery_local_verb(words) : m.gallery_cloud_verb(words),
    danger: !local,
  };
}

function lastQuestion(images: Image[]): Question {
  const words = { n: images.length, size: sizeOf(images) };
  return {
    title: m.gallery_last_title(words),
    body: m.gallery_last_body(words),
    facts: [m.gallery_delete_links()],
    tick: m.gallery_last_tick(words),
    verb: m.gallery_last_verb(words),
    danger: true,
  };
}

type Portion = { ids: string[]; what: DeleteWhat; last_copies: boolean };
type Sent = { items: DeletedItem[]; password: string | undefined };

/** One portion; null if the server wants the password and the person changed their mind. */
async function sendPortion(portion: Portion, n: number, password: string | undefined): Promise<Sent | null> {
  const post = async (password?: string) =>
    (await call(api.POST('/images/delete', { body: { ...portion, password } }))).items;
  try {
    return { items: await post(password), password };
  } catch (cause) {
    if (asApiError(cause).code !== 'password_needed') throw cause;
    const question = {
      title: m.gallery_delete_title({ n }),
      facts: [m.gallery_delete_password()],
      verb: m.gallery_delete_verb({ n }),
      danger: true,
    };
    return withPassword(question, async (password) => ({ items: await post(password), password }));
  }
}

async function send(images: Image[], what: DeleteWhat, lastCopies: boolean): Promise<Failure[]> {
  const failures: Failure[] = [];
  const n = images.length;
  let deleted = 0;
  let password: string | undefined;
  try {
    for (let from = 0; from < n; from += PORTION) {
      const ids = images.slice(from, from + PORTION).map((image) => image.id);
      const sent = await sendPortion({ ids, what, last_copies: lastCopies }, n - from, password);
      if (!sent) break;
      const { items } = sent;
      password = sent.password;
      const unknown = items.filter((item) => item.code === 'not_found').map((item) => item.id);
      const gone = items.filter((item) => item.ok).map((item) => item.id);
      // Of what loses one copy the row stays; the live stream tells how it is now.
      const away = what === 'all' ? [...gone, ...unknown] : unknown;
      gallery.remove(away);
      selection.remove(away);
      deleted += gone.length;
      for (const item of items) if (!item.ok) failures.push({ id: item.id, code: item.code ?? '' });
    }
  } catch (cause) {
    toast.failed(m.gallery_delete_failed({ n: n - deleted - failures.length }), cause);
    return failures;
  }
  if (deleted > 0) {
    const words = { n: deleted };
    if (what === 'all') toast.done(m.gallery_deleted(words));
    else toast.done(what === 'local' ? m.gallery_local_done(words) : m.gallery_cloud_done(words));
  }
  return failures;
}

/** Null: the person said no, or there was nothing to do. Else what was not deleted. */
export async function removeImages(
  images: Image[],
  what: DeleteWhat = 'all',
  onyes: () => void = () => {},
): Promise<Outcome | null> {
  const { there, last } = copiesOf(images, what);
  if (there.length === 0) {
    if (images.length > 0) toast.note(what === 'local' ? m.gallery_local_none() : m.gallery_cloud_none());
    return null;
  }
  // Nothing but last copies: asked for at once, with a tick.
  const onlyLast = what !== 'all' && last.length === there.length;
  const asked = onlyLast ? lastQuestion(last) : question(there, last, what);
  if (!(await confirm(asked))) return null;
  onyes();
  return { what, failures: await send(there, what, what === 'all' || onlyLast) };
}

/** Last copies that stayed, after a second question. */
export async function removeLastCopies(images: Image[], what: DeleteWhat): Promise<Outcome | null> {
  if (images.length === 0 || !(await confirm(lastQuestion(images)))) return null;
  return { what, failures: await send(images, what, true) };
}
