//! The gallery: pages, details, deletion.

use std::collections::{HashMap, HashSet};

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    error::{AdminError, Body, Query},
    model::Image,
    words::{DeleteWhat, ImageSource, ImageState, NotDeleted, SortBy, SortOrder},
};
use crate::{
    account::Visitor,
    http::App,
    library::{Deleted, Removed},
    model::{ImageId, Sha256, Source},
    store::{Cursor, GalleryFilter, Sort, gallery, gallery::Whereabouts},
};

/// Images of one page, unless another number is asked for.
const PAGE: usize = 100;

/// Most images of one page.
const PAGE_MAX: usize = 200;

/// Most images that are deleted at once.
const DELETE_MAX: usize = 1000;

/// Longest search, in bytes.
const SEARCH_MAX: usize = 500;

/// Which images.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct Wanted {
    /// `created` (default), `accessed` or `size`.
    sort: Option<SortBy>,
    /// `desc` (default) or `asc`.
    order: Option<SortOrder>,
    /// 1 to 200.
    limit: Option<usize>,
    /// Where the page before ended: its `next`.
    after: Option<String>,
    /// Words of prompts, also of one Chinese character.
    q: Option<String>,
    /// How they came to us.
    source: Option<ImageSource>,
    /// A model name.
    model: Option<String>,
    /// Where their bytes lie.
    state: Option<ImageState>,
    /// Saved at or after this time, in milliseconds.
    from: Option<i64>,
    /// Saved before this time, in milliseconds.
    to: Option<i64>,
}

/// A page.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImagePage {
    items: Vec<Image>,
    /// For `after`; `null` at the end.
    next: Option<String>,
    /// All that are wanted.
    total: i64,
}

/// An image that an image was made from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Parent {
    /// It is there.
    Known(Box<Image>),
    /// It was deleted.
    Missing {
        /// Its id.
        id: String,
        /// Always `true`.
        missing: bool,
    },
}

/// Ways to write a link.
#[derive(Debug, Serialize, ToSchema)]
pub struct Links {
    url: String,
    markdown: String,
    html: String,
}

/// All that is known of an image.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImageDetails {
    #[serde(flatten)]
    image: Image,
    revised_prompt: Option<String>,
    upstream: Option<String>,
    upstream_model: Option<String>,
    /// Parameters of the request.
    #[schema(value_type = Option<HashMap<String, serde_json::Value>>)]
    parameters: Option<serde_json::Value>,
    duration_ms: Option<i64>,
    sha256: String,
    links: Links,
    made_from: Vec<Parent>,
    became: Vec<Image>,
}

/// What to delete.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Delete {
    /// At most 1,000.
    ids: Vec<String>,
    what: DeleteWhat,
    /// Also where no other copy exists.
    #[serde(default)]
    last_copies: bool,
    /// Once more, where many images are lost for ever.
    #[serde(default)]
    password: Option<String>,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedItem {
    id: String,
    ok: bool,
    code: Option<NotDeleted>,
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedItems {
    items: Vec<DeletedItem>,
}

/// A list of names.
#[derive(Debug, Serialize, ToSchema)]
pub struct Names {
    items: Vec<String>,
}

fn write_cursor(cursor: &Cursor) -> String {
    let sha256 = cursor.sha256.map(|sha256| sha256.to_string()).unwrap_or_default();
    format!("{}.{}.{sha256}", cursor.key, cursor.seq)
}

fn read_cursor(text: &str) -> Option<Cursor> {
    let mut parts = text.split('.');
    let (key, seq, sha256) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    let sha256 = if sha256.is_empty() { None } else { Some(sha256.parse::<Sha256>().ok()?) };
    Some(Cursor { key, sha256, seq })
}

impl Wanted {
    fn read(&self) -> Result<(GalleryFilter, Option<Cursor>, usize), AdminError> {
        let bad = |field: &str, problem: &str| AdminError::field("invalid_request", field, "invalid", problem);
        let sort = match self.sort.as_ref().map(SortBy::word) {
            None | Some("created") => Sort::Created,
            Some("accessed") => Sort::Accessed,
            Some("size") => Sort::Size,
            Some(_) => return Err(bad("sort", "is none of created, accessed, size")),
        };
        let ascending = match self.order.as_ref().map(SortOrder::word) {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => return Err(bad("order", "is neither asc nor desc")),
        };
        let source = match self.source.as_ref().map(ImageSource::word).filter(|source| !source.is_empty()) {
            None => None,
            Some(word) => Some(Source::parse(word).ok_or_else(|| bad("source", "is not known"))?.as_str()),
        };
        let after = match self.after.as_deref().filter(|after| !after.is_empty()) {
            None => None,
            Some(text) => {
                let cursor = read_cursor(text).filter(|cursor| cursor.sha256.is_some() == (sort == Sort::Size));
                Some(cursor.ok_or_else(|| bad("after", "is no end of a page of this order"))?)
            }
        };
        let place = match self.state.as_ref().map(ImageState::word).filter(|state| !state.is_empty()) {
            None => None,
            Some(word) => Some(Whereabouts::parse(word).ok_or_else(|| bad("state", "is not known"))?),
        };
        let text = self.q.clone().filter(|q| !q.trim().is_empty());
        if text.as_ref().is_some_and(|text| text.len() > SEARCH_MAX) {
            return Err(bad("q", "is too long"));
        }
        let model = self.model.clone().filter(|model| !model.is_empty());
        let filter = GalleryFilter { sort, ascending, text, source, model, place, from: self.from, to: self.to };
        Ok((filter, after, self.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX)))
    }
}

