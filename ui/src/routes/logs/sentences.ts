// What happened in the words of people: the events that lines of the log carry, and requests with their outcome. Lines
// without a known event keep the program's own words.
import type { Activity, Line } from '$lib/api';
import { bytes, duration } from '$lib/format';
import { settingName } from '$lib/domain/settingNames.svelte';
import { m } from '$lib/messages';
import { explainCode } from '$lib/ui/explain';

type Fields = Line['fields'];
const short = (id: string | undefined) => (id ?? '').slice(0, 8);
const size = (fields: Fields) => bytes(Number(fields.bytes ?? 0));

/** Settings as their page calls them. */
const settingNames = (keys: string) =>
  keys
    .split(',')
    .map((key) => settingName(key))
    .join(m.logs_between_names());

const EVENTS: Record<string, (fields: Fields) => string> = {
  started: (f) => m.logs_ev_started({ address: f.address ?? '', version: f.version ?? '' }),
  stopping: () => m.logs_ev_stopping(),
  compared: (f) => m.logs_ev_compared({ adopted: f.adopted ?? '0', missing: f.missing ?? '0' }),
  saved: (f) => m.logs_ev_saved({ id: short(f.image), size: size(f) }),
  uploaded: (f) => m.logs_ev_uploaded({ id: short(f.image), size: size(f) }),
  upload_failed: (f) => m.logs_ev_upload_failed({ id: short(f.image), why: f.error ?? f.code ?? '' }),
  image_nowhere: (f) => m.logs_ev_image_nowhere({ id: short(f.image) }),
  restored: (f) => m.logs_ev_restored({ id: short(f.image) }),
  deleted: (f) => m.logs_ev_deleted({ count: f.count ?? '?' }),
  forgotten: (f) => m.logs_ev_forgotten({ count: f.count ?? '?' }),
  bucket_well: () => m.logs_ev_bucket_well(),
  bucket_ill: (f) => m.logs_ev_bucket_ill({ why: f.error ?? f.code ?? '' }),
  answered: (f) => m.logs_ev_answered({ count: f.images ?? '0', time: duration(Number(f.ms ?? 0)) }),
  joined: () => m.logs_ev_joined(),
  retried: (f) => m.logs_ev_retried({ name: f.upstream ?? '' }),
  upstream_failed: (f) => m.logs_ev_upstream_failed({ why: explainCode(f.class ?? '', f.message).text }),
  settings: (f) => m.logs_ev_settings({ keys: settingNames(f.keys ?? '') }),
  gateway_key: () => m.logs_ev_gateway_key(),
  account_made: (f) => m.logs_ev_account_made({ name: f.username ?? '' }),
  sign_in_failed: (f) => m.logs_ev_sign_in_failed({ address: f.address ?? '' }),
  password: () => m.logs_ev_password(),
  images_left_behind: (f) => m.logs_ev_left_behind({ count: f.count ?? '?', place: f.place ?? '' }),
  copy_lost: (f) => m.logs_ev_copy_lost({ id: short(f.image), why: f.error ?? f.code ?? '' }),
  compared_bucket: (f) =>
    m.logs_ev_compared_bucket({
      compared: f.compared ?? '0',
      again: f.again ?? '0',
      lost: f.lost ?? '0',
    }),
  key_held_back: (f) => m.logs_ev_key_held_back({ name: f.upstream ?? '', server: f.server ?? '' }),
  listening: (f) => m.logs_ev_listening({ addresses: f.addresses ?? '' }),
  paused: () => m.logs_ev_paused(),
  resumed: () => m.logs_ev_resumed(),
  not_restored: (f) => m.logs_ev_not_restored({ id: short(f.image), why: f.error ?? f.code ?? '' }),
  import_note: (f) => m.logs_ev_import_note({ what: f.what ?? '', why: f.why ?? '' }),
  bucket_moved: (f) =>
    Number(f.hidden ?? 0) > 0
      ? m.logs_ev_bucket_moved_hides({ count: f.hidden ?? '' })
      : m.logs_ev_bucket_moved(),
  deleted_elsewhere: (f) => m.logs_ev_deleted_elsewhere({ id: short(f.image) }),
  kept_out: (f) => m.logs_ev_kept_out({ id: short(f.image) }),
  disk_low: (f) => m.logs_ev_disk_low({ free: bytes(Number(f.free ?? 0)) }),
  disk_roomy: (f) => m.logs_ev_disk_roomy({ free: bytes(Number(f.free ?? 0)) }),
  clock_jumped: () => m.logs_ev_clock_jumped(),
  clock_right: () => m.logs_ev_clock_right(),
  reach: () => m.logs_ev_reach(),
  imported: (f) =>
    m.logs_ev_imported({ images: f.images ?? '0', known: f.known ?? '0', failed: f.failed ?? '0' }),
  older_found: (f) => m.logs_ev_older_found({ images: f.images ?? '0' }),
  no_thumbnail: () => m.logs_ev_no_thumbnail(),
  kept_inline: (f) => m.logs_ev_kept_inline({ why: f.error ?? '' }),
  stream_broken: (f) => m.logs_ev_stream_broken({ why: f.error ?? '' }),
  conversation_lost: (f) => m.logs_ev_conversation_lost({ id: short(f.image) }),
  source_unfetched: (f) => m.logs_ev_source_unfetched({ why: f.error ?? '' }),
  link_first: (f) => m.logs_ev_link_first({ id: short(f.image) }),
  no_tray: () => m.logs_ev_no_tray(),
  twin_helped: (f) => m.logs_ev_twin_helped({ id: short(f.image) }),
};

