//! Which upstream a request goes to, and what its model takes.

use std::sync::Arc;

use super::Upstream;

/// The upstreams in order of preference; never empty.
#[derive(Clone)]
pub struct Routes {
    first: Arc<dyn Upstream>,
    others: Vec<Arc<dyn Upstream>>,
}

impl Routes {
    /// `first` is preferred to `others`.
    pub fn new(first: Arc<dyn Upstream>, others: Vec<Arc<dyn Upstream>>) -> Self {
        Self { first, others }
    }

    /// The upstream that is asked.
    pub fn preferred(&self) -> &Arc<dyn Upstream> {
        &self.first
    }

    /// All of them, the preferred one first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Upstream>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Whether a chat model is known to take `tools`: models that draw refuse them with an error (Gemini's image models,
/// `gpt-image-*`, DALL·E, FLUX, Seedream and their kin).
pub fn takes_tools(model: &str) -> bool {
    const DRAWING: [&str; 12] = [
        "image",
        "banana",
        "dall-e",
        "dalle",
        "flux",
        "seedream",
        "imagen",
        "stable-diffusion",
        "midjourney",
        "recraft",
        "ideogram",
        "draw",
    ];
    let model = model.to_ascii_lowercase();
    !DRAWING.iter().any(|word| model.contains(word)) && model != "demo"
}
