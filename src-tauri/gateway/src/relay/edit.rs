//! An edit as it was sent and as it goes out: a form or JSON, whichever the other side takes.

use super::{
    Client, RelayError,
    conversation::{json_payload, payload},
    images::takes_response_format,
    once::Claim,
    receive::data_url,
};
use crate::{
    library::Assembled,
    model::{ImageId, MediaType, Sha256},
    rewrite::{expand::Piece, json::quote},
    store::Blob,
    upstream::{Brief, Call, Endpoint, Payload, Traits, Upstream},
};

/// A picture that an edit starts from.
#[derive(Clone, Debug)]
pub struct Input {
    pub(super) blob: Blob,
    pub(super) sha256: Sha256,
    pub(super) media_type: MediaType,
    /// The image of ours that it is.
    pub(super) id: Option<ImageId>,
}

/// An edit, however it was sent.
#[derive(Debug, Default)]
pub struct EditRequest {
    /// Everything but pictures: name and JSON text.
    pub(super) fields: Vec<(String, String)>,
    pub(super) images: Vec<Input>,
    pub(super) mask: Option<Input>,
}

impl EditRequest {
    /// A text field of a form.
    ///
    /// # Errors
    /// [`RelayError`] if it stands there already: the two sides could read different ones.
    pub fn field(&mut self, name: String, value: &str) -> Result<(), RelayError> {
        if self.fields.iter().any(|(known, _)| *known == name) {
            return Err(RelayError::bad(None, format!("'{name}' stands twice in the form")));
        }
        // Forms know only text; JSON knows numbers and booleans.
        let is_bare = matches!(name.as_str(), "n" | "output_compression" | "partial_images" | "stream")
            && serde_json::from_str::<serde_json::Value>(value).is_ok();
        self.fields.push((name, if is_bare { value.to_owned() } else { quote(value) }));
        Ok(())
    }

    /// A picture of a form: `image`, `image[]`, `image[0]`…, or `mask`.
    pub fn file(&mut self, name: &str, input: Input) {
        if name == "mask" {
            self.mask = Some(input);
        } else {
            self.images.push(input);
        }
    }

    /// Whether a field of this name holds a picture.
    pub fn is_picture(name: &str) -> bool {
        matches!(name, "image" | "mask" | "images") || name.starts_with("image[") || name.starts_with("images[")
    }

    /// What makes the request the same as another one.
    pub(super) fn claim(&self, client: &Client) -> Claim {
        let pictures = self.images.iter().chain(&self.mask).map(|input| input.sha256.to_string()).collect::<Vec<_>>();
        let mask = if self.mask.is_some() { "mask" } else { "" };
        let fields = self.fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Claim::new("edits", client, fields.chain([mask.as_bytes()]).chain(pictures.iter().map(|p| p.as_bytes())))
    }

    /// The bytes that it starts from.
    pub(super) fn blobs(&self) -> Vec<Blob> {
        self.images.iter().map(|input| input.blob.clone()).collect()
    }

    /// The call to an upstream that has the Images API.
    ///
    /// # Errors
    /// [`RelayError`] if it cannot be written as the upstream takes it.
    pub(super) fn call(&self, upstream: &dyn Upstream, traits: &Traits, stream: bool, brief: &Brief) -> Result<Call, RelayError> {
        let model = upstream.model();
        let ours = |name: &str| matches!(name, "model" | "response_format") || !stream && matches!(name, "stream" | "partial_images");
        let passed = self.fields.iter().filter(|(name, _)| !ours(name) && !traits.refuses(name));
        let mut fields: Vec<(String, String)> = passed.cloned().collect();
        fields.insert(0, ("model".into(), quote(model)));
        let wants_format = self.fields.iter().any(|(name, _)| name == "response_format");
        if wants_format && takes_response_format(model) && !traits.refuses("response_format") {
            fields.push(("response_format".into(), "\"b64_json\"".into()));
        }
        let (endpoint, payload) = if self.images.is_empty() {
            let members = fields.iter().map(|(name, value)| format!("{}:{value}", quote(name))).collect::<Vec<_>>().join(",");
            (Endpoint::Generations, json_payload(Assembled::text(format!("{{{members}}}"))))
        } else if traits.edits_as_json() {
            (Endpoint::Edits, self.as_json(&fields))
        } else {
            (Endpoint::Edits, self.as_form(&fields)?)
        };
        let members = fields.into_iter().map(|(name, _)| name).collect();
        Ok(Call { endpoint, payload, stream, members, brief: brief.clone() })
    }

    /// Sets a field.
    pub(super) fn set(&mut self, name: &str, value: String) {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, present)) => *present = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    fn as_json(&self, fields: &[(String, String)]) -> Payload {
        let mut pieces = vec![Piece::Text(b"{".to_vec())];
        let text = |pieces: &mut Vec<Piece<Blob>>, text: String| pieces.push(Piece::Text(text.into_bytes()));
        for (name, value) in fields {
            text(&mut pieces, format!("{}:{value},", quote(name)));
        }
        text(&mut pieces, "\"images\":[".into());
        for (at, input) in self.images.iter().enumerate() {
            text(&mut pieces, format!("{}{{\"image_url\":\"", if at > 0 { "," } else { "" }));
            pieces.extend(data_url(input.blob.clone(), input.media_type.mime()));
            text(&mut pieces, "\"}".into());
        }
        text(&mut pieces, "]".into());
        if let Some(mask) = &self.mask {
            text(&mut pieces, ",\"mask\":{\"image_url\":\"".into());
            pieces.extend(data_url(mask.blob.clone(), mask.media_type.mime()));
            text(&mut pieces, "\"}".into());
        }
        text(&mut pieces, "}".into());
        json_payload(Assembled::new(pieces))
    }

    fn as_form(&self, fields: &[(String, String)]) -> Result<Payload, RelayError> {
        let boundary = format!("picgate-{}", uuid::Uuid::new_v4().simple());
        let mut pieces = Vec::new();
        let mut text = String::new();
        for (name, value) in fields {
            // Text of a form is bare; anything else of JSON is written as it is.
            let value = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.clone());
            text.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n", form_name(name)));
        }
        let image_name = if self.images.len() > 1 { "image[]" } else { "image" };
        let images = self.images.iter().map(|input| (image_name, input));
        for (name, input) in images.chain(self.mask.iter().map(|mask| ("mask", mask))) {
            let file = format!("{}.{}", name.trim_end_matches("[]"), input.media_type.extension());
            text.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {}\r\n\r\n",
                input.media_type.mime()
            ));
            pieces.push(Piece::Text(std::mem::take(&mut text).into_bytes()));
            pieces.push(Piece::Raw(input.blob.clone()));
            text.push_str("\r\n");
        }
        text.push_str(&format!("--{boundary}--\r\n"));
        pieces.push(Piece::Text(text.into_bytes()));
        Ok(payload(format!("multipart/form-data; boundary={boundary}"), Assembled::new(pieces)))
    }
}

/// Escapes as browsers do (HTML standard, multipart/form-data encoding).
fn form_name(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
