//! The mechanism as a whole: any chunking gives the same output, and every image comes out byte for byte.

use proptest::prelude::*;

use super::{
    finder::{Ending, Form},
    scan::{BlobEvent, BlobStep, Nonce, ScanError, ScanLimits, Scanner, close_open},
    stream::{ChatStream, Step},
};
use crate::model::MediaType;

const NONCE: Nonce = Nonce([9; 16]);

/// An image as far as the scanner is concerned: a PNG signature and noise.
pub fn picture(seed: u32, len: usize) -> Vec<u8> {
    let noise = (0..len as u32).map(|i| (i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 11) as u8);
    b"\x89PNG\r\n\x1a\n".iter().copied().chain(noise).collect()
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    skeleton: String,
    blobs: Vec<(Form, Option<MediaType>, Vec<u8>, bool)>,
}

fn collect(blobs: &mut Vec<(Form, Option<MediaType>, Vec<u8>, bool)>, events: Vec<BlobEvent>) {
    for BlobEvent { index, what } in events {
        match what {
            BlobStep::Open(reference) => {
                assert_eq!(index, blobs.len());
                blobs.push((reference.form, reference.media, Vec::new(), false));
            }
            BlobStep::Bytes(bytes) => blobs[index].2.extend(bytes),
            BlobStep::Close(Ending::Open(mut decoder)) => {
                let mut rest = Vec::new();
                close_open(index, &mut decoder, &mut rest);
                collect(blobs, rest);
            }
            BlobStep::Close(ending) => blobs[index].3 = matches!(ending, Ending::Whole),
        }
    }
}

fn take(body: &[u8], chunks: impl Iterator<Item = usize>) -> Taken {
    let mut scanner = Scanner::new(NONCE, ScanLimits::default());
    let (mut events, mut at) = (Vec::new(), 0usize);
    for size in chunks.chain(std::iter::repeat(usize::MAX)) {
        let end = at.saturating_add(size.max(1)).min(body.len());
        scanner.feed(&body[at..end], &mut events).expect("within the limits");
        at = end;
        if at == body.len() {
            break;
        }
    }
    let skeleton = String::from_utf8(scanner.finish(&mut events)).expect("UTF-8");
    let mut taken = Taken { skeleton, blobs: Vec::new() };
    collect(&mut taken.blobs, events);
    taken
}

fn whole(body: &str) -> Taken {
    take(body.as_bytes(), std::iter::once(usize::MAX))
}

#[test]
fn images_leave_and_references_stay() {
    let (a, b) = (picture(1, 5000), picture(2, 31));
    let body = format!(
        r#"{{"data":[{{"b64_json":"{}"}},{{"url":"DATA:image/png;base64,{}","n":1.50}}],"t":"data: x, data:text/plain;base64,aGk= d"}}"#,
        base64(&a),
        base64(&b).replace('/', "\\/").replace('+', "\\u002b"),
    );
    let taken = whole(&body);
    let expected = format!(
        r#"{{"data":[{{"b64_json":"{}"}},{{"url":"{}","n":1.50}}],"t":"data: x, data:text/plain;base64,aGk= d"}}"#,
        NONCE.reference(0),
        NONCE.reference(1)
    );
    assert_eq!(taken.skeleton, expected);
    assert_eq!(taken.blobs[0], (Form::Bare, Some(MediaType::Png), a, true));
    assert_eq!(taken.blobs[1], (Form::DataUrl, Some(MediaType::Png), b, true));
    for step in 1..80 {
        assert_eq!(take(body.as_bytes(), std::iter::repeat(step)), taken, "in steps of {step}");
    }
}

