// Looks at pages as a person would: screenshots in languages, themes and widths, with axe and the console.
//
//   node mock/look.mjs [--pages login,dashboard,gallery?q=cat] [--sizes 360,1280,2560] [--themes light,dark]
//                      [--languages zh-CN,en] [--server http://127.0.0.1:5650] [--out shots] [--full] [--wait 600]
//
// Pictures go to shots/. It ends with 1 when axe finds something serious, or the console or the policy complains.
// The browser is Debian's Chromium, or the one that CHROMIUM names.
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: options } = parseArgs({
    options: {
        pages: { type: 'string', default: 'login,dashboard,gallery,cache,logs,settings,about' },
        sizes: { type: 'string', default: '360,1280' },
        themes: { type: 'string', default: 'light,dark' },
        languages: { type: 'string', default: 'zh-CN,en' },
        server: { type: 'string', default: 'http://127.0.0.1:5650' },
        out: { type: 'string', default: 'shots' },
        wait: { type: 'string', default: '600' },
        full: { type: 'boolean', default: false },
    },
});
const HEIGHTS = { 360: 740, 768: 1024, 1280: 800, 2560: 1440, 3840: 2160 };
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
    ],
});
await mkdir(options.out, { recursive: true });
let bad = 0;

async function look(page, name, label) {
    await page.screenshot({ path: `${options.out}/${label}.png`, fullPage: options.full });
    // By the protocol and not by a script tag: the page's policy forbids foreign scripts, and shall.
    await page.evaluate(axe);
    const found = await page.evaluate(() =>
        window.axe.run(document, {
            runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
        }),
    );
    for (const violation of found.violations) {
        const serious = ['serious', 'critical'].includes(violation.impact);
        if (serious) bad += 1;
        console.log(`${serious ? 'SERIOUS' : violation.impact} ${label}: ${violation.id}: ${violation.help}`);
        for (const node of violation.nodes.slice(0, 4))
            console.log(`    ${node.target.join(' ')} ${node.any[0]?.message ?? ''}`);
    }
    const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    if (wide > 0) {
        bad += 1;
        console.log(`SERIOUS ${label}: ${wide} px wider than the window`);
    }
}

for (const language of options.languages.split(',')) {
    for (const theme of options.themes.split(',')) {
        for (const size of options.sizes.split(',')) {
            const context = await browser.newContext({
                viewport: { width: Number(size), height: HEIGHTS[size] ?? 900 },
                locale: language,
                colorScheme: theme,
                reducedMotion: 'reduce',
            });
            const page = await context.newPage();
            page.on('console', (message) => {
                if (!['error', 'warning'].includes(message.type())) return;
                bad += 1;
                console.log(`CONSOLE ${language} ${theme} ${size}: ${message.text()}`);
            });
            page.on('pageerror', (error) => {
                bad += 1;
                console.log(`THROWN ${language} ${theme} ${size}: ${error.message}`);
            });
            for (const name of options.pages.split(',')) {
                const signedOut = name === 'login' || name.startsWith('setup');
                if (signedOut) await context.clearCookies();
                else
                    await context.request.post(`${options.server}/admin/api/session/login`, {
                        headers: { 'X-PicGate': '1' },
                        data: { username: 'admin', password: 'picgate-demo' },
                    });
                await page.goto(`${options.server}/admin/${name}`);
                await page.locator('[data-page-title]').first().waitFor({ state: 'attached' });
                await page.waitForTimeout(Number(options.wait));
                await look(page, name, `${name.replaceAll(/[^\w-]+/g, '_')}.${language}.${theme}.${size}`);
            }
            await context.close();
        }
    }
}
await browser.close();
console.log(bad ? `${bad} findings` : 'no serious findings');
process.exitCode = bad ? 1 : 0;
