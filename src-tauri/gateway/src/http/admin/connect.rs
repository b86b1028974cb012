//! Where clients reach us, by where they run, and whether they would: tried from here the way they would try.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::{AdminError, Body},
    words::{CheckCode, CheckStepName, Listens, PlaceName, Remedy},
};
use crate::{
    doctor::lan_address,
    http::{App, client},
    listen::bridges,
    store::{GalleryFilter, gallery},
    upstream::{Probe, ProbeLink},
};

/// How containers call the computer that they run on.
const DOCKER_NAME: &str = "host.docker.internal";

/// An address by which a client may reach us.
#[derive(Debug, Serialize, ToSchema)]
pub struct Place {
    place: PlaceName,
    base_url: String,
    works: bool,
    /// `null` if it works.
    remedy: Option<Remedy>,
}

/// Where clients reach us.
#[derive(Debug, Serialize, ToSchema)]
pub struct Connect {
    port: u16,
    model: String,
    listens: Listens,
    /// The first address that we listen on.
    address: String,
    /// The flag or variable that fixes the address.
    locked_by: Option<String>,
    /// The address of Docker's bridge, if this computer has one.
    bridge: Option<String>,
    public_base_url: Option<String>,
    places: Vec<Place>,
}

/// Which address to try.
#[derive(Deserialize, ToSchema)]
pub struct Check {
    base_url: String,
}

/// One step of a check.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckStep {
    step: CheckStepName,
    ok: bool,
    /// What is wrong, or why there was nothing to try (`no_image`).
    code: Option<CheckCode>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checked {
    ok: bool,
    steps: Vec<CheckStep>,
    /// The link that a client there would get, and that was opened.
    link: Option<String>,
}

/// What is known of this computer and of where we listen.
#[derive(Clone, Debug)]
struct Surroundings {
    port: u16,
    open: Vec<IpAddr>,
    lan: Option<IpAddr>,
    bridges: Vec<IpAddr>,
    is_linux: bool,
    /// Our name, if we run in a container.
    container: Option<String>,
}

impl Surroundings {
    fn here(app: &App) -> Self {
        let shown = app.listening.view().addresses;
        let open = if shown.is_empty() { vec![app.config.host] } else { shown.iter().map(SocketAddr::ip).collect() };
        // Docker's mark and Podman's.
        let contained = Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists();
        Self {
            port: app.origins.port,
            open,
            lan: lan_address(),
            bridges: bridges().into_iter().map(|bridge| bridge.address).collect(),
            is_linux: cfg!(target_os = "linux"),
            container: app.origins.hostname.clone().filter(|_| contained),
        }
    }

    fn listens(&self) -> &'static str {
        if self.listens_everywhere() {
            "all"
        } else if self.open.iter().all(IpAddr::is_loopback) {
            "loopback"
        } else {
            "address"
        }
    }

    fn listens_everywhere(&self) -> bool {
        self.open.iter().any(IpAddr::is_unspecified)
    }

    fn is_open(&self, address: IpAddr) -> bool {
        self.listens_everywhere() || self.open.contains(&address)
    }

    fn places(&self) -> Vec<Place> {
        let url = |name: &str| format!("http://{name}:{}/v1", self.port);
        let place = |place: &'static str, base_url: String, works: bool, remedy: &'static str| Place {
            place: place.into(),
            base_url,
            works,
            remedy: (!works).then(|| remedy.into()),
        };
        let loopback = self.listens_everywhere() || self.open.iter().any(IpAddr::is_loopback);
        // A name of this computer in a URL, IPv6 in brackets.
        let named = |address: IpAddr| if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        let host = if loopback { "localhost".to_owned() } else { self.open.first().map_or("localhost".to_owned(), |open| named(*open)) };
        let mut places = vec![place("host", url(&host), true, "listen_all")];
        if let Some(name) = &self.container {
            // Our own addresses mean nothing outside; ports are published by whoever started the container.
            places.push(place("network", url(name), !self.open.iter().all(IpAddr::is_loopback), "listen_all"));
            return places;
        }
        if let Some(lan) = self.lan {
            places.push(place("lan", url(&named(lan)), self.is_open(lan), "listen_all"));
        }
        // Docker Desktop leads containers to this computer's loopback address, Docker on Linux to the bridge.
        places.push(if self.is_linux {
            let works = self.listens_everywhere() || self.bridges.iter().any(|bridge| self.is_open(*bridge));
            place("docker_linux", url(DOCKER_NAME), works, "listen_bridge")
        } else {
            place("docker_desktop", url(DOCKER_NAME), loopback, "listen_all")
        });
        places
    }

    /// Where the name that containers use leads, seen from here; `None` if no container can be here.
    fn docker_address(&self) -> Option<IpAddr> {
        if self.is_linux { self.bridges.first().copied() } else { Some(Ipv4Addr::LOCALHOST.into()) }
    }
}

