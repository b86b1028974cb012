//! What an upstream taught us by refusing: which part of the API it has, how it takes edits, what it does not take at
//! all. Learnt once the next attempt succeeds without, kept in the database, forgotten with the upstream's address or
//! model.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Call, Endpoint, Upstream, UpstreamError, error::Class};
use crate::{
    model::{Dialect, now},
    store::{Db, DbError, add_quirk, list_quirks, remove_quirk},
};

/// Members of a request that may be left out when an upstream refuses them: none of them says what is to be drawn.
const DISPENSABLE: [&str; 10] = [
    "response_format",
    "style",
    "stream_options",
    "partial_images",
    "modalities",
    "image_config",
    "input_fidelity",
    "moderation",
    "user",
    "seed",
];

/// One thing learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// Has chat alone.
    ChatOnly,
    /// Has the Images API alone.
    ImagesOnly,
    /// Takes edits as JSON and not as a form.
    EditsAsJson,
    /// Does not stream.
    NoStream,
    /// Does not take this member.
    Refuses(&'static str),
}

impl Quirk {
    fn word(self) -> String {
        match self {
            Self::ChatOnly => "chat_only".into(),
            Self::ImagesOnly => "images_only".into(),
            Self::EditsAsJson => "edits_as_json".into(),
            Self::NoStream => "no_stream".into(),
            Self::Refuses(member) => format!("refuses:{member}"),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "chat_only" => Some(Self::ChatOnly),
            "images_only" => Some(Self::ImagesOnly),
            "edits_as_json" => Some(Self::EditsAsJson),
            "no_stream" => Some(Self::NoStream),
            other => {
                let member = other.strip_prefix("refuses:")?;
                DISPENSABLE.iter().find(|known| **known == member).map(|known| Self::Refuses(known))
            }
        }
    }

    /// What a refusal of `call` teaches, beyond what is `known`. Only what was in the call can be left out of the next one.
    pub fn taught_by(error: &UpstreamError, call: &Call, known: &Traits) -> Option<Self> {
        // A bad request and nothing else: 408 may have started, 429 asks to wait, and a policy is no matter of form.
        if !matches!(error.status, Some(400 | 415 | 422)) || !matches!(error.class, Class::BadParameter | Class::Server) {
            return None;
        }
        let text = error.message.to_ascii_lowercase();
        let refuses_form =
            error.status == Some(415) || text.contains("multipart") || error.code.as_deref() == Some("convert_request_failed");
        if call.endpoint == Endpoint::Edits && refuses_form && !known.edits_as_json() {
            return Some(Self::EditsAsJson);
        }
        let sent = |member: &str| call.members.iter().any(|sent| sent == member);
        let refused = |member: &str| sent(member) && complains_of(&text, error.param.as_deref(), member);
        if call.stream && known.streams() && refused("stream") {
            return Some(Self::NoStream);
        }
        DISPENSABLE.iter().find(|member| refused(member) && !known.refuses(member)).map(|member| Self::Refuses(member))
    }
}

/// Whether `text`, in small letters, says that a member called `member` is not taken; `param` is the one that the error
/// names. What is wrong with its value is another matter.
fn complains_of(text: &str, param: Option<&str>, member: &str) -> bool {
    const SAYS: [&str; 22] = [
        "unknown parameter: '@'",
        "unknown parameter '@'",
        "unknown parameter: @",
        "unsupported parameter: '@'",
        "unsupported parameter '@'",
        "unsupported parameter: @",
        "unrecognized request argument supplied: @",
        "unexpected keyword argument '@'",
        "'@' was unexpected",
        "parameter '@' is not supported",
        "parameter @ is not supported",
        "'@' is not supported",
        "`@` is not supported",
        "\"@\" is not supported",
        "@ is not supported",
        "@ not supported",
        "does not support '@'",
        "does not support @",
        "unknown field \"@\"",
        "unknown name \"@\"",
        "@: extra inputs are not permitted",
        "不支持参数 @",
    ];
    const NOT_TAKEN: [&str; 6] =
        ["unknown parameter", "unsupported parameter", "not supported", "unrecognized", "not permitted", "unexpected"];
    if param == Some(member) {
        return NOT_TAKEN.iter().any(|words| text.contains(words)) && !text.contains("value");
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    SAYS.iter().any(|pattern| {
        let words = pattern.replace('@', member);
        text.match_indices(&words).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + words.len()..]);
            !(words.starts_with(is_word) && before.ends_with(is_word) || words.ends_with(is_word) && after.starts_with(is_word))
        })
    })
}

/// All that is known of an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits(BTreeSet<Quirk>);

impl Traits {
    /// Which part of the API it has; `None`: both, as far as is known.
    pub fn dialect(&self) -> Option<Dialect> {
        match (self.0.contains(&Quirk::ChatOnly), self.0.contains(&Quirk::ImagesOnly)) {
            (true, false) => Some(Dialect::Chat),
            (false, true) => Some(Dialect::Images),
            _ => None,
        }
    }

    /// Whether it takes edits as JSON alone.
    pub fn edits_as_json(&self) -> bool {
        self.0.contains(&Quirk::EditsAsJson)
    }

    /// Whether it streams when asked to.
    pub fn streams(&self) -> bool {
        !self.0.contains(&Quirk::NoStream)
    }

    /// Whether it does not take this member of a request.
    pub fn refuses(&self, member: &str) -> bool {
        self.0.iter().any(|quirk| matches!(quirk, Quirk::Refuses(refused) if *refused == member))
    }

