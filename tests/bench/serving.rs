//! Stored pictures over HTTP, against nginx over the same bytes.

use std::{
    net::SocketAddr,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{
    children::{self, Bench, Gateway},
    http::{Conn, get},
    procfs::cpu_ms,
    relaying::{drawing, link, span},
    report::{Report, Row, median, ratio_of},
};

const CONNECTIONS: usize = 32;

/// One turn of one server.
const TURN: Duration = Duration::from_millis(600);

const ROUNDS: usize = 5;

/// Requests answered in a second, all with `status`.
fn hammer(address: SocketAddr, request: &[u8], status: u16) -> f64 {
    let barrier = Barrier::new(CONNECTIONS);
    thread::scope(|scope| {
        let client = || {
            let mut conn = Conn::open(address).expect("connects");
            barrier.wait();
            let (began, mut count) = (Instant::now(), 0u64);
            while began.elapsed() < TURN {
                let head = conn.exchange(request, &mut |_| {}).expect("an answer");
                assert_eq!(head.status(), status, "{}", head.text);
                count += 1;
            }
            (began, Instant::now(), count)
        };
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(client)).collect();
        let done: Vec<_> = clients.into_iter().map(|c| c.join().expect("a client")).collect();
        let count: u64 = done.iter().map(|(_, _, count)| count).sum();
        count as f64 / span(done.iter().map(|(began, ended, _)| (*began, *ended)))
    })
}

fn etag(address: SocketAddr, path: &str) -> String {
    let mut conn = Conn::open(address).expect("connects");
    let head = conn.exchange(&get("HEAD", path, ""), &mut |_| {}).expect("an answer");
    head.header("etag").unwrap_or_default().to_owned()
}

/// Whole pictures, conditions, heads and ranges.
pub fn against_nginx(bench: &Bench, gateway: &Gateway, report: &mut Report) {
    let mut conn = Conn::open(gateway.address).expect("connects");
    let files = bench.folder("served");
    let mut stored = |name: &str| {
        let link = link(&conn.ask(&drawing(&format!("image-{name}"))).expect("draws"));
        let bytes = conn.ask(&get("GET", &link, "")).expect("serves");
        std::fs::write(files.join(format!("{name}.png")), bytes).expect("writes");
        (link, format!("/{name}.png"))
    };
    let (small, large) = (stored("200k"), stored("2m"));
    let Some((nginx, address, version)) = children::nginx(bench, &files) else {
        report.row(Row::note("GET, 304, HEAD and Range", "not measured".into(), "nginx is not installed"));
        return;
    };
    report.nginx = version;
    let tag = |address, path: &str| format!("If-None-Match: {}\r\n", etag(address, path));
    let range = || "Range: bytes=1000000-1065535\r\n".to_owned();
    let kinds = [
        ("GET 200 KB", "GET", &small, None, 200),
        ("GET 2 MB", "GET", &large, None, 200),
        ("304", "GET", &large, Some((tag(gateway.address, &large.0), tag(address, &large.1))), 304),
        ("HEAD", "HEAD", &large, None, 200),
        ("Range, 64 KB", "GET", &large, Some((range(), range())), 206),
    ];
    for (what, method, (ours, theirs), headers, status) in kinds {
        let (our_header, their_header) = headers.unwrap_or_default();
        let lanes =
            [(gateway.address, gateway.pid(), get(method, ours, &our_header)), (address, nginx.pid(), get(method, theirs, &their_header))];
        let mut speed = [const { Vec::new() }; 2];
        let mut cost = [const { Vec::new() }; 2];
        for round in 0..=ROUNDS {
            for (lane, (address, pid, request)) in lanes.iter().enumerate() {
                let before = cpu_ms(*pid);
                let per_second = hammer(*address, request, status);
                if round > 0 {
                    speed[lane].push(per_second);
                    cost[lane].push((cpu_ms(*pid) - before) * 1000.0 / (per_second * TURN.as_secs_f64()));
                }
            }
        }
        let ratio = ratio_of(&speed[0], &speed[1]);
        let against = format!("nginx {:.0}/s, {:.0} µs of processor each", median(&speed[1]), median(&cost[1]));
        let shown = format!("{:.0}/s, {:.0} µs", median(&speed[0]), median(&cost[0]));
        report.row(Row::at_least(&format!("{what}, 32 connections"), shown, &against, ratio, 0.8, "× nginx"));
    }
}
