//! Receives what the scanner finds: each image of a body goes into a file while the rest is still arriving.

use std::collections::HashMap;

use crate::{
    rewrite::{
        finder::{Ending, Form},
        scan::{BlobEvent, BlobStep, Reference},
    },
    store::{Files, Part, PartError, Received, Verbatim},
};

/// Most references in one body.
const REFERENCES_MAX: usize = 512;

/// What became of one reference.
#[derive(Debug)]
pub enum Taken {
    /// An image, whole as far as its base64 tells.
    Image(Received),
    /// A long run of text.
    Verbatim(Verbatim),
    /// An image whose base64 breaks off or holds something else; never served.
    Torn(Received),
    /// Text that calls itself an image and is none.
    Refused(Verbatim),
    /// Not received.
    Lost(PartError),
}

/// The images of one body.
#[derive(Debug)]
pub struct Intake {
    files: Files,
    open: HashMap<usize, (Part, Reference)>,
    taken: HashMap<usize, Taken>,
    references: Vec<Reference>,
}

impl Intake {
    /// For one body.
    pub fn new(files: Files) -> Self {
        Self { files, open: HashMap::new(), taken: HashMap::new(), references: Vec::new() }
    }

    /// Takes the next event. Returns the number of a reference that is complete with it.
    pub async fn take(&mut self, event: BlobEvent) -> Option<usize> {
        let index = event.index;
        match event.what {
            BlobStep::Open(reference) => {
                // Numbers in between stand for images that are downloaded.
                self.references.resize(index, Reference { form: Form::DataUrl, media: None });
                self.references.push(reference);
                if self.references.len() <= REFERENCES_MAX {
                    self.open.insert(index, (Part::open(&self.files), reference));
                } else {
                    self.taken.insert(index, Taken::Lost(PartError::TooMany));
                }
                None
            }
            BlobStep::Bytes(bytes) => {
                if let Some((part, _)) = self.open.get_mut(&index) {
                    part.write(bytes).await;
                }
                None
            }
            BlobStep::Close(ending) => {
                let (part, reference) = self.open.remove(&index)?;
                let taken = close(part, reference, ending).await;
                self.taken.insert(index, taken);
                Some(index)
            }
        }
    }

    /// The body broke off: images that are still open are torn.
    pub async fn abandon(&mut self) -> Vec<usize> {
        let mut torn: Vec<usize> = self.open.keys().copied().collect();
        torn.sort_unstable();
        for index in &torn {
            if let Some((part, reference)) = self.open.remove(index) {
                let taken = close(part, reference, Ending::Torn).await;
                self.taken.insert(*index, taken);
            }
        }
        torn
    }

    /// What the references are, by number.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// What became of a reference.
    pub fn get(&self, index: usize) -> Option<&Taken> {
        self.taken.get(&index)
    }

    /// The first failure, if there is one.
    pub fn lost(&self) -> Option<&PartError> {
        self.taken.values().find_map(|taken| if let Taken::Lost(error) = taken { Some(error) } else { None })
    }

    /// The image that a reference stands for.
    pub fn image(&self, index: usize) -> Option<&Received> {
        match self.get(index) {
            Some(Taken::Image(received)) => Some(received),
            _ => None,
        }
    }
}

async fn close(mut part: Part, reference: Reference, ending: Ending) -> Taken {
    let mut torn = matches!(ending, Ending::Torn);
    if let Ending::Open(mut decoder) = ending {
        let mut rest = Vec::new();
        torn = !decoder.finish(&mut rest);
        if !rest.is_empty() {
            part.write(rest).await;
        }
    }
    match reference.form {
        Form::Verbatim => part.finish_verbatim().await.map_or_else(Taken::Lost, Taken::Verbatim),
        Form::Refused => part.finish_verbatim().await.map_or_else(Taken::Lost, Taken::Refused),
        Form::DataUrl | Form::Bare => match part.finish().await {
            Ok(received) if torn => Taken::Torn(received),
            Ok(received) => Taken::Image(received),
            Err(error) => Taken::Lost(error),
        },
    }
}
