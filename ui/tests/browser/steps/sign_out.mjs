// Out by the account menu, nothing is to be seen after that, and in again to the page one wanted.
export async function signOut({ page, url, say, look, button, check }) {
    await button('frame_account_menu').click();
    await page.getByRole('menuitem', { name: say('frame_sign_out') }).click();
    const name = page.locator('input[name="username"]');
    await name.waitFor();
    await page.goto(`${url}/admin/logs`);
    await name.waitFor();
    check('the session is over', (await page.request.get(`${url}/admin/api/stats`)).status() === 401);
    await look('login');
    await name.fill('admin');
    await page.locator('input[name="password"]').fill('correct horse');
    await page.locator('button[type="submit"]').click();
    await page.getByRole('heading', { level: 1, name: say('nav_logs') }).waitFor();
}
