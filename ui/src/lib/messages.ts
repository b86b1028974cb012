// The typed texts of the UI: `m.login_title()`. They live in messages/{locale}/{area}.json.
export * as m from './paraglide/messages.js';
