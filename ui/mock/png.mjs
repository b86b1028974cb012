// Draws small deterministic pictures as PNG with nothing but zlib: a sky, hills and a sun in colours of the seed.
import { crc32 as zlibCrc, deflateSync } from 'node:zlib';

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c >>> 0;
});

function crc(buffer) {
    if (zlibCrc) return zlibCrc(buffer);
    let c = 0xffffffff;
    for (const byte of buffer) c = TABLE[(c ^ byte) & 0xff] ^ (c >>> 8);
    return (c ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(data.length, 0);
    head.write(type, 4, 'latin1');
    const tail = Buffer.alloc(4);
    tail.writeUInt32BE(crc(Buffer.concat([head.subarray(4), data])), 0);
    return Buffer.concat([head, data, tail]);
}

/** Pseudo-random numbers in 0…1 from a seed. */
export function random(seed) {
    let a = seed >>> 0;
    return () => {
        a = (a + 0x6d2b79f5) >>> 0;
        let t = Math.imul(a ^ (a >>> 15), a | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

function colour(hue, saturation, lightness) {
    const f = (n) => {
        const k = (n + hue / 30) % 12;
        const a = saturation * Math.min(lightness, 1 - lightness);
        return Math.round(255 * (lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
    };
    return [f(0), f(8), f(4)];
}

export function picture(seed, width, height) {
    const next = random(seed);
    const hue = next() * 360;
    const sky = [colour(hue, 0.65, 0.35 + next() * 0.3), colour((hue + 40) % 360, 0.7, 0.75)];
    const sun = {
        x: 0.2 + next() * 0.6,
        y: 0.15 + next() * 0.3,
        r: 0.06 + next() * 0.1,
        c: colour((hue + 180) % 360, 0.8, 0.7),
    };
    const hills = [0.55, 0.68, 0.82].map((base, i) => ({
        base: base + next() * 0.05,
        wave: 3 + next() * 6,
        phase: next() * 6,
        tall: 0.03 + next() * 0.08,
        c: colour((hue + 120 + i * 25) % 360, 0.35, 0.42 - i * 0.1),
    }));
    const raw = Buffer.alloc(height * (width * 3 + 1));
    const scale = Math.max(width, height);
    let at = 0;
    for (let y = 0; y < height; y += 1) {
        raw[at++] = 0;
        const v = y / height;
        for (let x = 0; x < width; x += 1) {
            const u = x / width;
            let c = sky[0].map((from, i) => from + (sky[1][i] - from) * v);
            if (Math.hypot(x - sun.x * width, y - sun.y * height) < sun.r * scale) c = sun.c;
            for (const hill of hills) {
                if (v > hill.base + Math.sin(u * hill.wave + hill.phase) * hill.tall) c = hill.c;
            }
            raw[at++] = c[0];
            raw[at++] = c[1];
            raw[at++] = c[2];
        }
    }
    const ihdr = Buffer.alloc(13);
    ihdr.writeUInt32BE(width, 0);
    ihdr.writeUInt32BE(height, 4);
    ihdr.set([8, 2, 0, 0, 0], 8);
    return Buffer.concat([
        Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
        chunk('IHDR', ihdr),
        chunk('IDAT', deflateSync(raw, { level: 1 })),
        chunk('IEND', Buffer.alloc(0)),
    ]);
}
