// The connect card: address and key to copy (the key only after the password), and a check that opens the link of a picture.
export async function connect({ page, say, button, text, look, check }) {
    const key = page.getByText('•'.repeat(16));
    await key.waitFor();
    await button('connect_key_show').click();
    const question = page.getByRole('dialog');
    const verb = question.getByRole('button', { name: say('settings_key_show'), exact: true });
    await question.locator('input[type="password"]').fill('wrong horse');
    await verb.click();
    await question.getByText(say('login_password_wrong')).waitFor();
    await look('dashboard-password');
    await question.locator('input[type="password"]').fill('correct horse');
    await verb.click();
    await question.waitFor({ state: 'hidden' });
    await page.getByText(/^pg-/).first().waitFor();
    await page.getByRole('button', { name: say('connect_copy', { name: say('connect_key') }) }).click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    check('the key was copied', /^pg-[0-9a-f]{48}$/.test(copied));
    await button('connect_key_hide').click();
    await page.getByRole('radio', { name: say('connect_host') }).click();
    await button('connect_check').click();
    await text(say('connect_check_ok')).waitFor();
    const link = page.getByRole('link', { name: /\/images\// });
    const opened = await page.request.get(await link.getAttribute('href'));
    check('the link that was tried is a picture', opened.headers()['content-type'].startsWith('image/'));
    // Whether a container can come in depends on this computer; the card says in words what it found.
    const where = page.getByRole('radiogroup', { name: say('connect_where') }).getByRole('radio');
    await where.last().click();
    await button('connect_check').click();
    await text(say('connect_check_from_here')).waitFor();
    await look('dashboard-connect');
}