#[test]
fn what_is_no_image_stays_or_is_kept_aside_as_it_was_written() {
    let long = "Qm9/".repeat(40_000).replace('/', "\\/");
    let body =
        format!(r#"{{"input_audio":{{"data":"{long}"}},"content":"data:video/mp4;base64,{long}= end","b64_json":"https://h/x.png"}}"#);
    let taken = whole(&body);
    assert!(taken.skeleton.len() < 3 * 65 * 1024, "{}", taken.skeleton.len());
    let mut back = taken.skeleton.clone();
    for (index, (form, _, text, _)) in taken.blobs.iter().enumerate() {
        assert_eq!(*form, Form::Verbatim);
        back = back.replace(&NONCE.reference(index), std::str::from_utf8(text).expect("text"));
    }
    assert!(back == body);
    for step in [1, 7, 4096, 70_000] {
        assert!(take(body.as_bytes(), std::iter::repeat(step)) == taken, "in steps of {step}");
    }
}

#[test]
fn limits_are_kept() {
    let limits = ScanLimits { skeleton: 1000, depth: 8 };
    let mut scanner = Scanner::new(NONCE, limits);
    assert_eq!(scanner.feed(" ".repeat(1001).as_bytes(), &mut Vec::new()), Err(ScanError::TooLarge(1000)));
    let mut scanner = Scanner::new(NONCE, limits);
    assert_eq!(scanner.feed(b"[[[[[[[[[", &mut Vec::new()), Err(ScanError::TooDeep(8)));
    // An image does not count.
    let mut scanner = Scanner::new(NONCE, limits);
    let body = format!(r#"{{"b64_json":"{}"}}"#, base64(&picture(3, 100_000)));
    assert_eq!(scanner.feed(body.as_bytes(), &mut Vec::new()), Ok(()));
}

/// A stream's answer to the client with references replaced by `<n>`, and its images.
fn streamed(body: &[u8], step: usize) -> (String, Vec<Vec<u8>>) {
    let mut stream = ChatStream::new(NONCE, ScanLimits::default(), Some("picgate".into()), false);
    let (mut steps, mut blobs, mut text) = (Vec::new(), Vec::new(), String::new());
    for chunk in body.chunks(step) {
        steps.extend(stream.feed(chunk).expect("within the limits"));
    }
    steps.extend(stream.finish());
    let mut closed = std::collections::HashSet::new();
    for step in steps {
        match step {
            Step::Blob(event) => {
                if matches!(event.what, BlobStep::Close(_)) {
                    closed.insert(event.index);
                }
                collect(&mut blobs, vec![event]);
            }
            Step::Fetch { .. } => panic!("nothing is elsewhere"),
            Step::Done => {}
            Step::Send(event) => {
                let mut bytes = String::from_utf8(event.bytes).expect("UTF-8");
                for index in 0..blobs.len() {
                    let reference = NONCE.reference(index);
                    assert!(!bytes.contains(&reference) || closed.contains(&index), "a link before its image");
                    bytes = bytes.replace(&reference, &format!("<{index}>"));
                }
                text.push_str(&bytes);
            }
        }
    }
    (text, blobs.into_iter().map(|b| b.2).collect())
}

fn content(stream: &str) -> String {
    stream
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn an_image_split_across_deltas_becomes_one_link() {
    let image = picture(5, 3000);
    let text = format!("Here is ![a cat](data:image/png;base64,{}) and d data", base64(&image));
    for piece in [1, 2, 3, 10, 999, 100_000] {
        let mut body = String::new();
        let chars: Vec<char> = text.chars().collect();
        for part in chars.chunks(piece) {
            let part: String = part.iter().collect();
            body.push_str(&format!(
                "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"delta\":{{\"content\":{}}}}}]}}\n\n",
                super::json::quote(&part)
            ));
        }
        for end in
            ["data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", "data: [DONE]\n\n", ""]
        {
            let (out, images) = streamed(format!("{body}{end}").as_bytes(), 4096);
            assert_eq!(content(&out), "Here is ![a cat](<0>) and d data", "in deltas of {piece}");
            assert_eq!(images, std::slice::from_ref(&image));
            assert!(!out.contains("\"m\""), "the upstream's model name is not shown");
        }
    }
}

#[test]
fn images_beside_the_text_of_a_stream_become_markdown() {
    let image = picture(6, 500);
    let body = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":null}}}}]}}\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"Done.\"}}}}]}}\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":null,\"images\":[{{\"image_url\":{{\"url\":\"data:image/png;base64,{}\"}}}}]}}}}]}}\n\n",
        base64(&image)
    );
    let (out, images) = streamed(body.as_bytes(), 100);
    assert_eq!(content(&out), "Done.![image](<0>)");
    assert_eq!(images, [image]);
    assert!(out.contains("\"role\":\"assistant\",\"content\":null"), "{out}");
    assert!(!out.contains("images"));
}

#[test]
fn plain_text_streams_token_by_token() {
    let event = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" and\"},\"logprobs\":null}]}\n\n";
    let mut stream = ChatStream::new(NONCE, ScanLimits::default(), None, false);
    for _ in 0..3 {
        let steps = stream.feed(event.as_bytes()).expect("within the limits");
        assert!(matches!(&steps[..], [Step::Send(sent)] if sent.bytes == event.as_bytes()), "{steps:?}");
    }
}

fn json_text() -> impl Strategy<Value = String> {
    let image = (any::<u32>(), 24usize..400, 0u8..6).prop_map(|(seed, len, spelling)| {
        let data = base64(&picture(seed, len));
        match spelling {
            0 => format!("data:image/png;base64,{data}"),
            1 => format!("![x](data:image/jpeg;charset=utf-8;base64,{})", data.replace('/', "\\/")),
            2 => format!("a data:data:image/png;base64,{} b", data.trim_end_matches('=')),
            3 => format!("(data:image/webp;base64,{})", data.replace('+', "-").replace('/', "_")),
            4 => data.chars().map(|c| if c == 'A' { "\\u0041".into() } else { c.to_string() }).collect(),
            _ => format!(
                "<img src=\\\"data:image/png;base64,{}\\\">",
                data.as_bytes().chunks(50).map(|l| String::from_utf8_lossy(l).into_owned()).collect::<Vec<_>>().join("\\n")
            ),
        }
    });
    let text = prop::sample::select(vec![
        "d",
        "dat",
        "data:",
        "\\n",
        "\\u4f60",
        "图",
        "![",
        "](",
        "data:image/png;base64,",
        "\\\"",
        "x",
        " ",
        "d\\u0061ta:",
        ";base64,",
    ]);
    let string = prop::collection::vec(prop_oneof![3 => text.prop_map(str::to_owned), 1 => image], 0..6).prop_map(|parts| parts.concat());
    let key = prop::sample::select(vec!["b64_json", "url", "content", "data", "x", "images"]);
    prop::collection::vec((key, string), 0..5).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(k, v)| format!("\"{k}\": [\"{v}\",\"{v}\", 1e3]")).collect();
        format!("{{{}}}", members.join(" , "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_chunking_gives_the_same_output(body in json_text(), sizes in prop::collection::vec(1usize..40, 0..60)) {
        let expected = whole(&body);
        prop_assert_eq!(&take(body.as_bytes(), std::iter::repeat(1)), &expected);
        prop_assert_eq!(&take(body.as_bytes(), sizes.into_iter()), &expected);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&expected.skeleton).is_ok());
    }

    #[test]
    fn any_chunking_of_a_stream_gives_the_same_output(texts in prop::collection::vec(json_text(), 0..4), step in 1usize..50) {
        let mut body = String::new();
        for text in texts {
            body.push_str(&format!("data: {{\"choices\":[{{\"delta\":{{\"content\":{}}}}}]}}\r\n\r\n", super::json::quote(&text)));
        }
        prop_assert_eq!(streamed(body.as_bytes(), step), streamed(body.as_bytes(), usize::MAX));
    }
}
