// The gallery: found by words of one and two characters, looked at, deleted after a question.
export async function gallery({ page, say, look, go, until, check }) {
    await go('gallery');
    const tiles = page.getByRole('gridcell');
    const shows = (count) => until(`${count} pictures`, async () => (await tiles.count()) === count);
    await shows(3);
    await until('thumbnails', () =>
        page.evaluate(() =>
            [...document.querySelectorAll('[role="gridcell"] img')].every((image) => image.naturalWidth > 0),
        ),
    );
    await look('gallery');
    const search = page.getByRole('searchbox', { name: say('gallery_search') });
    for (const [words, count] of [
        ['狐狸', 1],
        ['猫', 1],
        ['雪', 1],
        ['HARBOUR', 1],
        ['狐猫', 0],
    ]) {
        await search.fill(words);
        await search.press('Enter');
        await until(`the search for ${words}`, () =>
            Promise.resolve(new URL(page.url()).searchParams.get('q') === words),
        );
        if (count === 0) await page.getByText(say('gallery_none_title')).waitFor();
        else await shows(count);
    }
    await search.press('Escape');
    await shows(3);

    await tiles.first().getByRole('link').click();
    const viewer = page.getByRole('dialog');
    const picture = viewer.locator('img').first();
    await until('the large picture', () =>
        picture.evaluate((image) => image.naturalWidth >= 512).catch(() => false),
    );
    await viewer.getByText('a harbour at dusk').first().waitFor();
    await look('viewer');
    await page.keyboard.press('ArrowRight');
    await viewer.getByText('窗边的猫').first().waitFor();
    await page.keyboard.press('Delete');
    const question = page.getByRole('alertdialog');
    await question.waitFor();
    await look('gallery-delete');
    await page.keyboard.press('Enter');
    await question.waitFor({ state: 'hidden' });
    check('Enter by habit deletes nothing', await viewer.getByText('窗边的猫').first().isVisible());
    await page.keyboard.press('Delete');
    await question.getByRole('button').last().click();
    await question.waitFor({ state: 'hidden' });
    await viewer.getByText('雪山下的红狐狸').first().waitFor();
    await viewer.getByRole('button', { name: say('viewer_close') }).click();
    await viewer.waitFor({ state: 'hidden' });
    await shows(2);
}
