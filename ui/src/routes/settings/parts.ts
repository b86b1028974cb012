// What comes with the first visit to its section, and not with the page: most visits are to the upstreams. Each is whole, so
// that nothing jumps.
export const accountSection = () => import('./AccountSection.svelte');
export const fieldsSection = () => import('./FieldsSection.svelte');
export const upstreamDialog = () => import('./UpstreamDialog.svelte');
