//! Hostile pictures: each ends quickly, in an error or a thumbnail, without growing the process.
//!
//! Peak memory is read from `/proc/self/status` and shared by all tests of the process, so the bound is asserted
//! on the process as a whole after every file.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::ImageFormat;

use super::tests::{encoded, flag, png_chunk, with_file};
use super::*;

/// Generous: tests run unoptimised and beside others. Release figures are a tenth.
const TIME_MAX: Duration = Duration::from_secs(60);
const MEMORY_MAX_KB: u64 = 300 << 10;

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

fn run(name: &str, bytes: &[u8], media: MediaType) -> Result<Vec<u8>, ThumbnailError> {
    // One at a time: the memory of the whole process is looked at.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let started = Instant::now();
    let made = with_file(bytes, |path| {
        let _ = pixel_size(path);
        make(path, media)
    });
    assert!(started.elapsed() < TIME_MAX, "{name} took {:?}", started.elapsed());
    assert!(peak_kb() < MEMORY_MAX_KB, "{name}: peak {} KB", peak_kb());
    made
}

fn refused(name: &str, bytes: &[u8], media: MediaType) -> ThumbnailError {
    run(name, bytes, media).err().unwrap_or_else(|| panic!("{name} was accepted"))
}

fn ihdr(width: u32, height: u32, depth: u8, color: u8) -> Vec<u8> {
    let mut data = [width.to_be_bytes(), height.to_be_bytes()].concat();
    data.extend([depth, color, 0, 0, 0]);
    [b"\x89PNG\r\n\x1a\n", &png_chunk(b"IHDR", &data)[..]].concat()
}

fn zeros(mut count: usize) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = vec![0; 1 << 16];
    while count > 0 {
        let part = count.min(block.len());
        out.write_all(&block[..part]).unwrap();
        count -= part;
    }
    out.finish().unwrap()
}

