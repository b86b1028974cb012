//! What a client of the Images API asked for, read from the fields of JSON or of a form.

use super::{Client, RelayError, chat::check_model};
use crate::{
    model::{ImageId, Origin, Source},
    rewrite::json::quote,
    store::Blob,
    upstream::{Brief, Upstream},
};

/// What a client asked for, apart from the drawing itself.
#[derive(Debug)]
pub struct Asked {
    /// The user's words.
    pub prompt: String,
    /// The model name that the client used.
    pub model: Option<String>,
    /// Pictures as base64, else as links.
    pub base64: bool,
    /// `1024x1024`, `auto`, or nothing.
    pub size: Option<String>,
    /// How many pictures.
    pub count: u32,
    /// `png`, `jpeg` or nothing.
    pub output_format: Option<String>,
    /// As a stream of events.
    pub stream: bool,
    /// Glimpses on the way.
    pub partial_images: u32,
    /// Everything else, a JSON object.
    pub parameters: String,
}

impl Asked {
    /// Reads and checks the fields: names and JSON text.
    ///
    /// # Errors
    /// [`RelayError::BadRequest`] that names the field.
    pub fn read(fields: &[(String, String)], client: &Client) -> Result<Self, RelayError> {
        let raw = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| *v != "null");
        let text = |name: &'static str| match raw(name) {
            None => Ok(None),
            Some(raw) => match serde_json::from_str::<String>(raw) {
                Ok(text) => Ok(Some(text).filter(|t| !t.is_empty())),
                Err(_) => Err(RelayError::bad(Some(name), format!("'{name}' must be a string"))),
            },
        };
        let prompt = text("prompt")?.ok_or_else(|| RelayError::bad(Some("prompt"), "'prompt' is missing"))?;
        let count = match raw("n") {
            None => 1,
            Some(raw) => raw
                .parse()
                .ok()
                .filter(|n| (1..=10).contains(n))
                .ok_or_else(|| RelayError::bad(Some("n"), "'n' must be a number from 1 to 10"))?,
        };
        let model = text("model")?;
        check_model(model.as_deref())?;
        let base64 = match text("response_format")?.as_deref() {
            Some("b64_json") => true,
            Some("url") => false,
            Some(_) => return Err(RelayError::bad(Some("response_format"), "'response_format' must be 'url' or 'b64_json'")),
            None => client.prefers_base64 || model.as_deref().is_some_and(|m| m.to_ascii_lowercase().starts_with("gpt-image")),
        };
        let stream = match raw("stream") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(RelayError::bad(Some("stream"), "'stream' must be true or false")),
        };
        let bad_partials = || RelayError::bad(Some("partial_images"), "'partial_images' must be a number from 0 to 3");
        let partial_images = match raw("partial_images") {
            None => 0,
            Some(raw) => raw.parse().ok().filter(|n| *n <= 3).ok_or_else(bad_partials)?,
        };
        // Whoever streams wants to see, and OpenAI's streams know base64 alone.
        let base64 = if stream { text("response_format")?.as_deref() != Some("url") } else { base64 };
        let known = ["prompt", "model", "image", "images", "mask", "response_format", "stream"];
        let parameters: Vec<String> =
            fields.iter().filter(|(n, _)| !known.contains(&n.as_str())).map(|(n, v)| format!("{}:{v}", quote(n))).collect();
        let parameters = format!("{{{}}}", parameters.join(","));
        Ok(Self {
            prompt,
            model,
            base64,
            size: text("size")?,
            count,
            output_format: text("output_format")?,
            stream,
            partial_images,
            parameters,
        })
    }

    /// The same for an upstream that draws by itself.
    pub fn brief(&self, inputs: Vec<Blob>) -> Brief {
        Brief {
            prompt: self.prompt.clone(),
            inputs,
            size: self.size.clone(),
            count: self.count,
            output_format: self.output_format.clone(),
            partial_images: self.partial_images,
        }
    }

    /// What is written down with every picture.
    pub fn origin(&self, upstream: &dyn Upstream, source: Source, made_from: Vec<ImageId>) -> Origin {
        Origin {
            prompt: Some(self.prompt.clone()),
            model: self.model.clone(),
            upstream: Some(upstream.name().to_owned()),
            upstream_model: Some(upstream.model().to_owned()),
            parameters: Some(self.parameters.clone()),
            made_from,
            ..Origin::bare(source)
        }
    }
}
