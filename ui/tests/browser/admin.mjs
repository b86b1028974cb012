// A first visit in a real browser: set up, draw, switch language and theme, sign out, sign in. Every page is looked at by
// axe. Started by tests/it/browser.rs with PICGATE_URL, PICGATE_TICKET and PICGATE_CHROMIUM; SHOTS names a folder for
// screenshots.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const { PICGATE_URL: url, PICGATE_TICKET: ticket, PICGATE_CHROMIUM: executablePath, SHOTS } = process.env;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
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
});
const page = await context.newPage();
page.setDefaultTimeout(20_000);
const complaints = [];
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('console', (message) => {
    if (message.type() === 'error' && /Content Security Policy/.test(message.text()))
        complaints.push(message.text());
});

async function look(name) {
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa'] }));
    for (const violation of found.violations) {
        if (['serious', 'critical'].includes(violation.impact))
            complaints.push(`${name}: ${violation.id}: ${violation.nodes[0].target}`);
    }
}

const done = (step) => console.log(`ok: ${step}`);
const visible = (text) => page.getByText(text, { exact: false }).first().waitFor();

try {
    await page.goto(`${url}/admin?ticket=${ticket}`);
    await page.locator('input[name="password"]').waitFor();
    if (page.url().includes(ticket)) throw new Error('the ticket stays in the address');
    await look('setup');
    await page.locator('input[name="password"]').fill('12345678');
    await page.locator('button[type="submit"]').click();
    await visible('最先被人尝试');
    await page.locator('input[name="password"]').fill('correct horse');
    await page.locator('button[type="submit"]').click();
    await page.getByRole('button', { name: '继续' }).waitFor();
    await look('setup-upstream');
    await page.getByRole('button', { name: '继续' }).click();
    await page.getByRole('button', { name: '画一张测试图' }).waitFor();
    await look('setup-connect');
    await page.goto(`${url}/admin/dashboard`);
    await visible('图片总数');
    done('set up');

    await page.getByRole('button', { name: '画一张测试图' }).click();
    const drawn = page.locator('[role="status"] img');
    await drawn.waitFor({ timeout: 60_000 });
    await page.waitForFunction(() => document.querySelector('[role="status"] img')?.naturalWidth > 0);
    await look('dashboard');
    done('drawn');

    await page.goto(`${url}/admin/settings`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForTimeout(500);
    await look('settings');
    await page.goto(`${url}/admin/dashboard`);
    await visible('图片总数');
    await page.emulateMedia({ colorScheme: 'dark' });
    // Colours change gently.
    await page.waitForTimeout(500);
    await look('dashboard-dark');
    await page.setViewportSize({ width: 360, height: 740 });
    const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    if (wide > 0) complaints.push(`the dashboard is ${wide} px wider than a phone`);
    await look('dashboard-phone');
    await page.setViewportSize({ width: 1280, height: 900 });
    const settings = await page.evaluate(async () => {
        const headers = { 'x-picgate': '1', 'content-type': 'application/json' };
        const body = JSON.stringify({ values: { language: 'en' } });
        return (await fetch('/admin/api/settings', { method: 'PATCH', headers, body })).status;
    });
    if (settings !== 200) throw new Error(`settings answer ${settings}`);
    await page.evaluate(() => localStorage.clear());
    await page.reload();
    await page.getByRole('button', { name: 'Draw a test picture' }).waitFor();
    await look('dashboard-english');
    done('switched');

    await page.evaluate(async () => {
        await fetch('/admin/api/session/logout', { method: 'POST', headers: { 'x-picgate': '1' } });
    });
    await page.goto(`${url}/admin`);
    await page.locator('input[name="username"]').waitFor();
    await look('login');
    await page.locator('input[name="username"]').fill('admin');
    await page.locator('input[name="password"]').fill('correct horse');
    await page.locator('button[type="submit"]').click();
    await page.getByRole('button', { name: 'Draw a test picture' }).waitFor();
    done('signed out');
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
} catch (error) {
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/failure.png` });
    console.error(error, complaints);
    process.exitCode = 1;
} finally {
    await browser.close();
}
