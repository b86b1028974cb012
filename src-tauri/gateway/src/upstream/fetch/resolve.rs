//! Turns names into vetted addresses for the HTTP connector.
//!
//! The connector dials exactly the addresses returned here, so nothing can
//! change between check and connect (DNS rebinding). Refuses to know about
//! URLs and ports, and is never asked about IP literals: hyper-util skips the
//! resolver for those, they are judged in `policy` before every hop.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolving};

use super::address::AddressRules;
use super::error::FetchError;
use super::policy::{self, Policy};

/// Looks up the addresses of a host name.
pub trait Resolve: Send + Sync + 'static {
    /// Returns all addresses of `host`, or an error if there are none.
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver (`getaddrinfo` on tokio's blocking pool).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Adapter to reqwest: passes addresses on only if all of them are allowed.
pub(super) struct VettingResolver {
    pub(super) inner: Arc<dyn Resolve>,
    pub(super) policy: Arc<Policy>,
    pub(super) rules: Arc<AddressRules>,
}

impl reqwest::dns::Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let inner = Arc::clone(&self.inner);
        let policy = Arc::clone(&self.policy);
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // Checked again although the URL passed: no path may reach DNS unvetted.
            if !policy::is_outside_name(&host) {
                return Err(FetchError::Refused.into());
            }
            // A failed lookup reads like a refusal, see `FetchError::Refused`.
            let ips = inner.resolve(host).await.map_err(|_| FetchError::Refused)?;
            policy::check_answers(&ips, &policy, &rules)?;
            // Port 0 makes the connector fill in the port of the URL.
            let addresses = ips.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<&'static str>);

    impl Resolve for Fixed {
        fn resolve(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let ips = self.0.iter().map(|ip| ip.parse().expect("test address")).collect();
            Box::pin(async move { Ok(ips) })
        }
    }

    async fn vet(name: &str, answers: &[&'static str], allow_fake_ip_names: bool) -> Result<Vec<String>, FetchError> {
        let vetting = VettingResolver {
            inner: Arc::new(Fixed(answers.to_vec())),
            policy: Arc::new(Policy { allow_fake_ip_names, ..Policy::default() }),
            rules: Arc::new(AddressRules::default()),
        };
        let name: Name = name.parse().expect("test name");
        match reqwest::dns::Resolve::resolve(&vetting, name).await {
            Ok(addresses) => Ok(addresses.map(|address| address.to_string()).collect()),
            Err(error) => Err(*error.downcast_ref::<FetchError>().expect("own error")),
        }
    }

    #[tokio::test]
    async fn passes_on_exactly_what_was_vetted() {
        let all = Ok(vec!["8.8.8.8:0".to_owned(), "[2606:4700::1]:0".to_owned()]);
        assert_eq!(vet("a.example", &["8.8.8.8", "2606:4700::1"], false).await, all);
        let refused = Err(FetchError::Refused);
        assert_eq!(vet("a.example", &["8.8.8.8", "::1"], false).await, refused);
        assert_eq!(vet("localhost", &["8.8.8.8"], false).await, refused);
        assert_eq!(vet("a.example", &["198.18.0.7"], false).await, Err(FetchError::FakeIp));
        assert_eq!(vet("a.example", &["198.18.0.7"], true).await, Ok(vec!["198.18.0.7:0".to_owned()]));
    }
}
