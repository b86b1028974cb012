// What every step of the browser test stands on: a page, its texts by their keys, and a close look with axe.
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

/** Longest wait for anything; far beyond what is needed, so that a slow machine is no failure. */
const PATIENCE_MS = 30_000;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function messages(locale) {
    const folder = new URL(`../../messages/${locale}/`, import.meta.url);
    const files = (await readdir(folder)).map(async (name) =>
        JSON.parse(await readFile(new URL(name, folder), 'utf8')),
    );
    return Object.assign({}, ...(await Promise.all(files)));
}
const texts = { 'zh-CN': await messages('zh-CN'), en: await messages('en') };

export async function open({ url, executablePath, shots }) {
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
    const context = await browser.newContext({
        locale: 'zh-CN',
        viewport: { width: 1280, height: 900 },
        reducedMotion: 'reduce',
        permissions: ['clipboard-read', 'clipboard-write'],
    });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
        if (message.type() === 'error' && /Content Security Policy/.test(message.text()))
            complaints.push(message.text());
    });

    /** A text of the UI in the language that is on. */
    const say = (key, values = {}) => {
        const message = texts[walk.locale][key];
        if (typeof message !== 'string') throw new Error(`there is no plain text '${key}'`);
        return message.replaceAll(/\{(\w+)\}/g, (_, name) => String(values[name]));
    };

    /** Moving things have come to rest: what fades is not readable yet, and is no failure. */
    const settled = () =>
        page.evaluate(() =>
            Promise.all(
                document
                    .getAnimations()
                    .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
                    .map((one) => one.finished.catch(() => {})),
            ).then(() => {}),
        );

    /** Looks at what is shown: nothing serious for axe, nothing wider than the window. */
    async function look(name) {
        await settled();
        if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
        await page.evaluate(axe);
        const found = await page.evaluate(() =>
            window.axe.run(document, {
                runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'],
                resultTypes: ['violations'],
            }),
        );
        for (const violation of found.violations) {
            if (['serious', 'critical'].includes(violation.impact))
                complaints.push(
                    `${name}: ${violation.id}: ${violation.nodes.map((node) => node.target).join(' ')}`,
                );
        }
        const wide = await page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        if (wide > 0) complaints.push(`${name} is ${wide} px wider than the window`);
    }

    const walk = {
        url,
        browser,
        context,
        page,
        complaints,
        locale: 'zh-CN',
        say,
        look,
        button: (key, values) => page.getByRole('button', { name: say(key, values), exact: true }),
        text: (text) => page.getByText(text, { exact: false }).first(),
        /** Goes to a page of ours by a link of the frame, as people do. */
        async go(name) {
            await page
                .getByRole('link', { name: say(`nav_${name}`), exact: true })
                .first()
                .click();
            await page.getByRole('heading', { level: 1, name: say(`nav_${name}`), exact: true }).waitFor();
        },
        /** Waits until a condition holds. */
        async until(what, condition) {
            const end = Date.now() + PATIENCE_MS;
            while (!(await condition())) {
                if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
                await page.evaluate(() => new Promise((next) => requestAnimationFrame(next)));
            }
        },
        check(what, holds) {
            if (!holds) throw new Error(`not so: ${what}`);
        },
        /** Draws as a client does, with the key; answers with the id of the picture. */
        async draw(prompt) {
            walk.key ??= await (async () => {
                const shown = await page.request.post(`${url}/admin/api/gateway-key/show`, {
                    headers: { 'x-picgate': '1' },
                    data: { password: 'correct horse' },
                });
                return (await shown.json()).key;
            })();
            const answer = await fetch(`${url}/v1/images/generations`, {
                method: 'POST',
                headers: { 'content-type': 'application/json', authorization: `Bearer ${walk.key}` },
                body: JSON.stringify({ model: 'picgate', prompt, size: '512x512' }),
            });
            if (!answer.ok) throw new Error(`drawing answers ${answer.status}: ${await answer.text()}`);
            return (await answer.json()).data[0].url.split('/').at(-1);
        },
    };
    return walk;
}
