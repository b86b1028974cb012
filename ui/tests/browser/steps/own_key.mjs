// A gateway key of one's own: the question for the password stands before the dialog that led to it, and a window that shows
// the old key forgets it.
export async function ownKey(walk) {
    const { page, context, url, say, look, go, button, until } = walk;
    const dots = (window) => window.getByText('•'.repeat(16));
    const other = await context.newPage();
    await other.goto(`${url}/admin/dashboard`);
    await other.getByRole('button', { name: say('connect_key_show'), exact: true }).click();
    const asked = other.getByRole('dialog');
    await asked.locator('input[type="password"]').fill('correct horse');
    await asked.getByRole('button', { name: say('settings_key_show'), exact: true }).click();
    await other.getByText(/^pg-/).first().waitFor();

    await go('settings');
    await page.getByRole('link', { name: say('settings_s_gateway'), exact: true }).click();
    const shown = page.getByRole('textbox', { name: say('settings_key_title'), exact: true });
    for (const width of [390, 1280]) {
        await page.setViewportSize({ width, height: 900 });
        await button('settings_key_own').click();
        const dialog = page.getByRole('dialog', { name: say('settings_key_own_title') });
        await dialog.locator('input').fill(`own-key-${width}`);
        await dialog.getByRole('button', { name: say('settings_key_new_verb') }).click();
        const question = page.getByRole('dialog', { name: say('settings_key_new_title') });
        // With the mouse, which reaches only what nothing covers.
        await question.locator('input[type="password"]').click();
        await page.keyboard.type('correct horse');
        await look(`settings-own-key-${width}`);
        await question.getByRole('button', { name: say('settings_key_new_verb') }).click();
        await dialog.waitFor({ state: 'hidden' });
        await until('the new key', async () => (await shown.inputValue()) === `own-key-${width}`);
    }
    walk.key = undefined;

    await dots(other).waitFor();
    await other.close();
}
