//! Pictures on their way through: how much later they arrive, how many at once, at what cost of processor and memory.

use std::{
    net::SocketAddr,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    children::{Bench, Floor, Gateway},
    http::{Conn, NUMBER, get, post},
    pictures::{Template, template},
    procfs::{Sampler, anonymous_kb, cpu_ms},
    report::{Report, Row, median, ratio_of},
};

/// Between two requests of a series, so that what the gateway does after its answer is not charged to the next one.
const PAUSE: Duration = Duration::from_millis(5);

/// Rounds that do not count, until connections are open and memory for files is warm.
const WARM: usize = 3;

/// Longest answer that is looked at; a longer one is a picture that went past the gateway.
const SMALL: usize = 64 * 1024;

/// A request of the Images API for the answer `name`.
pub fn drawing(name: &str) -> Vec<u8> {
    post("/v1/images/generations", &format!(r#"{{"model":"picgate","prompt":"bench:{name}","user":"{NUMBER}"}}"#))
}

/// A streamed chat for the answer `name`.
pub fn streamed(name: &str) -> Vec<u8> {
    post(
        "/v1/chat/completions",
        &format!(r#"{{"model":"picgate","stream":true,"user":"{NUMBER}","messages":[{{"role":"user","content":"bench:{name}"}}]}}"#),
    )
}

/// One of those that are measured in turn.
pub struct Lane {
    conn: Conn,
    request: Vec<u8>,
    last: Vec<u8>,
}

impl Lane {
    pub fn new(address: SocketAddr, request: Vec<u8>) -> Self {
        Self { conn: Conn::open(address).expect("connects"), request, last: Vec::new() }
    }

    fn once(&mut self) -> f64 {
        self.last.clear();
        let last = &mut self.last;
        let began = Instant::now();
        let mut keep = |bytes: &[u8]| {
            if last.len() + bytes.len() <= SMALL {
                last.extend_from_slice(bytes);
            }
        };
        let head = self.conn.exchange(&self.request, &mut keep).expect("an answer");
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        assert_eq!(head.status(), 200, "{} {}", head.text, String::from_utf8_lossy(&self.last));
        ms
    }
}

/// Medians of `batch` requests to each lane in turn, by lane and round. `after` runs behind each batch.
pub fn rounds(lanes: &mut [Lane], rounds: usize, batch: usize, after: &dyn Fn()) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::new(); lanes.len()];
    for round in 0..WARM + rounds {
        for (lane, times) in lanes.iter_mut().zip(&mut times) {
            let batch = (0..batch).map(|_| {
                thread::sleep(PAUSE);
                lane.once()
            });
            let middle = median(&batch.collect::<Vec<_>>());
            if round >= WARM {
                times.push(middle);
            }
            after();
        }
    }
    times
}

/// What `times` are above those of the direct call, round by round.
pub fn above(times: &[f64], direct: &[f64]) -> Vec<f64> {
    times.iter().zip(direct).map(|(t, d)| t - d).collect()
}

/// The path of the link in an answer.
pub fn link(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let at = text.find("/images/").unwrap_or_else(|| panic!("no link in {}", &text[..text.len().min(500)]));
    let end = text[at + 8..].find(|c: char| !c.is_ascii_hexdigit() && c != '-').map_or(text.len(), |len| at + 8 + len);
    text[at..end].to_owned()
}

/// Whether the picture behind a link is the one that the upstream sent.
pub fn is_equal(address: SocketAddr, answer: &[u8], template: &Template) -> bool {
    let mut conn = Conn::open(address).expect("connects");
    conn.ask(&get("GET", &link(answer), "")).is_ok_and(|bytes| template.made(&bytes))
}

/// Overheads of one request at a time.
pub fn one_at_a_time(bench: &Bench, gateway: &Gateway, report: &mut Report) {
    let floor = Floor::start(bench, "floor", false, false);
    let synced = Floor::start(bench, "floor-fsync", true, false);
    let sweep = || {
        [&floor, &synced].into_iter().for_each(Floor::sweep);
        gateway.sweep();
    };
    let mut plain = 0.0;
    for (name, count, batch) in [("2m", 12, 5), ("24m", 7, 3)] {
        let request = drawing(&format!("image-{name}"));
        let addresses = [bench.upstream, floor.address, synced.address, gateway.address];
        let mut lanes = addresses.map(|address| Lane::new(address, request.clone()));
        let times = rounds(&mut lanes, count, batch, &sweep);
        lanes[3].once();
        report.check(is_equal(gateway.address, &lanes[3].last, &template(name)));
        let over: Vec<Vec<f64>> = times[1..].iter().map(|t| above(t, &times[0])).collect();
        let ratio = ratio_of(&over[2], &over[1]);
        let size = if name == "2m" { "2 MB" } else { "24 MB" };
        let against =
            format!("{:.2} ms with fdatasync, {:.2} without (direct {:.2})", median(&over[1]), median(&over[0]), median(&times[0]));
        report.row(Row::at_most(&format!("overhead p50, {size}"), format!("{:.2} ms", median(&over[2])), &against, ratio, 1.5, "× floor"));
        if name == "2m" {
            plain = median(&over[2]);
        }
    }
    for (name, what) in [("stream-whole", "streamed, whole"), ("stream-split", "streamed, in 4 KB deltas")] {
        let request = streamed(name);
        let mut lanes = [
            Lane::new(bench.upstream, request.clone()),
            Lane::new(gateway.address, request),
            Lane::new(bench.upstream, drawing("image-2m")),
            Lane::new(gateway.address, drawing("image-2m")),
        ];
        let times = rounds(&mut lanes, 10, 4, &sweep);
        lanes[1].once();
        report.check(is_equal(gateway.address, &lanes[1].last, &template("2m")));
        let (stream, whole) = (above(&times[1], &times[0]), above(&times[3], &times[2]));
        let ratio = ratio_of(&stream, &whole);
        let against = format!("{:.2} ms not streamed", median(&whole));
        report.row(Row::at_most(
            &format!("overhead p50, 2 MB {what}"),
            format!("{:.2} ms", median(&stream)),
            &against,
            ratio,
            2.0,
            "× not streamed",
        ));
    }
    report.row(Row::note("overhead of 2 MB against the Python predecessor", format!("{plain:.2} ms"), "79 ms (measured elsewhere)"));
}

/// From the first beginning to the last end, in seconds. Whoever only waits for the others is woken too late to tell.
pub fn span(times: impl Iterator<Item = (Instant, Instant)>) -> f64 {
    let all: Vec<_> = times.collect();
    let began = all.iter().map(|t| t.0).min();
    let ended = all.iter().map(|t| t.1).max();
    began.zip(ended).map_or(f64::NAN, |(began, ended)| (ended - began).as_secs_f64())
}

/// What a load came to.
pub struct Load {
    per_second: f64,
    answers: Vec<Vec<u8>>,
    pub errors: usize,
}

/// `total` requests over `at_once` connections.
pub fn load(address: SocketAddr, request: &[u8], at_once: usize, total: usize) -> Load {
    let (left, errors, barrier) = (AtomicUsize::new(total), AtomicUsize::new(0), Barrier::new(at_once));
    let (seconds, answers) = thread::scope(|scope| {
        let client = || {
            let mut conn = Conn::open(address).expect("connects");
            let mut answers = Vec::new();
            barrier.wait();
            let began = Instant::now();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                match conn.ask(request) {
                    Ok(answer) => answers.push(answer),
                    Err(error) => {
                        crate::report::say(&format!("error under load: {error}"));
                        errors.fetch_add(1, Ordering::Relaxed);
                        conn = Conn::open(address).expect("connects");
                    }
                }
            }
            (began, Instant::now(), answers)
        };
        let clients: Vec<_> = (0..at_once).map(|_| scope.spawn(client)).collect();
        let done: Vec<_> = clients.into_iter().map(|c| c.join().expect("a client")).collect();
        let seconds = span(done.iter().map(|(began, ended, _)| (*began, *ended)));
        (seconds, done.into_iter().flat_map(|(_, _, answers)| answers).collect::<Vec<_>>())
    });
    Load { per_second: answers.len() as f64 / seconds, answers, errors: errors.into_inner() }
}

