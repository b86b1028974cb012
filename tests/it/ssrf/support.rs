//! Test world for the SSRF tests: loopback servers, trap listeners, a fake resolver.
//!
//! Refuses to touch anything but loopback: public answers of the corpus are
//! replaced by 127.0.0.2, which the fetcher under test treats as public.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use picgate_gateway::upstream::fetch::{Download, FetchError, Fetcher, Limits, Policy, Resolve};

pub const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
pub const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const BODY: &[u8] = b"\x89PNG\r\n\x1a\n-test-body";

/// Answers per name, in turn; the last one repeats. Unknown names are inside.
#[derive(Default)]
pub struct FakeResolver {
    pub answers: HashMap<String, Vec<Vec<IpAddr>>>,
    pub asked: Mutex<Vec<String>>,
}

impl FakeResolver {
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == name).count()
    }

    /// Reads `name=ip,ip|ip,ip` (comma: together, bar: next answer).
    pub fn directive(&mut self, text: &str) {
        let (name, answers) = text.split_once('=').unwrap();
        let answers = answers.split('|').map(|set| {
            let ips = set.split(',').filter(|ip| !ip.trim().is_empty());
            ips.map(|ip| loopback_for(ip.trim().parse().unwrap())).collect()
        });
        self.answers.insert(name.to_owned(), answers.collect());
    }
}

/// The one public address of the corpus must never be dialled.
fn loopback_for(ip: IpAddr) -> IpAddr {
    if ip == IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34)) { OUTSIDE } else { ip }
}

impl Resolve for FakeResolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let turn = self.asked(&host);
        self.asked.lock().unwrap().push(host.clone());
        let answer = match self.answers.get(&host) {
            Some(turns) => turns[turn.min(turns.len() - 1)].clone(),
            None => vec![INSIDE],
        };
        let answer = if answer.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(answer) };
        Box::pin(async move { answer })
    }
}

/// A listener that must never see a connection. The kernel queues completed
/// connections at once, so asking without blocking needs no waiting.
pub struct Trap(StdListener);

impl Trap {
    fn bind(ip: IpAddr, port: u16) -> io::Result<Self> {
        let listener = StdListener::bind(SocketAddr::new(ip, port))?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    fn assert_untouched(&self, after: &str) {
        let error = self.0.accept().expect_err(after);
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{after}");
    }
}

/// An HTTP server on one loopback address, remembering request heads.
pub struct Server {
    pub port: u16,
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start(ip: IpAddr) -> Self {
        let listener = TcpListener::bind(SocketAddr::new(ip, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&log)));
            }
        });
        Self { port, heads }
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// The public server on 127.0.0.2 and traps on its port on 127.0.0.1 and [::1].
pub struct World {
    pub public: Server,
    traps: Vec<Trap>,
    pub resolver: Arc<FakeResolver>,
}

impl World {
    pub async fn new(corpus: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut resolver = FakeResolver::default();
        resolver.directive("pub.test=127.0.0.2");
        resolver.directive("inside.test=10.0.0.5");
        for line in corpus.lines() {
            if let Some(directive) = line.strip_prefix("#!RESOLVE ") {
                resolver.directive(directive);
            }
        }
        let resolver = Arc::new(resolver);
        // The three addresses must share one port, so that a corpus URL with
        // that port would reach a trap if it were dialled.
        loop {
            let public = Server::start(OUTSIDE).await;
            let traps: io::Result<Vec<Trap>> =
                [INSIDE, IpAddr::V6(Ipv6Addr::LOCALHOST)].into_iter().map(|ip| Trap::bind(ip, public.port)).collect();
            match traps {
                Ok(traps) => {
                    return Self { public, traps, resolver };
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => panic!("loopback listener: {error}"),
            }
        }
    }

    pub fn fetcher(&self, limits: Limits, extra_ports: &[u16], allow_fake_ip_names: bool) -> Fetcher {
        let mut ports = vec![self.public.port];
        ports.extend_from_slice(extra_ports);
        let policy = Policy { extra_ports: ports, allow_fake_ip_names };
        Fetcher::with_resolver(policy, limits, Arc::clone(&self.resolver) as Arc<dyn Resolve>, vec![OUTSIDE]).unwrap()
    }

    /// A URL on the public server.
    pub fn url(&self, path: &str) -> String {
        format!("http://pub.test:{}{path}", self.public.port)
    }

    /// Points a corpus URL at this world's port.
    pub fn localise(&self, url: &str) -> String {
        let port = self.public.port;
        url.replace(".test/", &format!(".test:{port}/")).replace(":5643", &format!(":{port}"))
    }

    pub fn assert_untouched(&self, after: &str) {
        self.traps.iter().for_each(|trap| trap.assert_untouched(after));
    }
}

/// Limits for cases that are meant to run into a deadline.
pub fn tight() -> Limits {
    Limits { total: Duration::from_millis(250), ..Limits::default() }
}

pub async fn read(download: Result<Download, FetchError>) -> Result<Vec<u8>, FetchError> {
    let mut download = download?;
    let mut body = Vec::new();
    while let Some(chunk) = download.next_chunk().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Runs one test again in a process of its own, for what is global to a
/// process. True in that process, false (after it has passed) in the first.
pub fn alone(test: &str, env: &[(&str, &str)]) -> bool {
    const MARK: &str = "SSRF_TEST_ALONE";
    if std::env::var(MARK).is_ok_and(|name| name == test) {
        return true;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test]).env(MARK, test).env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.envs(env.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

async fn answer(mut stream: TcpStream, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(head);
    // Errors only mean that the client hung up, which many tests want.
    let _ = respond(&mut stream, &target).await;
}

async fn respond(stream: &mut TcpStream, target: &str) -> io::Result<()> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/r" | "/r2" => {
            let (options, to) = query.split_once("to=").unwrap_or((query, ""));
            let code = options.strip_prefix("c=").map_or("302", |code| code.trim_end_matches('&'));
            let head = format!("HTTP/1.1 {code} X\r\nLocation: {to}\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        "/loop" => stream.write_all(b"HTTP/1.1 302 X\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n").await,
        "/no-location" => stream.write_all(b"HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n").await,
        "/missing" => stream.write_all(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n").await,
        "/altsvc" => full(stream, "Alt-Svc: h2=\"127.0.0.1:5643\"\r\n").await,
        "/svg" => full(stream, "Content-Type: image/svg+xml\r\n").await,
        "/gzip-bomb" => full(stream, "Content-Encoding: gzip\r\n").await,
        "/hang" => hang(stream).await,
        "/stall" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await?;
            hang(stream).await
        }
        "/short" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await,
        "/garbage" => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await,
        "/drip" => drip(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n").await,
        "/headers-drip" => drip(stream, b"HTTP/1.1 200 OK\r\nX-Slow: ").await,
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
        _ => full(stream, "Content-Type: image/png\r\n").await,
    }
}

async fn full(stream: &mut TcpStream, headers: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", BODY.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(BODY).await
}

/// Holds the connection until the client closes it.
async fn hang(stream: &mut TcpStream) -> io::Result<()> {
    stream.read_u8().await.map(|_| ())
}

async fn drip(stream: &mut TcpStream, head: &[u8]) -> io::Result<()> {
    stream.write_all(head).await?;
    loop {
        stream.write_all(b"x").await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
