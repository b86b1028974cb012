//! Whether a gateway runs here, and whether the places where clients and browsers are reach it: this computer, its network,
//! Docker's bridge, and the address that links begin with.

use std::net::{IpAddr, SocketAddr, TcpListener};

use super::{Finding, Scene, lan_address};
use crate::{
    listen::{bridges, holder_of},
    model::browser_can_open,
    store::{Layout, ProbeKey, Running},
    upstream::{Answerer, Probe, ProbeLink, who_answers},
};

/// All of it.
pub(super) async fn gateway(scene: &Scene<'_>, asked: u16) -> Vec<Finding> {
    let host = scene.host;
    let port = scene.port.to_string();
    let base = base_of(host, scene.port);
    let mut found = Vec::new();
    if let Some(running) = &scene.elsewhere {
        let values = [("port", port.as_str()), ("process", &running.pid.to_string()), ("asked", &asked.to_string())];
        found.push(scene.finding("gateway_elsewhere", &values));
    }
    let runs = match who_answers(&base).await {
        Answerer::PicGate(version) => {
            let same = version == env!("CARGO_PKG_VERSION");
            let values = [("version", version.as_str()), ("own", env!("CARGO_PKG_VERSION")), ("port", &port)];
            found.push(scene.finding(if same { "gateway_ok" } else { "gateway_other_version" }, &values));
            true
        }
        Answerer::Other => {
            found.push(taken(scene, &port));
            false
        }
        Answerer::Nobody => {
            found.push(not_running(scene, host, &port));
            false
        }
    };
    if runs {
        found.extend(this_computer(scene, &base).await);
    }
    found.extend(network(scene, host, runs).await);
    found.extend(docker(scene, host, runs).await);
    found.extend(public(scene, runs).await);
    found
}

/// How this computer calls a gateway that listens there.
fn base_of(host: IpAddr, port: u16) -> String {
    let near = if host.is_unspecified() || host.is_loopback() { IpAddr::from([127, 0, 0, 1]) } else { host };
    format!("http://{}", SocketAddr::new(near, port))
}

/// The gateway that holds this folder, if it listens on another port than `port`: it says so in the folder, answers there, and
/// admits who reads the folder.
pub async fn elsewhere(layout: &Layout, port: u16) -> Option<Running> {
    let running = Running::read(layout).filter(|running| running.address.port() != port)?;
    let base = base_of(running.address.ip(), running.address.port());
    if !matches!(who_answers(&base).await, Answerer::PicGate(_)) {
        return None;
    }
    let pass = running.probe_key.as_ref()?.pass();
    let steps = Probe { base_url: &format!("{base}/v1"), pass: &pass, dial: None, link: None }.run().await;
    let refused = steps.into_iter().any(|(_, problem)| problem == Some("wrong_key"));
    (!refused).then_some(running)
}

/// Nobody answers: whether a gateway could listen there.
fn not_running(scene: &Scene<'_>, host: IpAddr, port: &str) -> Finding {
    match TcpListener::bind(SocketAddr::new(host, scene.port)) {
        Ok(_) => scene.finding("gateway_stopped", &[("port", port)]),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => taken(scene, port),
        Err(error) => scene.finding("port_refused", &[("port", port), ("host", &host.to_string()), ("error", &error.to_string())]),
    }
}

/// Another program has the port; by its name, if the system tells.
fn taken(scene: &Scene<'_>, port: &str) -> Finding {
    match holder_of(scene.port) {
        Some(holder) => scene.finding("port_taken_by", &[("port", port), ("program", &holder.name), ("process", &holder.pid.to_string())]),
        None => scene.finding("port_taken", &[("port", port)]),
    }
}

/// As a client on this computer does it: models, then the latest picture by its link.
async fn this_computer(scene: &Scene<'_>, base: &str) -> Vec<Finding> {
    let image = scene.holds.as_ref().and_then(|holds| holds.latest).map(|id| id.to_string());
    if scene.probe_key.is_none() && scene.settings.gateway_key.expose().is_empty() {
        return vec![scene.finding("here_no_key", &[("base", base)])];
    }
    match first_problem(scene, base, image.as_deref()).await {
        None => vec![scene.finding("here_ok", &[("base", base)])],
        Some("wrong_key") if scene.is_mute => vec![scene.finding("here_mute", &[("base", base)])],
        Some("wrong_key") => {
            vec![scene.finding("here_other_folder", &[("base", base), ("path", &scene.config.data_dir.display().to_string())])]
        }
        Some("no_link" | "wrong_picture") => {
            vec![scene.finding("here_no_link", &[("base", base), ("image", image.as_deref().unwrap_or_default())])]
        }
        Some(_) => vec![scene.finding("here_failed", &[("base", base)])],
    }
}

