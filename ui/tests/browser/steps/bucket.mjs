// A bucket that cannot be reached: the dashboard says so by itself, the test names the step that failed, and both are over
// once it is switched off.
export async function bucket({ page, url, say, look, go, text, button, until, check }) {
    const set = async (values) => {
        const answer = await page.request.patch(`${url}/admin/api/settings`, {
            headers: { 'X-PicGate': '1' },
            data: { values, password: 'correct horse' },
        });
        check(`the settings are taken: ${await answer.text()}`, answer.ok());
    };
    await go('dashboard');
    // Nothing listens on this port.
    await set({
        s3_endpoint: 'http://127.0.0.1:9',
        r2_access_key_id: 'key',
        r2_secret_access_key: 'secret',
        r2_bucket: 'pictures',
    });
    const notice = page
        .getByRole('alert')
        .filter({ hasText: say('dash_bucket_away', { reason: say('bucket_e_unreachable') }) });
    await notice.waitFor();
    await until('the figures', async () => (await page.getByText(say('dash_off')).count()) === 0);
    await look('bucket-away');
    await notice.getByRole('button', { name: say('dash_bucket_do') }).click();
    await page.waitForURL('**/settings/bucket');

    await button('bucket_test').click();
    await text(say('bucket_step_reach_failed')).waitFor();
    check('what went well keeps its words', await text(say('bucket_step_settings')).isVisible());
    check('what failed does not', (await page.getByText(say('bucket_step_reach')).count()) === 0);
    await look('bucket-test-failed');

    await go('dashboard');
    await notice.waitFor();
    await set({ s3_endpoint: '', r2_access_key_id: '', r2_secret_access_key: '', r2_bucket: '' });
    await notice.waitFor({ state: 'detached' });
}
