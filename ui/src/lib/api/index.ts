// What pages use of the API. Only this folder speaks to the server.
export { api, call, whyNoPicture, API } from './client';
export { ApiError, asApiError, wasAborted } from './error';
export { live, type Connection } from './live.svelte';
export { resource, Resource } from './resource.svelte';
export { session } from './session.svelte';
export type * from './types';
