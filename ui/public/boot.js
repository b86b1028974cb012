// Runs before the first paint, so that a dark page does not flash white. A file of its own because the content
// security policy allows no inline script. The rest of the theme is in src/lib/theme.svelte.ts.
(function () {
    var chosen = null;
    try {
        chosen = localStorage.getItem('picgate.theme');
    } catch {
        // Storage may be forbidden: then the system decides.
    }
    var dark =
        chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
    document.documentElement.classList.toggle('dark', dark);
})();
