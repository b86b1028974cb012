// Why something of an older PicGate was not taken over as it was, in words.
import type { ImportNote } from '$lib/api';
import { m } from '$lib/messages';

const WHY: Record<ImportNote['code'], (reason: string) => string> = {
  already_set: () => m.import_why_already_set(),
  invalid: (reason) => m.import_why_invalid({ reason }),
  never: () => m.import_why_never(),
  no_key: () => m.import_why_no_key(),
  key_in_use: () => m.import_why_key_in_use(),
  bad_key: () => m.import_why_bad_key(),
  bad_address: () => m.import_why_bad_address(),
  second_admin: () => m.import_why_second_admin(),
  bad_account: () => m.import_why_bad_account(),
  account_stays: () => m.import_why_account_stays(),
  no_image_id: () => m.import_why_no_image_id(),
  no_file: () => m.import_why_no_file(),
  not_an_image: () => m.import_why_not_an_image(),
  too_large: () => m.import_why_too_large(),
  unreadable: (reason) => m.import_why_unreadable({ reason }),
  no_bucket: () => m.import_why_no_bucket(),
  bucket_away: () => m.import_why_bucket_away(),
  not_in_bucket: () => m.import_why_not_in_bucket(),
};

export const importWhy = (note: ImportNote) => WHY[note.code](note.why);
