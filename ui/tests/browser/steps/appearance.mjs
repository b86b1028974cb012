// Dark and light, English and Chinese, wide and as narrow as a phone: every page in each.
const PAGES = ['dashboard', 'gallery', 'cache', 'logs', 'settings'];

export async function appearance(walk) {
    const { page, say, look, go, until, button } = walk;
    await go('dashboard');
    const choose = async (menu, item) => {
        await button(menu).click();
        await page.getByRole('menuitemcheckbox', { name: item, exact: true }).click();
    };
    await choose('frame_theme', say('frame_theme_dark'));
    await until('darkness', () => page.evaluate(() => document.documentElement.classList.contains('dark')));
    for (const name of PAGES) {
        await go(name);
        await look(`${name}-dark`);
    }
    await choose('frame_language', 'English');
    walk.locale = 'en';
    await page.setViewportSize({ width: 360, height: 740 });
    for (const name of PAGES) {
        await go(name);
        await look(`${name}-phone-english`);
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.reload();
    await page.getByRole('heading', { level: 1, name: say('nav_settings') }).waitFor();
    await page.goto(`${walk.url}/admin/about`);
    await page.getByRole('heading', { level: 1, name: say('nav_about') }).waitFor();
    await look('about-english');
    await choose('frame_theme', say('frame_theme_light'));
    await until('light', () => page.evaluate(() => !document.documentElement.classList.contains('dark')));
    await choose('frame_language', '简体中文');
    walk.locale = 'zh-CN';
    await page.getByRole('heading', { level: 1, name: say('nav_about') }).waitFor();
}