/// Where clients reach us.
#[utoipa::path(get, path = "/connect", responses((status = 200, body = Connect)))]
pub async fn connect(State(app): State<App>) -> Json<Connect> {
    let (settings, here) = (app.settings.snapshot(), Surroundings::here(&app));
    Json(Connect {
        port: here.port,
        model: settings.gateway_model.clone(),
        listens: here.listens().into(),
        address: here.open.first().map(ToString::to_string).unwrap_or_default(),
        locked_by: super::reach::locked_by(&app),
        bridge: here.bridges.first().map(ToString::to_string),
        public_base_url: settings.public_base_url.clone(),
        places: here.places(),
    })
}

/// Tries one of our own addresses as a client would: models, with a pass in place of the key, then the latest picture by the
/// link that a client there would get.
#[utoipa::path(post, path = "/connect/check", request_body = Check, responses((status = 200, body = Checked)))]
pub async fn check(State(app): State<App>, Body(body): Body<Check>) -> Result<Json<Checked>, AdminError> {
    let (settings, here) = (app.settings.snapshot(), Surroundings::here(&app));
    let public = settings.public_base_url.as_ref().map(|url| format!("{url}/v1"));
    let places = here.places();
    let place = places.iter().find(|place| place.base_url == body.base_url);
    if place.is_none() && public.as_ref() != Some(&body.base_url) {
        return Err(AdminError::field("invalid_request", "base_url", "invalid", "is none of the addresses of this gateway"));
    }
    let place = place.map_or("public", |place| place.place.word());
    let in_docker = place.starts_with("docker");
    if in_docker && here.docker_address().is_none() {
        let step = CheckStep { step: "reach".into(), ok: false, code: Some("no_bridge".into()) };
        return Ok(Json(Checked { ok: false, steps: vec![step], link: None }));
    }
    let latest = app.library.db().read(|c| gallery::page(c, &GalleryFilter::default(), None, 1)).await?.0.into_iter().next();
    let authority = url::Url::parse(&body.base_url).ok().map(|url| url.authority().to_owned()).unwrap_or_default();
    let link = latest.map(|image| ProbeLink {
        url: client::links_of(&authority, &app.origins, &settings).link(image.id),
        // Another server's tags are no digests of ours.
        digest: settings.direct_links.is_none().then(|| image.blob.sha256.to_string()),
    });
    // Our own name leads to our own loopback address here, and to our address in Docker's network for everybody else.
    let name = here.container.as_deref().unwrap_or_default();
    let dial = match place {
        "network" => here.lan.map(|address| (name, SocketAddr::new(address, here.port))),
        _ if in_docker => here.docker_address().map(|address| (DOCKER_NAME, SocketAddr::new(address, here.port))),
        _ => None,
    };
    let shown = link.as_ref().map(|link| link.url.clone());
    let probe = Probe { base_url: &body.base_url, pass: &app.probe_key.pass(), dial, link };
    let steps = probe.run().await.into_iter().map(|(step, code)| {
        let code = code.map(|code| match (code, place) {
            ("unreachable", "docker_linux") => "not_on_bridge",
            ("unreachable", "lan" | "network") if here.listens() == "loopback" => "only_here",
            _ => code,
        });
        // With nothing to try yet nothing is wrong. And behind a public address other replicas answer, which do not know our pass.
        let is_well = code.is_none_or(|code| code == "no_image" || code == "wrong_key" && place == "public");
        CheckStep { step: step.into(), ok: is_well, code: code.map(CheckCode::from) }
    });
    let steps: Vec<CheckStep> = steps.collect();
    let link = shown.filter(|_| steps.iter().any(|step| step.step.word() == "link"));
    Ok(Json(Checked { ok: steps.iter().all(|step| step.ok), steps, link }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn here(open: &[&str]) -> Surroundings {
        let open = open.iter().map(|text| ip(text)).collect();
        Surroundings { port: 5643, open, lan: Some(ip("192.168.1.8")), bridges: vec![ip("172.17.0.1")], is_linux: true, container: None }
    }

    fn shown(here: &Surroundings) -> Vec<String> {
        let told = |place: Place| {
            let works = place.remedy.map_or("works".to_owned(), |remedy| remedy.word().to_owned());
            format!("{} {} {works}", place.place.word(), place.base_url)
        };
        here.places().into_iter().map(told).collect()
    }

    #[test]
    fn on_linux_a_container_needs_the_bridge_or_all_addresses() {
        let docker = |open: &[&str]| shown(&here(open)).pop().expect("a place");
        assert_eq!(docker(&["127.0.0.1", "::1"]), "docker_linux http://host.docker.internal:5643/v1 listen_bridge");
        assert_eq!(docker(&["127.0.0.1", "172.17.0.1"]), "docker_linux http://host.docker.internal:5643/v1 works");
        assert_eq!(docker(&["0.0.0.0"]), "docker_linux http://host.docker.internal:5643/v1 works");
        assert_eq!(docker(&["192.168.1.8"]), "docker_linux http://host.docker.internal:5643/v1 listen_bridge");
    }

    #[test]
    fn without_a_bridge_the_address_of_containers_is_shown_all_the_same() {
        // Docker Desktop on Linux has no bridge here, and rootless Docker hides its own.
        let none = Surroundings { bridges: Vec::new(), ..here(&["127.0.0.1"]) };
        assert_eq!(shown(&none)[2], "docker_linux http://host.docker.internal:5643/v1 listen_bridge");
        assert_eq!(none.docker_address(), None);
    }

    #[test]
    fn docker_desktop_reaches_the_loopback_address() {
        let desktop = Surroundings { is_linux: false, bridges: Vec::new(), ..here(&["127.0.0.1"]) };
        assert_eq!(shown(&desktop)[2], "docker_desktop http://host.docker.internal:5643/v1 works");
        assert_eq!(desktop.docker_address(), Some(ip("127.0.0.1")));
    }

    #[test]
    fn who_listens_on_one_address_is_reached_there() {
        assert_eq!(shown(&here(&["192.168.1.8"]))[..2], ["host http://192.168.1.8:5643/v1 works", "lan http://192.168.1.8:5643/v1 works"]);
        assert_eq!(shown(&here(&["127.0.0.1"]))[1], "lan http://192.168.1.8:5643/v1 listen_all");
        assert_eq!(shown(&here(&["fd00::8"]))[0], "host http://[fd00::8]:5643/v1 works");
    }

    #[test]
    fn in_a_container_other_containers_call_us_by_name() {
        let contained = Surroundings { container: Some("picgate".into()), ..here(&["0.0.0.0"]) };
        assert_eq!(shown(&contained), ["host http://localhost:5643/v1 works", "network http://picgate:5643/v1 works"]);
    }
}