/// A page of images.
#[utoipa::path(get, path = "/images", params(Wanted), responses((status = 200, body = ImagePage)))]
pub async fn list(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<Json<ImagePage>, AdminError> {
    let (filter, after, limit) = wanted.read()?;
    let db = app.library.db();
    let (rows, next, total) = db
        .read(move |c| {
            let (rows, next) = gallery::page(c, &filter, after.as_ref(), limit)?;
            Ok((rows, next, gallery::count(c, &filter)?))
        })
        .await?;
    Ok(Json(ImagePage {
        items: rows.into_iter().map(|listed| Image::shown(listed, &app)).collect(),
        next: next.as_ref().map(write_cursor),
        total,
    }))
}

fn parse(id: &str) -> Result<ImageId, AdminError> {
    id.parse().map_err(|_| AdminError::not_found("image"))
}

/// All that is known of an image.
#[utoipa::path(get, path = "/images/{id}", params(("id" = String, Path)), responses((status = 200, body = ImageDetails)))]
pub async fn one(State(app): State<App>, client: crate::relay::Client, Path(id): Path<String>) -> Result<Json<ImageDetails>, AdminError> {
    let id = parse(&id)?;
    let found = app.library.db().read(move |c| gallery::detailed(c, id)).await?;
    let details = found.ok_or_else(|| AdminError::not_found("image"))?;
    let url = client.links.link(id);
    let alt = details.listed.prompt.as_deref().unwrap_or("image").chars().take(60).collect::<String>();
    let alt: String = alt.chars().filter(|c| !matches!(c, '[' | ']' | '"' | '<' | '>' | '&' | '\n' | '\r')).collect();
    let parent = |(id, known): (ImageId, Option<crate::store::Listed>)| match known {
        Some(listed) => Parent::Known(Box::new(Image::shown(listed, &app))),
        None => Parent::Missing { id: id.to_string(), missing: true },
    };
    Ok(Json(ImageDetails {
        sha256: details.listed.blob.sha256.to_string(),
        image: Image::shown(details.listed, &app),
        revised_prompt: details.revised_prompt,
        upstream: details.upstream,
        upstream_model: details.upstream_model,
        parameters: details.parameters.and_then(|text| serde_json::from_str(&text).ok()),
        duration_ms: details.duration_ms,
        links: Links { markdown: format!("![{alt}]({url})"), html: format!("<img src=\"{url}\" alt=\"{alt}\">"), url },
        made_from: details.made_from.into_iter().map(parent).collect(),
        became: details.became.into_iter().map(|listed| Image::shown(listed, &app)).collect(),
    }))
}

/// Deletes images, and says of each what became of it. Many that are lost for ever take the password.
#[utoipa::path(post, path = "/images/delete", request_body = Delete, responses((status = 200, body = DeletedItems)))]
pub async fn delete(State(app): State<App>, visitor: Visitor, Body(body): Body<Delete>) -> Result<Json<DeletedItems>, AdminError> {
    if body.ids.is_empty() || body.ids.len() > DELETE_MAX {
        return Err(AdminError::field("invalid_request", "ids", "invalid", format!("must be 1 to {DELETE_MAX}")));
    }
    if !DeleteWhat::ALL.contains(&body.what.word()) {
        return Err(AdminError::field("invalid_request", "what", "invalid", "is none of local, cloud, all"));
    }
    let mut seen = HashSet::new();
    let ids: Vec<ImageId> = body.ids.iter().filter_map(|id| id.parse().ok()).filter(|id: &ImageId| seen.insert(*id)).collect();
    if body.what.word() != "local" || body.last_copies {
        app.account.confirm_loss(ids.len(), body.password.as_deref(), &visitor).await?;
    }
    let mut results: HashMap<ImageId, Option<&'static str>> = HashMap::new();
    if body.what.word() == "all" {
        let deleted = app.library.delete(&ids).await?;
        results.extend(deleted.into_iter().map(|(id, what)| (id, (what != Deleted::Gone).then_some("not_found"))));
    } else {
        for id in ids {
            let removed = match body.what.word() {
                "local" => app.library.remove_local(id, body.last_copies).await?,
                _ => app.library.remove_cloud(id, body.last_copies).await?,
            };
            let code = match removed {
                Removed::Gone => None,
                Removed::Unknown => Some("not_found"),
                Removed::LastCopy => Some("last_copy"),
                Removed::NoCopy => Some("no_copy"),
            };
            results.insert(id, code);
        }
    }
    let item = |id: &String| {
        let code = id.parse().ok().and_then(|id: ImageId| results.get(&id).copied()).unwrap_or(Some("not_found"));
        DeletedItem { id: id.clone(), ok: code.is_none(), code: code.map(NotDeleted::from) }
    };
    Ok(Json(DeletedItems { items: body.ids.iter().map(item).collect() }))
}

/// Model names that occur in the library.
#[utoipa::path(get, path = "/models", responses((status = 200, body = Names)))]
pub async fn models(State(app): State<App>) -> Result<Json<Names>, AdminError> {
    Ok(Json(Names { items: app.library.db().read(gallery::models).await? }))
}
