//! Text that is streamed: how much later a token arrives, and how many pass in a second.

use std::{net::SocketAddr, sync::Barrier, thread, time::Instant};

use crate::{
    children::{Bench, Gateway},
    http::{Conn, NUMBER, post},
    mock::{STAMP, STAMP_DIGITS, nanos},
    procfs::cpu_ms,
    relaying::{span, streamed},
    report::{Report, Row, median, percentile, ratio_of},
};

/// Streams at once.
const MANY: usize = 64;

/// Tokens of a stream at full speed.
const TOKENS: usize = 2000;

/// Reads the times of departure out of a stream, however it is cut into pieces.
#[derive(Default)]
struct Stamps {
    digits: Option<Vec<u8>>,
    /// How long each token was on its way, in µs.
    latencies: Vec<f64>,
}

impl Stamps {
    fn take(&mut self, mut bytes: &[u8]) {
        let now = nanos();
        loop {
            let Some(digits) = &mut self.digits else {
                let Some(at) = memchr::memchr(STAMP, bytes) else { return };
                (self.digits, bytes) = (Some(Vec::with_capacity(STAMP_DIGITS)), &bytes[at + 1..]);
                continue;
            };
            let more = bytes.len().min(STAMP_DIGITS - digits.len());
            digits.extend_from_slice(&bytes[..more]);
            bytes = &bytes[more..];
            if digits.len() < STAMP_DIGITS {
                return;
            }
            let left: u64 = digits.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0'));
            self.latencies.push(now.saturating_sub(left) as f64 / 1000.0);
            self.digits = None;
        }
    }
}

/// Streams at once, all begun together: the latencies of their tokens, and how many seconds it took.
fn streams(address: SocketAddr, count: usize, tokens: usize, pause: u64) -> (Vec<f64>, f64) {
    let request = streamed(&format!("text {tokens} {pause}"));
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        let client = || {
            let mut conn = Conn::open(address).expect("connects");
            let mut stamps = Stamps::default();
            barrier.wait();
            let began = Instant::now();
            let head = conn.exchange(&request, &mut |bytes| stamps.take(bytes)).expect("a stream");
            assert_eq!(head.status(), 200, "{}", head.text);
            assert_eq!(stamps.latencies.len(), tokens, "every token arrives");
            (began, Instant::now(), stamps.latencies)
        };
        let clients: Vec<_> = (0..count).map(|_| scope.spawn(client)).collect();
        let done: Vec<_> = clients.into_iter().map(|c| c.join().expect("a client")).collect();
        let seconds = span(done.iter().map(|(began, ended, _)| (*began, *ended)));
        (done.into_iter().flat_map(|(_, _, latencies)| latencies).collect(), seconds)
    })
}

/// How long a drawing shows nothing while the upstream is silent for half a second.
pub fn first_byte(gateway: &Gateway, report: &mut Report) {
    let body = format!(
        r#"{{"model":"picgate","stream":true,"user":"{NUMBER}","messages":[{{"role":"user","content":"draw bench:text 1 500000"}}]}}"#
    );
    let request = post("/v1/chat/completions", &body);
    let mut conn = Conn::open(gateway.address).expect("connects");
    let times: Vec<f64> = (0..20)
        .map(|_| {
            let (began, mut first) = (Instant::now(), None);
            let head = conn.exchange(&request, &mut |_| {
                first.get_or_insert_with(|| began.elapsed());
            });
            assert_eq!(head.expect("a stream").status(), 200);
            first.map_or(f64::NAN, |first| first.as_secs_f64() * 1000.0)
        })
        .collect();
    let shown = format!("{:.0} ms, slowest {:.0}", median(&times), percentile(&times, 100.0));
    report.row(Row::at_most("first byte of a drawing in a chat", shown, "upstream silent for 500 ms", median(&times), 200.0, "ms"));
}

/// A token every millisecond.
pub fn one_stream(bench: &Bench, gateway: &Gateway, report: &mut Report) {
    let [mut direct, mut through] = [Vec::new(), Vec::new()];
    for _ in 0..6 {
        for (address, into) in [(bench.upstream, &mut direct), (gateway.address, &mut through)] {
            into.push(median(&streams(address, 1, 400, 1000).0));
        }
    }
    let added: Vec<f64> = through.iter().zip(&direct).map(|(t, d)| t - d).collect();
    let added = median(&added);
    let against = format!("{:.0} µs direct", median(&direct));
    report.row(Row::at_most("added p50 per token, one stream", format!("{added:.0} µs"), &against, added, 50.0, "µs"));
}

/// 64 streams: with 100 tokens a second each, and as fast as they go.
pub fn many_streams(bench: &Bench, gateway: &Gateway, report: &mut Report) {
    let lanes = [bench.upstream, gateway.address];
    let [mut late, mut paced, mut speed, mut cost] = [const { [const { Vec::new() }; 2] }; 4];
    for _ in 0..5 {
        for (lane, address) in lanes.iter().enumerate() {
            let (latencies, took) = streams(*address, MANY, 100, 10_000);
            late[lane].push(percentile(&latencies, 95.0) / 1000.0);
            paced[lane].push(latencies.len() as f64 / took / 1000.0);
        }
        for (lane, address) in lanes.iter().enumerate() {
            let before = cpu_ms(gateway.pid());
            let took = streams(*address, MANY, TOKENS, 0).1;
            cost[lane].push((cpu_ms(gateway.pid()) - before) * 1000.0 / (MANY * TOKENS) as f64);
            speed[lane].push((MANY * TOKENS) as f64 / took / 1000.0);
        }
    }
    let added: Vec<f64> = late[1].iter().zip(&late[0]).map(|(t, d)| t - d).collect();
    let added = median(&added);
    let against = format!("{:.2} ms direct", median(&late[0]));
    report.row(Row::at_most("added p95 per token, 64 streams of 100 tokens/s", format!("{added:.2} ms"), &against, added, 1.0, "ms"));
    let ratio = ratio_of(&paced[1], &paced[0]);
    let against = format!("{:.2} k/s direct", median(&paced[0]));
    let what = "tokens, 64 streams of 100 tokens/s";
    report.row(Row::at_least(what, format!("{:.2} k/s", median(&paced[1])), &against, ratio, 0.9, "× direct"));
    let ratio = ratio_of(&speed[1], &speed[0]);
    let against = format!("{:.0} k/s direct", median(&speed[0]));
    let what = "tokens, 64 streams at full speed";
    report.row(Row::at_least(what, format!("{:.0} k/s", median(&speed[1])), &against, ratio, 0.9, "× direct"));
    report.row(Row::note("processor time per token, 64 streams at full speed", format!("{:.1} µs", median(&cost[1])), "–"));
}
