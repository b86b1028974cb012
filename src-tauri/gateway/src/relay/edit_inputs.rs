//! Reads what an edit starts from: pictures of a form, or of JSON in any of the ways in which clients write them.

use bytes::Bytes;
use futures_util::Stream;

use super::{
    EditRequest, Input, Relay, RelayError,
    conversation::check_picture,
    images::{REQUEST_MAX, check_object, fields},
    receive::{Scanned, Sender, scan},
};
use crate::{
    library::RestoreError,
    model::ImageId,
    rewrite::{json::Node, links},
    store::{Part, Received},
};

impl Relay {
    /// Reads an edit that was sent as JSON.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn read_edit<E: Send>(&self, body: impl Stream<Item = Result<Bytes, E>> + Send) -> Result<EditRequest, RelayError> {
        let scanned = scan(body, self.library.files(), REQUEST_MAX, Sender::Client).await?;
        let document = &scanned.document;
        check_object(document)?;
        let mut request = EditRequest { fields: fields(document), ..EditRequest::default() };
        scanned.check_received()?;
        request.fields.retain(|(name, _)| !matches!(name.as_str(), "image" | "images" | "mask"));
        // A form has no place for a picture in the middle of another field.
        if let Some((name, _)) = request.fields.iter().find(|(_, value)| scanned.readable(value) != *value) {
            let message = format!("'{name}' holds a picture or is too long; pictures may stand in 'image', 'images' and 'mask'");
            return Err(RelayError::bad(None, message));
        }
        for (key, param) in [("image", "image"), ("images", "images")] {
            let Some(node) = document.root().get(key) else { continue };
            for item in if node.is_array() { node.items() } else { std::slice::from_ref(node) } {
                request.images.push(self.input(&scanned, item, param).await?);
            }
        }
        if let Some(mask) = document.root().get("mask").filter(|n| !n.is_null()) {
            request.mask = Some(self.input(&scanned, mask, "mask").await?);
        }
        Ok(request)
    }

    async fn input(&self, scanned: &Scanned, node: &Node, param: &'static str) -> Result<Input, RelayError> {
        let document = &scanned.document;
        if let Some(index) = scanned.known().image_in(document, node) {
            check_picture(scanned.intake.get(index), param)?;
            let received = scanned.intake.image(index).ok_or_else(|| RelayError::bad(Some(param), "is not a picture"))?;
            return Ok(self.received(received.clone()).await);
        }
        let inner = ["image_url", "url"].iter().find_map(|key| node.get(key)).unwrap_or(node);
        let url = document.string(inner).or_else(|| document.string_at(inner, "url"));
        let unusable =
            |message: &str| RelayError::BadRequest { message: format!("'{param}' {message}"), param: Some(param), code: "invalid_image" };
        let Some(url) = url else { return Err(unusable("must be a link to an image of this gateway, a data URL or base64")) };
        match links::whole(&url) {
            Some(id) => self.linked(id, param).await,
            None if url.starts_with("http") => {
                Err(unusable("is the address of another server; send the picture itself or a link of this gateway"))
            }
            None => Err(unusable("is neither a link of this gateway nor a picture in base64")),
        }
    }

    async fn linked(&self, id: ImageId, param: &'static str) -> Result<Input, RelayError> {
        let found = match self.library.open(id).await {
            Ok(found) => found,
            Err(RestoreError::Gone) if self.library.is_left_behind(id).await? => return Err(RelayError::left_behind(id, Some(param))),
            Err(RestoreError::Gone) => None,
            Err(RestoreError::Away(fault)) => return Err(RelayError::BucketAway(fault.code())),
            Err(RestoreError::Library(error)) => return Err(error.into()),
        };
        let missing = || RelayError::BadRequest { message: format!("there is no image {id}"), param: Some(param), code: "image_not_found" };
        let (record, blob) = found.ok_or_else(missing)?;
        Ok(Input { blob, sha256: record.blob.sha256, media_type: record.blob.media_type, id: Some(id) })
    }

    /// A picture that came with the request.
    async fn received(&self, received: Received) -> Input {
        let id = if self.settings.snapshot().keep_uploads { self.keep_upload(&received).await } else { None };
        Input { blob: received.blob, sha256: received.sha256, media_type: received.media_type, id }
    }

    /// Receives one file of a form.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn receive_file<E: Send>(&self, file: impl Stream<Item = Result<Bytes, E>> + Send) -> Result<Input, RelayError> {
        let mut part = Part::open(self.library.files());
        futures_util::pin_mut!(file);
        while let Some(chunk) = futures_util::StreamExt::next(&mut file).await {
            part.write(chunk.map_err(|_| RelayError::CutOff)?.to_vec()).await;
        }
        let received = part.finish().await.map_err(|e| RelayError::from(&e))?;
        Ok(self.received(received).await)
    }
}