/// Pictures in a second and processor time for each.
pub fn many_at_once(bench: &Bench, gateway: &Gateway, report: &mut Report) {
    const PER_ROUND: usize = 96;
    const ROUNDS: usize = 7;
    let synced = Floor::start(bench, "load-fsync", true, false);
    let hashed = Floor::start(bench, "load-sha", true, true);
    let lanes = [(synced.address, synced.pid()), (hashed.address, hashed.pid()), (gateway.address, gateway.pid())];
    let request = drawing("image-2m");
    let two = template("2m");
    for at_once in [8, 64] {
        let mut speed = vec![Vec::new(); 3];
        let mut cost = vec![Vec::new(); 3];
        for round in 0..=ROUNDS {
            for (lane, (address, pid)) in lanes.iter().enumerate() {
                let before = cpu_ms(*pid);
                let load = load(*address, &request, at_once, PER_ROUND);
                // What is done after the answers belongs to their cost.
                thread::sleep(Duration::from_millis(150));
                report.errors += load.errors;
                if lane == 2 && round % 3 == 0 {
                    load.answers.iter().rev().take(4).for_each(|answer| report.check(is_equal(*address, answer, &two)));
                }
                if round > 0 {
                    speed[lane].push(load.per_second);
                    cost[lane].push((cpu_ms(*pid) - before) / load.answers.len().max(1) as f64);
                }
                synced.sweep();
                hashed.sweep();
                gateway.sweep();
            }
        }
        let ratio = ratio_of(&speed[2], &speed[0]);
        let against = format!("{:.0}/s with fdatasync, {:.0}/s with SHA-256 too", median(&speed[0]), median(&speed[1]));
        let what = format!("pictures of 2 MB, {at_once} at once");
        report.row(Row::at_least(&what, format!("{:.0}/s", median(&speed[2])), &against, ratio, 0.7, "× floor"));
        let ratio = ratio_of(&cost[2], &cost[1]);
        let against = format!("{:.2} ms with fdatasync and SHA-256, {:.2} without SHA-256", median(&cost[1]), median(&cost[0]));
        let what = format!("processor time per picture of 2 MB, {at_once} at once");
        report.row(Row::at_most(&what, format!("{:.2} ms", median(&cost[2])), &against, ratio, 1.25, "× floor"));
    }
    let real = load(gateway.address, &drawing("image-real2m"), 8, 64);
    report.errors += real.errors;
    report.check(is_equal(gateway.address, &real.answers[0], &template("real2m")));
    let what = "pictures that get thumbnails meanwhile, 8 at once";
    report.row(Row::note(what, format!("{:.0}/s", real.per_second), "PNG of 2 MB that decode"));
    // Their thumbnails must not be made while something else is measured.
    let mut before = cpu_ms(gateway.pid());
    loop {
        thread::sleep(Duration::from_millis(300));
        let now = cpu_ms(gateway.pid());
        if now - before < 20.0 {
            break;
        }
        before = now;
    }
}

