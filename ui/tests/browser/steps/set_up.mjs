// The first visit: the ticket from the log, an account with a good password, the upstream, the client.
export async function setUp({ page, url, ticket, say, look, button, text, check }) {
    await page.goto(`${url}/admin?ticket=${ticket}`);
    const password = page.locator('input[name="password"]');
    await password.waitFor();
    check('the ticket does not stay in the address', !page.url().includes(ticket));
    await look('setup');
    await password.fill('12345678');
    await page.locator('button[type="submit"]').click();
    await text('最先被人尝试').waitFor();
    await password.fill('correct horse');
    await page.locator('button[type="submit"]').click();
    await button('setup_next').waitFor();
    await look('setup-upstream');
    // Whoever closes the page in the middle goes on where they stopped, whichever way they come back.
    await page.reload();
    await button('setup_next').waitFor();
    await page.goto(`${url}/admin`);
    await button('setup_next').click();
    await button('test_draw').waitFor();
    // The password was typed before the page was loaded anew: it is asked for again.
    await button('connect_key_show').click();
    const question = page.getByRole('dialog');
    await question.locator('input[type="password"]').fill('correct horse');
    await question.getByRole('button', { name: say('settings_key_show'), exact: true }).click();
    await page.getByText(/^pg-/).first().waitFor();
    await look('setup-connect');
    await page.goto(`${url}/admin/dashboard`);
    await button('setup_finish').click();
    await text(say('dash_images')).waitFor();
    await page.goto(`${url}/admin`);
    await text(say('dash_images')).waitFor();
    check('the first run is over', page.url().endsWith('/admin/dashboard'));
}