/// The first step at which a client at `base` fails.
async fn first_problem(scene: &Scene<'_>, base: &str, image: Option<&str>) -> Option<&'static str> {
    let base_url = format!("{base}/v1");
    let link = image.map(|image| ProbeLink { url: format!("{base}/images/{image}"), digest: None });
    // Without a note in the folder no gateway is over it: whoever answers is another one, and refuses.
    let pass = scene.probe_key.as_ref().map_or_else(|| "none".to_owned(), ProbeKey::pass);
    let steps = Probe { base_url: &base_url, pass: &pass, dial: None, link }.run().await;
    // Without a picture there is none to open.
    steps.into_iter().find_map(|(_, problem)| problem.filter(|problem| *problem != "no_image"))
}

/// Whether somebody who calls `base` comes to a gateway: one that refuses our pass is one, too, and whose it is was told already.
async fn is_reached(scene: &Scene<'_>, base: &str) -> bool {
    matches!(first_problem(scene, base, None).await, None | Some("wrong_key"))
}

async fn network(scene: &Scene<'_>, host: IpAddr, runs: bool) -> Option<Finding> {
    let port = scene.port.to_string();
    if scene.config.in_container {
        return Some(scene.finding("lan_container", &[("port", &port)]));
    }
    let Some(lan) = lan_address() else { return Some(scene.finding("lan_none", &[])) };
    let base = format!("http://{lan}:{port}");
    if runs && is_reached(scene, &base).await {
        return Some(scene.finding("lan_ok", &[("base", &base)]));
    }
    let listens = host.is_unspecified() || host == lan;
    let code = match (listens, runs) {
        (false, _) => "lan_closed",
        (true, true) => "lan_blocked",
        (true, false) => return None,
    };
    Some(scene.finding(code, &[("base", &base), ("port", &port)]))
}

async fn docker(scene: &Scene<'_>, host: IpAddr, runs: bool) -> Option<Finding> {
    let port = scene.port.to_string();
    if scene.config.in_container {
        return None;
    }
    if !cfg!(target_os = "linux") {
        // Docker Desktop forwards to the host's loopback.
        let reached = host.is_unspecified() || host.is_loopback();
        return Some(scene.finding(if reached { "docker_desktop" } else { "docker_desktop_closed" }, &[("port", &port)]));
    }
    // Each network of Docker's has one; host.docker.internal is the first.
    let Some(bridge) = bridges().into_iter().map(|bridge| bridge.address).find(IpAddr::is_ipv4) else {
        return Some(scene.finding("docker_none", &[]));
    };
    let base = format!("http://{bridge}:{port}");
    let reached = if runs { is_reached(scene, &base).await } else { host.is_unspecified() || host == bridge };
    let code = if reached { "docker_ok" } else { "docker_closed" };
    Some(scene.finding(code, &[("base", &base), ("bridge", &bridge.to_string()), ("port", &port)]))
}

/// What links begin with.
async fn public(scene: &Scene<'_>, runs: bool) -> Option<Finding> {
    let Some(base) = scene.settings.public_base_url.clone() else { return Some(scene.finding("public_unset", &[])) };
    let host = url::Url::parse(&base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    if !browser_can_open(&host) {
        return Some(scene.finding("public_unknown_name", &[("base", &base), ("host", &host)]));
    }
    if !runs {
        return None;
    }
    let image = scene.holds.as_ref().and_then(|holds| holds.latest).map(|id| id.to_string());
    let code = match first_problem(scene, &base, image.as_deref()).await {
        None => "public_ok",
        Some("not_picgate") => "public_other",
        // Replicas have keys of their own for tries.
        Some("wrong_key") => "public_another",
        Some("no_link" | "wrong_picture") => "public_no_link",
        // Many routers do not let their own network call itself by its outer address.
        Some(_) => "public_unreachable",
    };
    Some(scene.finding(code, &[("base", &base)]))
}
