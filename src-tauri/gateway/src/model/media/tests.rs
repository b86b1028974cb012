//! Magic numbers, near misses, trailers and chunking.

use super::*;

fn ftyp(brands: &[&[u8; 4]]) -> Vec<u8> {
    let mut bytes = ((8 + 4 * (brands.len() + 1)) as u32).to_be_bytes().to_vec();
    bytes.extend(b"ftyp");
    bytes.extend(brands[0]);
    bytes.extend([0; 4]);
    brands[1..].iter().for_each(|brand| bytes.extend(*brand));
    bytes.extend([0; 40]);
    bytes
}

fn webp(len: usize, size_field: u32) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(size_field.to_le_bytes());
    bytes.extend(b"WEBPVP8 ");
    bytes.resize(len, 7);
    bytes
}

fn file(head: &[u8], end: &[u8]) -> Vec<u8> {
    [head, &[9; 100], end].concat()
}

fn complete(bytes: &[u8]) -> bool {
    let mut follow = Completeness::new();
    follow.feed(bytes);
    follow.looks_complete()
}

#[test]
fn sniffs_every_type() {
    for (bytes, want) in [
        (PNG_SIGNATURE.to_vec(), MediaType::Png),
        (b"\xff\xd8\xff\xe0".to_vec(), MediaType::Jpeg),
        (b"GIF87a".to_vec(), MediaType::Gif),
        (b"GIF89a\x01".to_vec(), MediaType::Gif),
        (webp(40, 32), MediaType::Webp),
        (ftyp(&[b"avif", b"mif1"]), MediaType::Avif),
        (ftyp(&[b"avis"]), MediaType::Avif),
        (ftyp(&[b"mif1", b"miaf", b"avif"]), MediaType::Avif),
        (ftyp(&[b"heic", b"mif1"]), MediaType::Heic),
        (ftyp(&[b"hevx"]), MediaType::Heic),
        (ftyp(&[b"mif1", b"heic"]), MediaType::Heic),
        (ftyp(&[b"msf1", b"hevc"]), MediaType::Heic),
    ] {
        assert_eq!(MediaType::sniff(&bytes), Some(want), "{bytes:?}");
    }
}

#[test]
fn refuses_everything_else() {
    for bytes in [
        &b""[..],
        b"\x89",
        b"\x89PNG\r\n\x1a",
        b"\x89PNG\n\n\x1a\n",
        b"\xff\xd8",
        b"GIF88a",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"RIFF\0\0\0\0WEB",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xef\xbb\xbf<?xml?><svg/>",
        b"<!doctype html>",
        b"<script>\x89PNG\r\n\x1a\n",
        b"{\"error\":1}",
        b"BM\x46\0\0\0",
        b"II*\0",
        b"MM\0*",
        b"\0\0\x01\0\x01\0",
        b"\xff\x0a",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"MZ",
        b"\0\0\0\x0cftyp",
        b"\0\0\0\x10ftypmif1\0\0\0\0",
    ] {
        assert_eq!(MediaType::sniff(bytes), None, "{bytes:?}");
    }
    for brands in [&[b"isom", b"avif"][..], &[b"mp42"], &[b"M4V ", b"heic"], &[b"mif1", b"miaf"]] {
        assert_eq!(MediaType::sniff(&ftyp(brands)), None);
    }
    // A brand after the end of the box is not a brand.
    let mut short = ftyp(&[b"mif1", b"heic"]);
    short[3] = 16;
    assert_eq!(MediaType::sniff(&short), None);
}

#[test]
fn mime_and_extension() {
    for media in MediaType::ALL {
        assert_eq!(MediaType::from_mime(media.mime()), Some(media));
        assert!(!media.extension().contains('.'));
        assert_eq!(media.is_inline(), media != MediaType::Heic);
    }
    assert_eq!(MediaType::from_mime(" IMAGE/JPG ; q=1"), Some(MediaType::Jpeg));
    assert_eq!(MediaType::from_mime("image/svg+xml"), None);
    assert_eq!(MediaType::from_mime(""), None);
}

#[test]
fn trailers() {
    assert!(complete(&file(PNG_SIGNATURE, PNG_END)));
    assert!(complete(&file(PNG_SIGNATURE, &[PNG_END, b"\r\n"].concat())));
    assert!(!complete(&file(PNG_SIGNATURE, &[PNG_END, b"<b>"].concat())));
    assert!(!complete(&file(PNG_SIGNATURE, &PNG_END[..11])));
    assert!(!complete(PNG_SIGNATURE));
    assert!(complete(&file(b"\xff\xd8\xff", b"\xff\xd9")));
    assert!(complete(&file(b"\xff\xd8\xff", b"\xff\xd9\0\0\0\0\0\n")));
    assert!(complete(&file(b"\xff\xd8\xff", &[b"\xff\xd9", &[0; 14][..]].concat())));
    assert!(!complete(&file(b"\xff\xd8\xff", b"\xff")));
    assert!(!complete(b"\xff\xd8\xff"));
    assert!(complete(&file(b"GIF89a", b"\0\x3b")));
    assert!(!complete(&file(b"GIF89a", b"")));
    assert!(!complete(b"GIF89a\x3b"));
    assert!(complete(&webp(100, 92)));
    assert!(complete(&webp(101, 92)));
    assert!(!complete(&webp(99, 92)));
    assert!(!complete(&webp(102, 92)));
    assert!(complete(&ftyp(&[b"avif"])));
    assert!(!complete(&ftyp(&[b"avif"])[..32]));
    assert!(!complete(b"<html></html>"));
    assert!(!complete(b""));
}

#[test]
fn any_chunking_gives_the_same_answer() {
    let files = [
        file(PNG_SIGNATURE, PNG_END),
        file(PNG_SIGNATURE, &PNG_END[..9]),
        file(b"\xff\xd8\xff", b"\xff\xd9\0"),
        file(b"GIF89a", b";"),
        webp(100, 92),
        ftyp(&[b"heic"]),
        b"GIF".to_vec(),
    ];
    let mut state = 12345u32;
    for bytes in &files {
        let mut whole = Completeness::new();
        whole.feed(bytes);
        for round in 0..200 {
            let mut follow = Completeness::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let most = if round == 0 { 1 } else { 40 };
                let n = ((state >> 16) as usize % (most + 1)).min(rest.len());
                follow.feed(&rest[..n]);
                rest = &rest[n..];
            }
            assert_eq!(follow.looks_complete(), whole.looks_complete());
            assert_eq!(follow.len(), bytes.len() as u64);
            assert_eq!(follow.head(), &bytes[..bytes.len().min(32)]);
            assert_eq!(follow.tail, whole.tail);
        }
    }
}
