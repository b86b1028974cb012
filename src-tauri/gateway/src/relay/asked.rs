//! What a client of the Images API asked for, read from the fields of JSON or of a form.

use super::{Client, RelayError, conversation::check_model};
use crate::{
    model::{ImageId, Origin, Source, Wishes},
    rewrite::json::quote,
    settings::{ImagesResponse, Settings},
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
    /// What flags in the prompt and the model's alias say; goes before what the fields say, for clients send those
    /// whether the user chose them or not.
    wishes: Wishes,
    /// The prompt without its flags, if it had some: JSON.
    bare_prompt: Option<String>,
}

impl Asked {
    /// Reads and checks the fields: names and JSON text.
    ///
    /// # Errors
    /// [`RelayError::BadRequest`] that names the field.
    pub fn read(fields: &[(String, String)], client: &Client, settings: &Settings) -> Result<Self, RelayError> {
        let raw = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| *v != "null");
        let text = |name: &'static str| match raw(name) {
            None => Ok(None),
            Some(raw) => match serde_json::from_str::<String>(raw) {
                Ok(text) => Ok(Some(text).filter(|t| !t.is_empty())),
                Err(_) => Err(RelayError::bad(Some(name), format!("'{name}' must be a string"))),
            },
        };
        let prompt = text("prompt")?.ok_or_else(|| RelayError::bad(Some("prompt"), "'prompt' is missing"))?;
        let (bare, flags) = Wishes::take_from(&prompt);
        let bare_prompt = (!flags.is_empty()).then(|| quote(&bare));
        let prompt = if flags.is_empty() { prompt } else { bare };
        if prompt.is_empty() {
            return Err(RelayError::bad(Some("prompt"), "'prompt' holds nothing but flags"));
        }
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
            None if settings.images_response != ImagesResponse::Auto => settings.images_response == ImagesResponse::Base64,
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
        let preset = model.as_deref().and_then(|name| settings.aliases.wishes(name)).cloned().unwrap_or_default();
        let wishes = flags.or(preset);
        let count = wishes.count.unwrap_or(count);
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
            wishes,
            bare_prompt,
        })
    }

    /// What is wished of the drawing, from wherever it was said.
    pub fn wishes(&self) -> Wishes {
        self.wishes.clone().or(self.size.as_deref().map(Wishes::from_size).unwrap_or_default())
    }

    /// Fields that are otherwise for `model` than the client sent them: names and JSON.
    pub fn overrides(&self, model: &str) -> Vec<(&'static str, String)> {
        let wishes = &self.wishes;
        let set = [
            ("prompt", self.bare_prompt.clone()),
            ("size", wishes.size_for(model).map(|size| quote(&size))),
            ("n", wishes.count.map(|count| count.to_string())),
            ("quality", wishes.quality_for(model).map(|quality| quote(&quality))),
            ("seed", wishes.seed.map(|seed| seed.to_string())),
            ("output_format", wishes.format.map(|format| quote(format.as_str()))),
        ];
        set.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// The same for an upstream that draws by itself.
    pub fn brief(&self, inputs: Vec<Blob>) -> Brief {
        Brief {
            prompt: self.prompt.clone(),
            inputs,
            size: self.wishes.size_for("demo").or_else(|| self.size.clone()),
            count: self.count,
            output_format: self.wishes.format.map(|format| format.as_str().to_owned()).or_else(|| self.output_format.clone()),
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
