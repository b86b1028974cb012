// An older PicGate's data, with `--old`: offered, taken over in a few seconds, or declined.
import { Failure } from './http.mjs';
import { state } from './state.mjs';

const FOLDER = '/app/data';
const NOTES = [
    { what: 'gateway_api_key', code: 'key_in_use', why: 'this gateway is in use with a key of its own' },
    {
        what: '8f57ff98-46c6-4b1f-832b-1367b83f10b4',
        code: 'bucket_away',
        why: 'it is in R2 alone, which cannot be reached now',
    },
];

/** Pictures to be taken over: as many steps has the job. */
export function oldPictures() {
    if (!state.old) throw new Failure(404, 'not_found', 'there is no such older program');
    return Array.from({ length: 480 }, () => ({ bytes: 1_200_000 }));
}

/** The job has ended. */
export function taken() {
    state.old = {
        at: Date.now(),
        complete: true,
        settings: ['public_base_url', 'upstream_api_base', 'upstream_api_key', 'r2_bucket_name'],
        images: 479,
        bytes: 479 * 1_200_000,
        in_bucket: 12,
        corrected: 31,
        known: 0,
        failed: 1,
        notes: NOTES,
    };
}

export const closed = {
    'GET /import': () => ({
        found: state.old && {
            folder: FOLDER,
            images: 480,
            bytes: 480 * 1_200_000,
            has_settings: true,
            has_account: true,
        },
        offered: state.old === true,
        last: state.old && state.old !== true ? state.old : null,
    }),
    'DELETE /import': () => {
        taken();
        state.old = { ...state.old, images: 0, failed: 0, settings: [], notes: [] };
    },
};
