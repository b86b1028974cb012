// What a browser makes of the UI: bytes of the first page, first paint, and frames while the gallery scrolls. Started by
// tests/bench/admin.py with PICGATE_URL, PICGATE_COOKIE and PICGATE_CHROMIUM.
import { chromium } from 'playwright-core';

const { PICGATE_URL: url, PICGATE_COOKIE: cookie, PICGATE_CHROMIUM: executablePath } = process.env;
const SCROLLED_MS = 8_000;
/** Pixels in each frame: about three rows of pictures in a tenth of a second. */
const STEP = 60;

const browser = await chromium.launch({
    executablePath,
    args: [
        '--no-sandbox',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
    ],
});
const [name, value] = cookie.split('=');

async function fresh() {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'zh-CN' });
    await context.addCookies([{ name, value, url, sameSite: 'Strict', httpOnly: true }]);
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    return { context, page };
}

async function firstPage(path) {
    const { context, page } = await fresh();
    await page.goto(`${url}${path}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForLoadState('load');
    // Frames are rare while nobody looks: the entry may come late.
    await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0);
    const found = await page.evaluate(() => {
        const files = performance
            .getEntriesByType('resource')
            .filter((one) => one.name.includes('/admin/assets/') || one.name.endsWith('.js'));
        const [document] = performance.getEntriesByType('navigation');
        const paint = performance.getEntriesByName('first-contentful-paint')[0];
        return {
            bytes: files.reduce((sum, one) => sum + one.encodedBodySize, document.encodedBodySize),
            files: files.length,
            paint: paint?.startTime ?? 0,
            interactive: document.domInteractive,
        };
    });
    await context.close();
    return found;
}

for (const path of ['/admin/login', '/admin/dashboard', '/admin/gallery', '/admin/logs', '/admin/settings']) {
    const runs = [];
    for (let run = 0; run < 5; run += 1) runs.push(await firstPage(path));
    const paints = runs.map((one) => one.paint).sort((a, b) => a - b);
    const { bytes, files } = runs[0];
    console.log(
        `${path.padEnd(18)} ${(bytes / 1000).toFixed(0)} kB compressed in ${files} files; first paint ${paints[2].toFixed(0)} ms (median of 5)`,
    );
}

const { page } = await fresh();
await page.goto(`${url}/admin/gallery`);
await page.getByRole('gridcell').first().waitFor();
const frames = await page.evaluate(
    ([duration, step]) =>
        new Promise((done) => {
            const times = [];
            const began = performance.now();
            let last = began;
            const frame = (now) => {
                times.push(now - last);
                last = now;
                scrollBy(0, step);
                if (now - began < duration) requestAnimationFrame(frame);
                else done(times.slice(1));
            };
            requestAnimationFrame(frame);
        }),
    [SCROLLED_MS, STEP],
);
frames.sort((a, b) => a - b);
const at = (share) => frames[Math.floor(frames.length * share)].toFixed(1);
const rate = (frames.length / frames.reduce((sum, one) => sum + one, 0)) * 1000;
const cells = await page.getByRole('gridcell').count();
const far = await page.evaluate(() => scrollY);
console.log(
    `gallery scrolled   ${rate.toFixed(0)} frames/s over ${far} px; frame p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(0.9999)} ms; ${cells} pictures in the page`,
);
const renderer = await page.evaluate(() => {
    const gl = document.createElement('canvas').getContext('webgl');
    const info = gl?.getExtension('WEBGL_debug_renderer_info');
    return info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : 'software, without WebGL';
});
console.log(`rendered by        ${renderer}`);
await browser.close();
