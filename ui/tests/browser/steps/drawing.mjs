// A test picture on the dashboard goes the whole path; others come from a client, and the figures follow by themselves.
export async function drawing({ page, say, look, button, until, draw }) {
    await page.getByLabel(say('test_prompt')).fill('雪山下的红狐狸');
    await button('test_draw').click();
    const shown = page.locator('[role="status"] img');
    await shown.waitFor();
    await until('the picture', () => shown.evaluate((image) => image.naturalWidth > 0));
    await look('dashboard');
    await draw('窗边的猫');
    await draw('a harbour at dusk');
    const total = page.getByRole('link', { name: new RegExp(say('dash_images')) }).first();
    await until('three pictures in the figures', async () => /3/.test(await total.innerText()));
    await page.getByRole('link', { name: /^a harbour at dusk/ }).waitFor();
}
