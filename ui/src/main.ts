// Where the UI begins: language and theme first, then the app.
import { mount } from 'svelte';
import './app.css';
import App from './App.svelte';
import { i18n } from '$lib/i18n.svelte';
import { theme } from '$lib/theme.svelte';

theme.begin();
// Without its texts the app still begins: it asks for them again.
void i18n
  .begin()
  .catch(() => {})
  .then(() => mount(App, { target: document.getElementById('app')! }));