fn noise(count: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn png_bombs() {
    let end = png_chunk(b"IEND", b"");
    let bits = png_chunk(b"IDAT", &zeros(60_000 * 7_501));
    for (name, head, idat) in [
        ("60000² 1 bit", ihdr(60_000, 60_000, 1, 0), &bits),
        ("20000² rgb", ihdr(20_000, 20_000, 8, 2), &bits),
        ("2^31 wide", ihdr(0x7fff_ffff, 1, 8, 2), &bits),
        ("2^31 tall", ihdr(1, 0x7fff_ffff, 8, 2), &bits),
    ] {
        let error = refused(name, &[&head[..], idat, &end].concat(), MediaType::Png);
        assert!(matches!(error, ThumbnailError::TooLarge { .. }), "{name}: {error}");
    }
    for (name, head) in [("no width", ihdr(0, 5, 8, 2)), ("depth 3", ihdr(5, 5, 3, 2))] {
        let error = refused(name, &[&head[..], &bits[..], &end].concat(), MediaType::Png);
        assert!(matches!(error, ThumbnailError::Damaged(_)), "{name}: {error}");
    }
}

#[test]
fn png_worst_accepted() {
    // 39 Mpx of 16-bit RGBA, and a header that promises more rows than there are.
    let data = png_chunk(b"IDAT", &zeros(6_200 * (6_200 * 8 + 1)));
    run("6200² rgba16", &[&ihdr(6_200, 6_200, 16, 6)[..], &data].concat(), MediaType::Png).unwrap();
    let few = png_chunk(b"IDAT", &zeros(6_000 * 3 * 10));
    run("lying", &[&ihdr(6_000, 6_000, 8, 2)[..], &few].concat(), MediaType::Png).unwrap();
}

/// Peak memory belongs to a process, so this test runs itself again, alone, and measures there.
#[test]
fn png_metadata_bombs() {
    const ALONE: &str = "THUMBNAIL_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = concat!(module_path!(), "::png_metadata_bombs");
        let name = name.split_once("::").unwrap().1;
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name]).env(ALONE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let picture = encoded(flag(50, 50), ImageFormat::Png);
    let bomb = zeros(128 << 20);
    let before = peak_kb();
    for (kind, head) in [(b"iCCP", &b"a\0\0"[..]), (b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\x01\0\0\0")] {
        let mut bytes = picture.clone();
        bytes.splice(33..33, png_chunk(kind, &[head, &bomb].concat()));
        run("metadata bomb", &bytes, MediaType::Png).unwrap();
    }
    let mut bytes = picture;
    bytes.splice(33..33, png_chunk(b"tEXt", b"k\0v").repeat(100_000));
    run("100 k chunks", &bytes, MediaType::Png).unwrap();
    assert!(peak_kb() - before < 24 << 10, "grew from {before} to {} KB", peak_kb());
}

#[test]
fn gif_and_webp_canvases() {
    let mut gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02L\x01\0;".to_vec();
    let error = refused("gif 65535²", &gif, MediaType::Gif);
    assert!(matches!(error, ThumbnailError::TooLarge { .. }), "{error}");
    // Small canvas, huge frame.
    gif[6..10].copy_from_slice(&[1, 0, 1, 0]);
    refused("gif frame 65535²", &gif, MediaType::Gif);

    let riff = |chunks: &[u8]| [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", chunks].concat();
    let vp8x = |flags: u8, w: [u8; 3], h: [u8; 3]| [b"VP8X\x0a\0\0\0", &[flags, 0, 0, 0][..], &w, &h].concat();
    let lossy = b"VP8 \x14\0\0\0\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f0000000000";
    let lossless = b"VP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f00000";
    let small = [99, 0, 0];
    for (name, chunks) in [
        ("canvas 16384²", vp8x(0, [0xff, 0x3f, 0], [0xff, 0x3f, 0])),
        ("canvas 2^24", vp8x(2, [0xff; 3], [0xff; 3])),
        ("lossy 16383²", lossy.to_vec()),
        ("lossless 16384²", lossless.to_vec()),
        ("small canvas, huge lossy", [&vp8x(0, small, small)[..], lossy].concat()),
        ("small canvas, huge lossless", [&vp8x(0, small, small)[..], lossless].concat()),
        (
            "small canvas, huge frame",
            [&vp8x(2, small, small)[..], b"ANIM\x06\0\0\0\0\0\0\0\0\0ANMF\x2c\0\0\0\0\0\0\0\0\0", &[99, 0, 0, 99, 0, 0, 0, 0, 0, 0], lossy]
                .concat(),
        ),
    ] {
        let error = refused(name, &riff(&chunks), MediaType::Webp);
        assert!(matches!(error, ThumbnailError::TooLarge { .. }), "{name}: {error}");
    }
}

#[test]
fn jpeg_work_bombs() {
    // Empty scans over a large progressive picture, endless tables, endless comments.
    let frame = |kind: u8, edge: u16| {
        let edge = edge.to_be_bytes();
        let size = [edge, edge].concat();
        [&[0xff, 0xd8, 0xff, kind, 0, 17, 8], &size[..], &[3, 1, 17, 0, 2, 17, 0, 3, 17, 0]].concat()
    };
    let scan = b"\xff\xda\0\x08\x01\x01\0\0\0\0";
    let error = refused("scans", &[&frame(0xc2, 4000)[..], &scan.repeat(50_000)].concat(), MediaType::Jpeg);
    assert!(matches!(error, ThumbnailError::TooLarge { .. }), "{error}");
    let error = refused("coefficients", &frame(0xc2, 6000), MediaType::Jpeg);
    assert!(matches!(error, ThumbnailError::TooLarge { .. }), "{error}");
    refused("65535²", &frame(0xc0, 65_535), MediaType::Jpeg);
    let table = [&b"\xff\xc4\0\x14\0\x01"[..], &[0; 15], &[0]].concat();
    refused("tables", &[b"\xff\xd8", &table.repeat(200_000)[..]].concat(), MediaType::Jpeg);
    refused("comments", &[b"\xff\xd8", &b"\xff\xfe\0\x02".repeat(7_000_000)[..]].concat(), MediaType::Jpeg);
}

#[test]
fn signature_and_noise() {
    let heads: [(&[u8], MediaType); 4] = [
        (b"\x89PNG\r\n\x1a\n", MediaType::Png),
        (b"\xff\xd8\xff", MediaType::Jpeg),
        (b"GIF89a", MediaType::Gif),
        (b"RIFF\xff\xff\xff\x7fWEBP", MediaType::Webp),
    ];
    let noise = noise(30 << 20);
    for (head, media) in heads {
        for bytes in [b"", &head[..1], head, &[head, &noise[..]].concat(), &noise] {
            refused("noise", bytes, media);
        }
    }
}

#[test]
fn cut_and_flipped() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
        let whole = encoded(flag(700, 500), format);
        let media = MediaType::sniff(&whole).unwrap();
        for part in 0..40 {
            let _ = run("cut", &whole[..whole.len() * part / 40], media);
            let mut flipped = whole.clone();
            flipped[whole.len() * part / 40] ^= 0x55;
            let _ = run("flipped", &flipped, media);
        }
        if matches!(format, ImageFormat::Png | ImageFormat::Jpeg) {
            run("nearly whole", &whole[..whole.len() - 30], media).unwrap();
        }
    }
    let half = encoded(flag(3000, 3000), ImageFormat::Jpeg);
    run("half a JPEG", &half[..half.len() / 2], MediaType::Jpeg).unwrap();
}
