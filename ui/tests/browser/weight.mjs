// What the first visit to each page costs: every file that it loads, as the gateway sends it to a browser that takes gzip.
// Started by tests/it/browser.rs with PICGATE_URL, PICGATE_COOKIE and PICGATE_CHROMIUM.
import { get } from 'node:http';
import { chromium } from 'playwright-core';

const { PICGATE_URL: url, PICGATE_COOKIE: cookie, PICGATE_CHROMIUM: executablePath } = process.env;
const MOST_BYTES = 150_000;
const PATIENCE_MS = 30_000;
const OPEN = ['login'];
const PAGES = ['setup', 'dashboard', 'gallery', 'cache', 'logs', 'settings', 'about'];

const browser = await chromium.launch({
    executablePath,
    args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
    ],
});

/** Bytes of the body as they are sent. */
const sent = (address) =>
    new Promise((resolve, reject) => {
        const headers = { 'accept-encoding': 'gzip', cookie };
        get(address, { headers }, (answer) => {
            let bytes = 0;
            answer.on('data', (chunk) => (bytes += chunk.length));
            answer.on('end', () =>
                answer.statusCode === 200 && answer.headers['content-encoding'] === 'gzip'
                    ? resolve(bytes)
                    : reject(new Error(`${address} answers ${answer.statusCode}, or not compressed`)),
            );
        }).on('error', reject);
    });

/** Every file of the UI that a browser asks for until the page stands and nothing more is on its way. */
async function files(path, locale, signedIn) {
    const context = await browser.newContext({ locale, viewport: { width: 1280, height: 900 } });
    const [name, value] = cookie.split('=');
    if (signedIn) await context.addCookies([{ name, value, url, sameSite: 'Strict', httpOnly: true }]);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const asked = new Set();
    const coming = new Set();
    page.on('request', (request) => {
        const { pathname } = new URL(request.url());
        if (!pathname.startsWith('/admin') || pathname.startsWith('/admin/api/')) return;
        asked.add(request.url());
        coming.add(request);
    });
    page.on('requestfinished', (request) => coming.delete(request));
    page.on('requestfailed', (request) => coming.delete(request));
    await page.goto(`${url}/admin/${path}`);
    await page.locator('[data-page-title]').first().waitFor();
    await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));
    const end = Date.now() + PATIENCE_MS;
    // What arrived last may ask for more in its turn: two quiet frames, and nothing on its way.
    for (let quiet = 0; quiet < 3; quiet = coming.size === 0 ? quiet + 1 : 0) {
        if (Date.now() > end) throw new Error(`${path} never ends to load`);
        await page.evaluate(() => new Promise((next) => requestAnimationFrame(() => setTimeout(next))));
    }
    await context.close();
    return asked;
}

try {
    for (const path of [...OPEN, ...PAGES]) {
        for (const locale of ['zh-CN', 'en']) {
            const asked = await files(path, locale, PAGES.includes(path));
            const sizes = await Promise.all([...asked].map(sent));
            const bytes = sizes.reduce((sum, one) => sum + one, 0);
            console.log(`${path} ${locale}: ${(bytes / 1000).toFixed(1)} kB in ${asked.size} files`);
            if (asked.size < 5) throw new Error(`${path} cannot stand on ${asked.size} files`);
            if (bytes > MOST_BYTES) throw new Error(`${path} is heavier than ${MOST_BYTES / 1000} kB`);
        }
    }
    console.log('ok: weighed');
} catch (error) {
    console.error(error);
    process.exitCode = 1;
} finally {
    await browser.close();
}
