// The whole admin UI as a person walks through it, in a real browser before the real program. Started by
// tests/it/browser.rs with PICGATE_URL, PICGATE_TICKET and PICGATE_CHROMIUM; SHOTS names a folder for screenshots.
import { open } from './browser.mjs';
import { appearance } from './steps/appearance.mjs';
import { bucket } from './steps/bucket.mjs';
import { cache } from './steps/cache.mjs';
import { connect } from './steps/connect.mjs';
import { drawing } from './steps/drawing.mjs';
import { gallery } from './steps/gallery.mjs';
import { logs } from './steps/logs.mjs';
import { ownKey } from './steps/own_key.mjs';
import { settings } from './steps/settings.mjs';
import { setUp } from './steps/set_up.mjs';
import { signOut } from './steps/sign_out.mjs';

const {
    PICGATE_URL: url,
    PICGATE_TICKET: ticket,
    PICGATE_CHROMIUM: executablePath,
    SHOTS: shots,
} = process.env;

const walk = await open({ url, executablePath, shots });
walk.ticket = ticket;
const steps = {
    'set up': setUp,
    drawn: drawing,
    connected: connect,
    'looked through': gallery,
    'settings kept': settings,
    'key replaced': ownKey,
    'cache kept': cache,
    'log read': logs,
    'bucket away': bucket,
    switched: appearance,
    'signed out': signOut,
};
try {
    for (const [name, step] of Object.entries(steps)) {
        const began = Date.now();
        await step(walk);
        console.log(`ok: ${name} (${Date.now() - began} ms)`);
    }
    if (walk.complaints.length > 0) throw new Error(walk.complaints.join('\n'));
} catch (error) {
    if (shots) await walk.page.screenshot({ path: `${shots}/failure.png` });
    console.error(error, walk.complaints);
    console.error(await walk.page.locator('body').innerText());
    process.exitCode = 1;
} finally {
    await walk.browser.close();
}
