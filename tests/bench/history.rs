//! A conversation with four pictures of the library: what it costs to put their bytes where the links stand.

use std::{thread, time::Duration};

use sha2::{Digest, Sha256};

use crate::{
    children::{Bench, Gateway},
    http::{Conn, get, post},
    pictures::base64,
    procfs::{Sampler, anonymous_kb},
    relaying::{Lane, above, drawing, link, rounds},
    report::{Report, Row, median},
};

const PICTURES: usize = 4;

/// Draws four pictures and returns their links and bytes.
fn drawn(gateway: &Gateway) -> Vec<(String, Vec<u8>)> {
    let mut conn = Conn::open(gateway.address).expect("connects");
    let mut draw = || {
        let link = link(&conn.ask(&drawing("image-2m")).expect("draws"));
        let bytes = conn.ask(&get("GET", &link, "")).expect("serves");
        (format!("http://127.0.0.1{link}"), bytes)
    };
    (0..PICTURES).map(|_| draw()).collect()
}

fn linked(answer: &str, pictures: &[(String, Vec<u8>)]) -> Vec<u8> {
    let links: String = pictures.iter().map(|(link, _)| format!("![image]({link}) ")).collect();
    chat(answer, &format!(r#""{links}and now in blue""#))
}

fn chat(answer: &str, content: &str) -> Vec<u8> {
    let system = format!(r#"{{"role":"system","content":"bench:{answer}"}}"#);
    post("/v1/chat/completions", &format!(r#"{{"model":"picgate","messages":[{system},{{"role":"user","content":{content}}}]}}"#))
}

/// Against the same bytes sent directly.
pub fn overhead(bench: &Bench, gateway: &Gateway, report: &mut Report) {
    let pictures = drawn(gateway);
    let answer = Conn::open(gateway.address).expect("connects").ask(&linked("digests", &pictures)).expect("answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    for (_, bytes) in &pictures {
        let digest: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        report.check(answer.contains(&digest));
    }
    let parts: Vec<String> = pictures
        .iter()
        .map(|(_, bytes)| format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}"#, base64(bytes)))
        .collect();
    let direct = chat("read", &format!("[{}]", parts.join(",")));
    let mut lanes = [Lane::new(bench.upstream, direct), Lane::new(gateway.address, linked("read", &pictures))];
    let times = rounds(&mut lanes, 12, 4, &|| ());
    let over = median(&above(&times[1], &times[0]));
    let against = format!("{:.2} ms for the same 11 MB sent directly", median(&times[0]));
    report.row(Row::at_most("overhead p50, history of 4 × 2 MB", format!("{over:.2} ms"), &against, over, 7.0, "ms"));
}

/// In a gateway of its own.
pub fn memory(bench: &Bench, report: &mut Report) {
    let gateway = Gateway::start(bench, "history-memory");
    let pictures = drawn(&gateway);
    let mut lanes = [Lane::new(gateway.address, linked("read", &pictures))];
    thread::sleep(Duration::from_millis(500));
    let idle = anonymous_kb(gateway.pid());
    let sampler = Sampler::start(gateway.pid());
    rounds(&mut lanes, 5, 4, &|| ());
    let grown = sampler.peak_kb().saturating_sub(idle) as f64 / 1024.0;
    report.row(Row::at_most("anonymous memory, history of 4 × 2 MB", format!("{grown:.1} MB"), "–", grown, 2.0, "MB more"));
}
