//! Where a window may go: it stays with the admin pages of our own gateway. Everything else is for the system's browser, or
//! for nobody. Pure.

use picgate_gateway::shell::Page;
use tauri::Url;

/// What becomes of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The window goes there.
    Here,
    /// The system's browser goes there.
    Browser,
    /// Nobody goes there.
    Nowhere,
}

/// What becomes of `to` in a window whose gateway is at `home`. Origins are compared, not texts: the text
/// `http://127.0.0.1:5643@evil.example` begins like ours.
pub fn way(home: &Url, to: &Url) -> Way {
    let ours = to.origin() == home.origin();
    match to.scheme() {
        // What the page itself made, such as a file that it offers.
        "blob" if ours => Way::Here,
        "about" if to.path() == "blank" => Way::Here,
        "http" | "https" if ours && is_admin(to.path()) => Way::Here,
        "http" | "https" | "mailto" => Way::Browser,
        _ => Way::Nowhere,
    }
}

fn is_admin(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// The page that an address of ours belongs to, with what follows the page's own address.
pub fn page_of(home: &Url, to: &Url) -> Option<(Page, Option<String>)> {
    if to.origin() != home.origin() {
        return None;
    }
    let inner = to.path().strip_prefix("/admin/")?;
    let (word, rest) = inner.split_once('/').map_or((inner, String::new()), |(word, rest)| (word, format!("/{rest}")));
    let page = word.parse().ok()?;
    let rest = to.query().map_or(rest.clone(), |query| format!("{rest}?{query}"));
    Some((page, (!rest.is_empty()).then_some(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_home(to: &str) -> Way {
        way(&home(), &to.parse().expect("an address"))
    }

    fn home() -> Url {
        "http://127.0.0.1:5643".parse().expect("an address")
    }

    #[test]
    fn a_window_stays_with_the_admin_pages() {
        for to in [
            "http://127.0.0.1:5643/admin",
            "http://127.0.0.1:5643/admin/gallery?sort=size",
            "about:blank",
            "blob:http://127.0.0.1:5643/1-2",
        ] {
            assert_eq!(from_home(to), Way::Here, "{to}");
        }
    }

    #[test]
    fn images_and_other_hosts_are_for_the_browser() {
        for to in [
            "http://127.0.0.1:5643/images/0b1c",
            "http://127.0.0.1:5643/administrator",
            "http://127.0.0.1:5644/admin",
            "https://127.0.0.1:5643/admin",
            "http://localhost:5643/admin",
            "http://127.0.0.1:5643@evil.example/admin",
            "https://github.com",
            "mailto:someone@example.com",
        ] {
            assert_eq!(from_home(to), Way::Browser, "{to}");
        }
    }

    #[test]
    fn nobody_runs_scripts_or_opens_files() {
        for to in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "tauri://localhost",
            "about:srcdoc",
            "blob:http://evil.example/1",
        ] {
            assert_eq!(from_home(to), Way::Nowhere, "{to}");
        }
    }

    #[test]
    fn a_link_to_a_page_is_known_with_what_follows() {
        let page = |to: &str| page_of(&home(), &to.parse().expect("an address"));
        assert_eq!(page("http://127.0.0.1:5643/admin/logs"), Some((Page::Logs, None)));
        assert_eq!(page("http://127.0.0.1:5643/admin/gallery/0b1c?x=1"), Some((Page::Gallery, Some("/0b1c?x=1".into()))));
        assert_eq!(page("http://127.0.0.1:5643/admin/api/x"), None);
        assert_eq!(page("http://evil.example/admin/logs"), None);
    }
}
