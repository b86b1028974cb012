// The log: what happened stands there in words, comes in live, waits while paused, and is found, followed and cleared.
export async function logs({ page, say, look, go, until, button, draw, text, check }) {
    await go('logs');
    const rows = page.getByRole('listitem');
    const row = (words) => rows.filter({ hasText: words });
    await row(say('logs_asked_generations', { prompt: '雪山下的红狐狸' })).waitFor();
    await row('💾').first().waitFor();
    await row('⚙️').first().waitFor();
    await look('logs');

    await draw('正在直播的狗');
    await row('正在直播的狗').waitFor();
    await button('logs_pause').click();
    await draw('暂停时的鸟');
    await page.getByRole('button', { name: /条新记录$/ }).waitFor();
    check('what comes while it is paused waits', (await row('暂停时的鸟').count()) === 0);
    await button('logs_resume').click();
    await row('暂停时的鸟').waitFor();

    const search = page.getByRole('searchbox', { name: say('logs_search') });
    await search.fill('狐狸');
    await search.press('Enter');
    await until('one row', async () => (await row('📤').count()) === 1 && (await row('直播').count()) === 0);
    const found = row('雪山下的红狐狸');
    await found.getByRole('button').first().click();
    await text(say('logs_fact_duration')).waitFor();
    await look('logs-unfolded');
    await found
        .getByRole('button', { name: new RegExp(say('logs_follow')) })
        .last()
        .click();
    await row('💾').waitFor();
    await until('lines and record of one request', async () => (await row('📤').count()) === 1);
    await look('logs-request');
    await page.getByRole('button', { name: new RegExp(say('logs_all_requests')) }).click();
    await row('暂停时的鸟').waitFor();

    await page
        .getByRole('combobox', { name: new RegExp(`^${say('logs_level')}`) })
        .or(page.getByRole('button', { name: new RegExp(`^${say('logs_level')}`) }))
        .click();
    await page.getByRole('option', { name: say('logs_least_error') }).click();
    await text(say('logs_none_title')).waitFor();
    await look('logs-none');
    await button('logs_widen').click();
    await row('暂停时的鸟').waitFor();

    await button('logs_clear').click();
    const question = page.getByRole('alertdialog');
    await question.getByText(say('logs_clear_title')).waitFor();
    await look('logs-clear');
    await question.getByRole('button', { name: say('logs_clear_verb') }).click();
    await until('an empty log', async () => (await row('📤').count()) === 0);
    await draw('清除之后');
    await row('清除之后').waitFor();
}
