// The router as pages use it.
export { router } from './router.svelte';
export { match, pathOf, safeNext, BASE, type Params } from './match';