/// Memory while 16 pictures of 24 MB arrive at once.
pub fn memory(bench: &Bench, report: &mut Report) {
    let floor = Floor::start(bench, "memory-floor", true, false);
    let gateway = Gateway::start(bench, "memory");
    let grown = |address: SocketAddr, pid: u32| {
        load(address, &drawing("image-2m"), 2, 4);
        thread::sleep(Duration::from_millis(500));
        let idle = anonymous_kb(pid);
        let sampler = Sampler::start(pid);
        let load = load(address, &drawing("image-24m"), 16, 32);
        let peak = sampler.peak_kb();
        (idle as f64 / 1024.0, peak as f64 / 1024.0, load)
    };
    let (floor_idle, floor_peak, _) = grown(floor.address, floor.pid());
    floor.sweep();
    let (idle, peak, load) = grown(gateway.address, gateway.pid());
    report.errors += load.errors;
    let large = template("24m");
    load.answers.iter().take(2).for_each(|answer| report.check(is_equal(gateway.address, answer, &large)));
    let against = format!("floor {:.1} above {floor_idle:.1} MB", floor_peak - floor_idle);
    let shown = format!("{:.1} above {idle:.1} MB", peak - idle);
    report.row(Row::at_most("anonymous memory, 16 × 24 MB at once", shown, &against, peak - idle, 16.0, "MB more"));
}
