// Pictures of every page, in both themes and languages, of the real program on a fresh folder with demo pictures in it.
// Started by .ci/screenshots with PICGATE_BINARY and PICGATE_CHROMIUM; writes to OUT, and the few that the READMEs show
// to KEEP.
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const { PICGATE_BINARY: binary, PICGATE_CHROMIUM: executablePath, OUT: out, KEEP: keep } = process.env;
const ACCOUNT = { username: 'admin', password: 'correct horse battery' };
const SIZE = { width: 1280, height: 832 };
/** Of 1; what can be told apart from the original at a second look. */
const QUALITY = 0.82;
const PROMPTS = [
    '一只坐在窗边的橘猫，水彩画',
    '雪山下的红狐狸，黄昏',
    '赛博朋克城市夜景，霓虹与雨',
    '海边的灯塔，暴风雨来临之前',
    '清晨的茶园，薄雾',
    'A harbour at dusk, oil painting',
    '秋天的银杏大道，逆光',
    'A tiny robot watering flowers',
    '夏夜的草原，满天繁星',
    '森林里的鹿，晨光',
    '樱花树下的小狗，春天',
    '沙漠里的骆驼，日落',
];
const PAGES = ['dashboard', 'gallery', 'cache', 'logs', 'settings', 'settings/gateway', 'about'];
/** What the READMEs show. */
const KEPT = ['dashboard.light', 'gallery.dark', 'viewer.light', 'logs.light'].flatMap((name) => {
    const [page, theme] = name.split('.');
    return ['zh-CN', 'en'].map((locale) => `${page}.${locale}.${theme}`);
});

async function start(folder) {
    const env = {
        ...process.env,
        PICGATE_ADMIN_USERNAME: ACCOUNT.username,
        PICGATE_ADMIN_PASSWORD: ACCOUNT.password,
    };
    const child = spawn(binary, ['serve', '--port', '0', '--data-dir', folder], {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
    });
    for await (const line of createInterface(child.stdout)) {
        const url = /Base URL\s+(\S+)\/v1/.exec(line)?.[1];
        if (url) return { child, url };
    }
    throw new Error('the program did not start');
}

/** A PNG as WebP, by the browser's own encoder. */
async function toWebp(page, png, quality) {
    const data = await page.evaluate(
        async ([source, quality]) => {
            const image = await createImageBitmap(await (await fetch(source)).blob());
            const canvas = new OffscreenCanvas(image.width, image.height);
            canvas.getContext('2d').drawImage(image, 0, 0);
            const blob = await canvas.convertToBlob({ type: 'image/webp', quality });
            const bytes = new Uint8Array(await blob.arrayBuffer());
            return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
        },
        [`data:image/png;base64,${png.toString('base64')}`, quality],
    );
    return Buffer.from(data, 'base64');
}

const folder = await mkdtemp(join(tmpdir(), 'picgate-screenshots-'));
await mkdir(out, { recursive: true });
await mkdir(keep, { recursive: true });
const { child, url } = await start(folder);
const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
];
const browser = await chromium.launch({ executablePath, args });
try {
    const bench = await (await browser.newContext()).newPage();
    const headers = { 'X-PicGate': '1' };
    let first = null;
    for (const locale of ['zh-CN', 'en']) {
        for (const theme of ['light', 'dark']) {
            const context = await browser.newContext({
                viewport: SIZE,
                locale,
                colorScheme: theme,
                reducedMotion: 'reduce',
            });
            await context.request.post(`${url}/admin/api/session/login`, { headers, data: ACCOUNT });
            for (const prompt of first ? [] : PROMPTS) {
                const answer = await context.request.post(`${url}/admin/api/draw-test`, {
                    headers,
                    data: { prompt },
                    timeout: 60_000,
                });
                first = (await answer.json()).image.id;
            }
            const page = await context.newPage();
            const shoot = async (name) => {
                await page.waitForFunction(
                    () =>
                        !document.querySelector('[aria-busy="true"]') &&
                        [...document.images].every((image) => image.complete && image.naturalWidth > 0),
                );
                const label = `${name.replaceAll('/', '-')}.${locale}.${theme}`;
                await writeFile(
                    join(out, `${label}.webp`),
                    await toWebp(bench, await page.screenshot(), QUALITY),
                );
                if (KEPT.includes(label))
                    await copyFile(join(out, `${label}.webp`), join(keep, `${label}.webp`));
            };
            for (const name of PAGES) {
                await page.goto(`${url}/admin/${name}`);
                await page.getByRole('heading', { level: 1 }).waitFor();
                await shoot(name);
            }
            await page.goto(`${url}/admin/gallery/${first}`);
            await page.getByRole('dialog').locator('aside').getByText(PROMPTS.at(-1)).first().waitFor();
            await shoot('viewer');
            await context.clearCookies();
            await page.goto(`${url}/admin/login`);
            await page.locator('input[name="username"]').waitFor();
            await shoot('login');
            await context.close();
        }
    }
    let total = 0;
    for (const label of KEPT) total += (await readFile(join(keep, `${label}.webp`))).length;
    console.log(
        `${KEPT.length} pictures for the READMEs, ${Math.round(total / 1000)} kB in all; every page is in ${out}`,
    );
} finally {
    await browser.close();
    child.kill('SIGTERM');
    await rm(folder, { recursive: true, force: true });
}