/** Their names. */
export const eventNames = Object.keys(EVENTS);

/** A line in words. */
export function sentence(line: Line): string {
  return EVENTS[line.fields.event ?? '']?.(line.fields) ?? line.message;
}

/** Events in whose words a search is found: the server knows only its own. */
export function eventsWith(text: string): string[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  return Object.keys(EVENTS).filter((event) => EVENTS[event]!({}).toLowerCase().includes(wanted));
}

const TASKS: Record<string, () => string> = {
  title: () => m.logs_task_title(),
  tags: () => m.logs_task_tags(),
  follow_ups: () => m.logs_task_follow_ups(),
  queries: () => m.logs_task_queries(),
  image_prompt: () => m.logs_task_image_prompt(),
};
const note = (record: Activity, name: string): unknown =>
  (record.notes as Record<string, unknown> | null | undefined)?.[name];

/** What was asked. */
export function asked(record: Activity): string {
  const prompt = record.prompt?.trim() || m.logs_no_prompt();
  if (record.kind === 'task') {
    const task = String(note(record, 'task') ?? '');
    return m.logs_asked_task({ task: TASKS[task]?.() ?? task });
  }
  if (record.kind === 'chat') return m.logs_asked_chat({ prompt });
  if (record.endpoint === 'generations') return m.logs_asked_generations({ prompt });
  if (record.endpoint === 'edits') return m.logs_asked_edits({ prompt });
  return m.logs_asked_drawing({ prompt });
}

/** What came of it. */
export function outcome(record: Activity): string {
  const time = duration(record.duration_ms);
  if (record.outcome !== 'ok') {
    return m.logs_came_failed({ why: explainCode(record.outcome, record.message ?? '').text, time });
  }
  const n = record.images.length;
  if (n > 0) return m.logs_came_images({ n, time });
  return note(record, 'answered') === 'here' || record.kind === 'task'
    ? m.logs_came_here({ time })
    : m.logs_came_text({ time });
}

export function levelName(level: string): string {
  if (level === 'error') return m.logs_level_error();
  if (level === 'warn') return m.logs_level_warn();
  return level === 'info' ? m.logs_level_info() : m.logs_level_debug();
}
