// Pages in native windows of the desktop app: in without a login, other pages and links handed to the shell, a pause, the
// desktop's settings. Started by tests/it/browser.rs, whose shell writes down what it is asked; SHOTS names a folder for
// screenshots.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const {
    PICGATE_DASHBOARD: dashboard,
    PICGATE_SETTINGS: settings,
    PICGATE_CHROMIUM: executablePath,
    PICGATE_LOCALE: locale = 'zh-CN',
    SHOTS,
} = process.env;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
];
const browser = await chromium.launch({ executablePath, args });
const context = await browser.newContext({
    locale,
    viewport: { width: 1100, height: 1000 },
    reducedMotion: 'reduce',
});
const complaints = [];

async function open(url) {
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(url);
    await page.locator('[data-page-title]').first().waitFor();
    if (page.url().includes('ticket')) throw new Error('the ticket stays in the address');
    if ((await page.locator('input[type="password"]').count()) > 0)
        throw new Error('a window asks for a password');
    return page;
}

async function look(page, name) {
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.${locale}.png`, fullPage: true });
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa'] }));
    for (const violation of found.violations) {
        if (['serious', 'critical'].includes(violation.impact))
            complaints.push(`${name}: ${violation.id}: ${violation.nodes[0].target}`);
    }
}

const done = (step) => console.log(`ok: ${step}`);
/** The next request to a route of the shell. */
const asked = (page, path) =>
    page.waitForResponse((answer) => answer.url().endsWith(`/admin/api/shell/${path}`));
const zh = locale.startsWith('zh');
const word = (chinese, english) => (zh ? chinese : english);

try {
    const page = await open(dashboard);
    if ((await page.locator(`nav[aria-label="${word('页面', 'Pages')}"]`).count()) > 0)
        throw new Error('the rail is there');
    const here = page.url();
    const picture = page.locator('a[href*="/admin/gallery/"]').first();
    await picture.waitFor();
    await look(page, 'window-dashboard');
    await Promise.all([asked(page, 'open'), picture.click()]);
    await Promise.all([asked(page, 'open'), page.keyboard.press('Control+3')]);
    await Promise.all([asked(page, 'open'), page.keyboard.press('g').then(() => page.keyboard.press('s'))]);
    await Promise.all([
        asked(page, 'external'),
        page.evaluate(() => void window.open('https://example.com/opened')),
    ]);
    await page.evaluate(() => {
        const link = document.createElement('a');
        link.href = '/images/3f0c?download=1';
        link.id = 'an-image';
        link.textContent = 'image';
        document.querySelector('main').prepend(link);
    });
    await Promise.all([asked(page, 'external'), page.locator('#an-image').click()]);
    if (page.url() !== here) throw new Error(`the window has gone to ${page.url()}`);
    done('handed over');

    await page.getByRole('button', { name: word('暂停画图', 'Pause drawing') }).click();
    await page.getByText(word('已暂停', 'Paused'), { exact: true }).waitFor();
    await look(page, 'window-paused');
    await page.getByRole('button', { name: word('继续', 'Resume'), exact: true }).click();
    await page.getByRole('button', { name: word('暂停画图', 'Pause drawing') }).waitFor();
    done('paused and resumed');

    const second = await open(settings);
    await second.getByRole('link', { name: word('桌面', 'Desktop') }).click();
    const autostart = second.getByLabel(word('登录时启动', 'Start at login'));
    await Promise.all([asked(second, 'autostart'), autostart.click()]);
    await second.locator('[role="switch"][aria-checked="true"]').first().waitFor();
    await Promise.all([
        asked(second, 'folder'),
        second.getByRole('button', { name: word('打开', 'Open'), exact: true }).click(),
    ]);
    const finished = second.getByLabel(word('画好了', 'A picture is finished'));
    await Promise.all([
        second.waitForResponse((answer) => answer.request().method() === 'PATCH'),
        finished.click(),
    ]);
    await look(second, 'window-desktop');
    await second.getByLabel(word('把密钥放进系统钥匙串', 'Keep keys in the system keychain')).click();
    await second.getByRole('alertdialog').or(second.getByRole('dialog')).waitFor();
    await look(second, 'window-keychain');
    const move = second.getByRole('button', { name: word('移进钥匙串', 'Move to the keychain') });
    await Promise.all([asked(second, 'keychain'), move.click()]);
    done('the desktop is set');

    await second.getByRole('link', { name: word('安全', 'Security') }).click();
    await second.getByLabel(word('局域网里的所有设备', 'Every device in the network')).click();
    const password = second.locator('input[name="password"]');
    await password.fill('wrong');
    const verb = second.getByRole('button', { name: word('对局域网开放', 'Open to the network') });
    await verb.click();
    await second.getByText(word('密码不对', 'The password is wrong')).waitFor();
    await look(second, 'window-listen-dialog');
    await password.fill('correct horse');
    await verb.click();
    await second.getByText('0.0.0.0:', { exact: false }).waitFor();
    await look(second, 'window-listen');
    done('opened to the network');
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
} catch (error) {
    if (SHOTS) {
        for (const [index, page] of context.pages().entries())
            await page.screenshot({ path: `${SHOTS}/failure-${index}.png` });
    }
    console.error(error, complaints);
    process.exitCode = 1;
} finally {
    await browser.close();
}
