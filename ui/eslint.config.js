// Lint rules: the recommended ones, plus what keeps the layers of this UI apart.
import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

const fetches = [
    { name: 'fetch', message: 'Only src/lib/api speaks to the server.' },
    { name: 'EventSource', message: 'Only src/lib/api speaks to the server: use live.' },
];

export default ts.config(
    { ignores: ['dist', 'node_modules', 'src/lib/paraglide', 'src/lib/api/schema.d.ts', 'shots'] },
    js.configs.recommended,
    ...ts.configs.recommended,
    ...svelte.configs.recommended,
    {
        languageOptions: { globals: { ...globals.browser, ...globals.node } },
        rules: {
            'no-undef': 'off',
            'prefer-const': 'off',
            'svelte/prefer-const': 'error',
            '@typescript-eslint/no-unused-vars': [
                'error',
                { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
            ],
        },
    },
    {
        files: ['**/*.svelte', '**/*.svelte.ts'],
        languageOptions: {
            parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig },
        },
        rules: {
            // Our links are plain and the router takes them over; SvelteKit's resolve() does not exist here.
            'svelte/no-navigation-without-resolve': 'off',
            // State is marked by runes; a Map or Set that nobody watches need not be reactive.
            'svelte/prefer-svelte-reactivity': 'off',
            'svelte/no-at-html-tags': 'error',
            'svelte/button-has-type': 'error',
        },
    },
    {
        files: ['src/**/*.ts', 'src/**/*.svelte'],
        ignores: ['src/lib/api/**'],
        rules: { 'no-restricted-globals': ['error', ...fetches] },
    },
);
