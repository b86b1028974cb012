//! The upstream that needs no key: draws a picture from the prompt so that the whole path works in the first minute.
//! It answers in OpenAI's dialects byte for byte as a provider would, so that nothing else knows that it is a demo.

mod artist;
mod dialect;

use std::{
    io::Read,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use tokio::sync::Semaphore;
use url::Url;

use self::artist::{Brief as Drawing, Format, draw, draw_partial};
use super::{
    Answer, Brief, Call, Class, Upstream, UpstreamError,
    fetch::{Download, FetchError},
};
use crate::{model::Dialect, store::Blob};

/// Side of a picture if the client names no size.
const DEFAULT_SIDE: u32 = 1024;

/// Most pictures of one request, as OpenAI has it.
const COUNT_MAX: u32 = 10;

/// Most glimpses of a picture on its way, as OpenAI has it.
const PARTIALS_MAX: u32 = 3;

/// Pictures drawn at once; each takes a processor.
const ARTISTS: usize = 2;

/// Largest picture that an edit starts from, in bytes.
const INPUT_MAX: u64 = 32 * 1024 * 1024;

/// Most pictures that an edit starts from.
const INPUTS_MAX: usize = 4;

/// The demo.
pub struct Demo {
    artists: Semaphore,
}

impl Default for Demo {
    fn default() -> Self {
        Self { artists: Semaphore::new(ARTISTS) }
    }
}

impl Demo {
    async fn answer(&self, call: Call) -> Result<Answer, UpstreamError> {
        let count = if call.endpoint == super::Endpoint::Chat { 1 } else { call.brief.count.clamp(1, COUNT_MAX) };
        let mut pictures = Vec::new();
        for number in 0..count {
            let _permit = self.artists.acquire().await;
            let brief = call.brief.clone();
            let picture = tokio::task::spawn_blocking(move || paint(&brief, number)).await;
            pictures.push(picture.map_err(|_| UpstreamError::ours(Class::Server, "内置演示画不出这个", "the demo could not draw this"))?);
        }
        let mut partials = Vec::new();
        if call.stream && call.endpoint != super::Endpoint::Chat {
            for stage in 0..call.brief.partial_images.min(PARTIALS_MAX) {
                let brief = call.brief.clone();
                let _permit = self.artists.acquire().await;
                let picture = tokio::task::spawn_blocking(move || sketch(&brief, stage as u8)).await;
                partials
                    .push(picture.map_err(|_| UpstreamError::ours(Class::Server, "内置演示画不出这个", "the demo could not draw this"))?);
            }
        }
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let parts = dialect::answer(call.endpoint, call.stream, &call.brief, &partials, &pictures, created);
        let is_stream = call.stream;
        let body = stream::iter(parts.into_iter().map(|part| Ok(Bytes::from(part)))).boxed();
        Ok(Answer { is_stream, body })
    }
}

fn is_jpeg(brief: &Brief) -> bool {
    brief.output_format.as_deref().is_some_and(|f| f.eq_ignore_ascii_case("jpeg") || f.eq_ignore_ascii_case("jpg"))
}

fn paint(brief: &Brief, number: u32) -> Vec<u8> {
    // Several pictures of one prompt are to differ.
    let prompt = if number == 0 { brief.prompt.clone() } else { format!("{} ({})", brief.prompt, number + 1) };
    with_drawing(brief, &prompt, draw)
}

fn sketch(brief: &Brief, stage: u8) -> Vec<u8> {
    with_drawing(brief, &brief.prompt, |drawing| draw_partial(drawing, stage))
}

fn with_drawing(brief: &Brief, prompt: &str, draw: impl FnOnce(&Drawing<'_>) -> Vec<u8>) -> Vec<u8> {
    use crate::model::Measured;
    let usable = brief.inputs.iter().rev().take(INPUTS_MAX).filter(|blob| blob.len() <= INPUT_MAX);
    let inputs: Vec<Vec<u8>> = usable.filter_map(|blob| read_whole(blob).ok()).collect();
    let (width, height) = size(brief.size.as_deref());
    let format = if is_jpeg(brief) { Format::Jpeg } else { Format::Png };
    draw(&Drawing { prompt, width, height, inputs: &inputs, format })
}

fn read_whole(blob: &Blob) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    blob.open()?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn size(text: Option<&str>) -> (u32, u32) {
    let parse = |text: &str| {
        let (width, height) = text.split_once(['x', 'X', '×'])?;
        Some((width.trim().parse().ok()?, height.trim().parse().ok()?))
    };
    text.and_then(parse).unwrap_or((DEFAULT_SIDE, DEFAULT_SIDE))
}

impl Upstream for Demo {
    fn name(&self) -> &str {
        "demo"
    }

    fn model(&self) -> &str {
        "demo"
    }

    fn identity(&self) -> String {
        "demo".into()
    }

    fn dialect(&self) -> Option<Dialect> {
        None
    }

    fn base(&self) -> Option<&Url> {
        None
    }

    fn may_send_to(&self, _: &str) -> bool {
        false
    }

    fn redact(&self, _: &mut Vec<u8>) {}

    fn send(&self, call: Call) -> BoxFuture<'_, Result<Answer, UpstreamError>> {
        self.answer(call).boxed()
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<String>, UpstreamError>> {
        async { Ok(vec!["demo".to_owned()]) }.boxed()
    }

    fn download<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Download, FetchError>> {
        std::future::ready(Err(FetchError::Refused)).boxed()
    }
}