    /// The members that it does not take.
    pub fn refused(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|quirk| if let Quirk::Refuses(member) = quirk { Some(*member) } else { None })
    }

    /// Everything, in words.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(|quirk| quirk.word()).collect()
    }

    /// Everything.
    pub fn all(&self) -> Vec<Quirk> {
        self.0.iter().copied().collect()
    }

    /// With one thing more.
    pub fn with(mut self, quirk: Quirk) -> Self {
        self.0.insert(quirk);
        self
    }
}

/// What is known of all upstreams. Clones share it.
#[derive(Clone)]
pub struct Learnt {
    known: Arc<Mutex<HashMap<String, Traits>>>,
    db: Db,
}

impl Learnt {
    /// What was learnt so far.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn load(db: &Db) -> Result<Self, DbError> {
        let mut known: HashMap<String, Traits> = HashMap::new();
        for (upstream, word) in db.read(list_quirks).await? {
            if let Some(quirk) = Quirk::parse(&word) {
                known.entry(upstream).or_default().0.insert(quirk);
            }
        }
        Ok(Self { known: Arc::new(Mutex::new(known)), db: db.clone() })
    }

    /// What is known of `upstream`.
    pub fn of(&self, upstream: &dyn Upstream) -> Traits {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&upstream.identity()).cloned().unwrap_or_default()
    }

    /// Remembers.
    pub async fn learn(&self, upstream: &dyn Upstream, quirk: Quirk) {
        let identity = upstream.identity();
        let is_new = self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(identity.clone()).or_default().0.insert(quirk);
        if !is_new {
            return;
        }
        tracing::info!(upstream = upstream.name(), quirk = quirk.word(), "learnt of the upstream");
        if let Err(error) = self.db.write(move |t| add_quirk(t, &identity, &quirk.word(), now())).await {
            tracing::warn!(%error, "what was learnt of the upstream is forgotten at the next start");
        }
    }

    /// Remembers until the program ends: the refusal may have come from a server in between.
    pub fn suspect(&self, upstream: &dyn Upstream, quirk: Quirk) {
        tracing::info!(upstream = upstream.name(), quirk = quirk.word(), "suspected of the upstream");
        self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(upstream.identity()).or_default().0.insert(quirk);
    }

    /// Forgets what turned out to be wrong.
    pub async fn forget(&self, upstream: &dyn Upstream, quirk: Quirk) {
        let identity = upstream.identity();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&identity).is_some_and(|t| t.0.remove(&quirk));
        if !known {
            return;
        }
        tracing::info!(upstream = upstream.name(), quirk = quirk.word(), "no longer true of the upstream");
        if let Err(error) = self.db.write(move |t| remove_quirk(t, &identity, &quirk.word())).await {
            tracing::warn!(%error, "the upstream's quirk comes back at the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn refusal(status: u16, message: &str) -> UpstreamError {
        UpstreamError { status: Some(status), not_started: true, ..UpstreamError::new(Class::BadParameter, message) }
    }

    fn call(endpoint: Endpoint, members: &[&str]) -> Call {
        let make = Arc::new(|| http_body_util::BodyExt::boxed(http_body_util::Empty::new().map_err(|never| match never {})));
        let payload = crate::upstream::Payload { content_type: String::new(), make };
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        Call { endpoint, payload, stream: true, members, brief: crate::upstream::Brief::default() }
    }

    #[test]
    fn refusals_teach_what_to_leave_out() {
        let none = Traits::default();
        let members = ["prompt", "response_format", "style", "stream", "seed", "user", "moderation"];
        for (message, endpoint, quirk) in [
            ("Unknown parameter: 'response_format'.", Endpoint::Generations, Some(Quirk::Refuses("response_format"))),
            ("style is not supported for this model", Endpoint::Generations, Some(Quirk::Refuses("style"))),
            ("stream is not supported", Endpoint::Chat, Some(Quirk::NoStream)),
            ("gpt-image-2 does not accept multipart file upload", Endpoint::Edits, Some(Quirk::EditsAsJson)),
            ("unsupported lifestyle", Endpoint::Generations, None),
            ("style must be vivid or natural", Endpoint::Generations, None),
            ("unknown parameter: 'prompt'", Endpoint::Generations, None),
            ("unknown parameter: 'modalities'", Endpoint::Chat, None),
            (
                "Generating images in the style of a living artist for this user is not allowed (seed, moderation).",
                Endpoint::Generations,
                None,
            ),
            ("unexpected end of stream after 300 s", Endpoint::Chat, None),
        ] {
            assert_eq!(Quirk::taught_by(&refusal(400, message), &call(endpoint, &members), &none), quirk, "{message}");
        }
        let named = |message: &str| UpstreamError { param: Some("style".into()), ..refusal(400, message) };
        let chat = call(Endpoint::Chat, &members);
        assert_eq!(Quirk::taught_by(&named("this argument is not supported"), &chat, &none), Some(Quirk::Refuses("style")));
        assert_eq!(Quirk::taught_by(&named("Invalid value: 'x'. Supported values are: 'vivid'"), &chat, &none), None);
        let known = none.clone().with(Quirk::Refuses("style"));
        assert_eq!(Quirk::taught_by(&refusal(400, "unknown parameter 'style'"), &chat, &known), None);
        for status in [408, 429, 403, 500] {
            assert_eq!(Quirk::taught_by(&refusal(status, "unknown parameter 'style'"), &chat, &none), None, "{status}");
        }
    }

    #[test]
    fn words_survive_the_database() {
        for quirk in [Quirk::ChatOnly, Quirk::ImagesOnly, Quirk::EditsAsJson, Quirk::NoStream, Quirk::Refuses("style")] {
            assert_eq!(Quirk::parse(&quirk.word()), Some(quirk));
        }
        assert_eq!(Quirk::parse("refuses:prompt"), None);
    }
}
