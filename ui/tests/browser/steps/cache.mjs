// The cache: what takes room, a job with its notice, and last copies, which go only after a second, ticked question and the password.
export async function cache({ page, url, say, look, go, text, button, check }) {
    await go('cache');
    await text(say('cache_place_local')).waitFor();
    await look('cache');
    await button('cache_check_go').click();
    await page.getByText(say('job_check_files'), { exact: true }).first().waitFor();
    await text(say('job_done_nothing')).waitFor();

    await button('cache_last_go').click();
    const question = page.getByRole('dialog');
    const verb = question
        .getByRole('button', { name: say('ui_cancel'), exact: true })
        .locator('xpath=following-sibling::button');
    await verb.waitFor();
    check('last copies are not lost by one click', await verb.isDisabled());
    await look('cache-last-copies');
    await question.getByRole('checkbox').click();
    check('a tick alone is not enough', await verb.isDisabled());
    await question.locator('input[type="password"]').fill('correct horse');
    check('tick and password give leave', await verb.isEnabled());
    await question.getByRole('button', { name: say('ui_cancel') }).click();
    await question.waitFor({ state: 'hidden' });
    const { images } = await (await page.request.get(`${url}/admin/api/stats`)).json();
    check('nothing went', images.local === images.total);
}
