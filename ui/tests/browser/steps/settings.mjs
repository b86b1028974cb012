// Settings save themselves, mark what is wrong, warn before something is lost, and keep what was typed when the server fails.
export async function settings({ page, url, say, look, go, text, until, button, check }) {
    const field = (key) => page.locator(`[data-setting="${key}"] input`);
    const stored = async (key) => {
        const { items } = await (await page.request.get(`${url}/admin/api/settings`)).json();
        return items.find((item) => item.key === key).value;
    };
    const section = async (name) => {
        await page.getByRole('link', { name: say(`settings_s_${name}`), exact: true }).click();
        await page.waitForURL(`**/settings/${name}`);
    };
    await go('settings');
    await look('settings');
    await section('gateway');
    await field('gateway_model').fill('my-painter');
    // Nobody presses a button: it is saved by itself, though the field keeps the focus.
    await until('the saving', async () => (await stored('gateway_model')) === 'my-painter');
    await text(say('settings_state_saved', { time: '' }).trim()).waitFor();
    await look('settings-gateway');
    await field('gateway_model').fill('picgate');
    await until('the saving', async () => (await stored('gateway_model')) === 'picgate');

    await section('history');
    await field('history_images').fill('900');
    await until('the mark', () =>
        field('history_images').evaluate((input) => input.getAttribute('aria-invalid') === 'true'),
    );
    await look('settings-wrong');
    await page
        .getByRole('link', { name: say('nav_dashboard'), exact: true })
        .first()
        .click();
    const question = page.getByRole('alertdialog');
    await question.getByText(say('settings_leave_title')).waitFor();
    await question.getByRole('button', { name: say('ui_cancel') }).click();
    check('what was typed is still there', (await field('history_images').inputValue()) === '900');
    await field('history_images').fill('5');
    await until('the saving', async () => (await stored('history_images')) === '5');

    const broken = (route) =>
        route.request().method() === 'PATCH' ? route.abort('connectionrefused') : route.fallback();
    await page.route('**/admin/api/settings', broken);
    await field('history_images').fill('6');
    await text(say('settings_state_failed')).waitFor();
    check('a failure loses no input', (await field('history_images').inputValue()) === '6');
    await page.unroute('**/admin/api/settings', broken);
    await button('ui_retry').click();
    await until('the saving', async () => (await stored('history_images')) === '6');
    for (const name of ['upstreams', 'conversation', 'security', 'account']) {
        await section(name);
        await look(`settings-${name}`);
    }
}
