// Names of what the gallery shows, in the language that is on.
import { m } from '$lib/messages';
import type { Image } from '$lib/api';
import type { Dates, Sort, Source, State } from './query';

const SOURCES: Record<Source, () => string> = {
  generated: () => m.gallery_source_generated(),
  edited: () => m.gallery_source_edited(),
  uploaded: () => m.gallery_source_uploaded(),
  imported: () => m.gallery_source_imported(),
};
const SORTS: Record<Sort, () => string> = {
  created: () => m.gallery_sort_created(),
  accessed: () => m.gallery_sort_accessed(),
  size: () => m.gallery_sort_size(),
};
const STATES: Record<State, () => string> = {
  '': () => m.gallery_state_any(),
  local: () => m.gallery_state_local(),
  local_only: () => m.gallery_state_local_only(),
  both: () => m.gallery_state_both(),
  cloud: () => m.gallery_state_cloud(),
  cloud_only: () => m.gallery_state_cloud_only(),
  waiting: () => m.gallery_state_waiting(),
  failed: () => m.gallery_state_failed(),
  elsewhere: () => m.gallery_state_elsewhere(),
  missing: () => m.gallery_state_missing(),
};
const DATES: Record<Dates, () => string> = {
  '': () => m.gallery_dates_any(),
  today: () => m.gallery_dates_today(),
  week: () => m.gallery_dates_week(),
  month: () => m.gallery_dates_month(),
  range: () => m.gallery_dates_range(),
};

export const sourceName = (source: Source) => SOURCES[source]?.() ?? source;
export const sortName = (sort: Sort) => SORTS[sort]();
export const stateName = (state: State) => STATES[state]();
export const datesName = (dates: Dates) => DATES[dates]();

export const shortId = (id: string) => id.slice(0, 8);
/** "image/svg+xml" is "SVG". */
export const typeName = (image: Pick<Image, 'media_type'>) =>
  (image.media_type.split('/')[1] ?? image.media_type).split('+')[0]!.toUpperCase();
/** What a screen reader says of a picture. */
export const pictureName = (image: Image) =>
  `${image.prompt ?? sourceName(image.source)} · ${shortId(image.id)}`;
export const pixels = (image: Image) =>
  image.width && image.height ? `${image.width} × ${image.height}` : null;
