//! The admin UI: files that were built along, and one page for every address below `/admin`, which finds its own way.

use std::{collections::HashMap, io::Read, sync::LazyLock};

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

/// Written by `build.rs`.
mod built {
    include!(concat!(env!("OUT_DIR"), "/ui.rs"));
}

/// What the pages may do: their own scripts, styles and connections, pictures of this gateway, nothing else.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

struct File {
    /// Once unpacked.
    length: usize,
    /// As every browser takes it; it is unpacked for who does not.
    gzip: &'static [u8],
    etag: String,
    media: &'static str,
}

static FILES: LazyLock<HashMap<&'static str, File>> = LazyLock::new(|| {
    let file = |(name, length, gzip): &(&'static str, usize, &'static [u8])| {
        let digest = Sha256::digest(gzip);
        let etag = digest.iter().take(12).map(|b| format!("{b:02x}")).collect::<String>();
        (*name, File { length: *length, gzip, etag: format!("\"{etag}\""), media: media(name) })
    };
    built::FILES.iter().map(file).collect()
});

fn media(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "json" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// `/` has nothing of its own.
pub async fn home() -> Redirect {
    Redirect::temporary("/admin")
}

/// `/admin` and what is below it.
pub async fn page(path: Option<Path<String>>, headers: HeaderMap) -> Response {
    let name = path.map(|Path(path)| path).unwrap_or_default();
    let mut response = match (FILES.get(name.as_str()), FILES.get("index.html")) {
        (Some(file), _) if name != "index.html" => serve(file, &headers, name.starts_with("assets/")),
        // A file that does not exist is no page.
        _ if name.starts_with("assets/") || name.rsplit('/').next().is_some_and(|last| last.contains('.')) => {
            StatusCode::NOT_FOUND.into_response()
        }
        (_, Some(index)) => serve(index, &headers, false),
        // Built without the UI.
        (_, None) => Html(include_str!("no_ui.html").replace("{version}", env!("CARGO_PKG_VERSION"))).into_response(),
    };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn serve(file: &File, headers: &HeaderMap, never_changes: bool) -> Response {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let known = text(header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == file.etag));
    let gzip = text(header::ACCEPT_ENCODING).is_some_and(|value| value.contains("gzip"));
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false if gzip => file.gzip.into_response(),
        false => unpacked(file).into_response(),
    };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media));
    if let Ok(etag) = HeaderValue::try_from(&file.etag) {
        out.insert(header::ETAG, etag);
    }
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if gzip && !known {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let cache = if never_changes { "public, max-age=31536000, immutable" } else { "no-cache" };
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

fn unpacked(file: &File) -> Vec<u8> {
    let mut plain = Vec::with_capacity(file.length);
    // Our own bytes, packed when the program was built: they cannot be damaged, nor longer than they were.
    let _ = GzDecoder::new(file.gzip).take(file.length as u64).read_to_end(&mut plain);
    plain
}
