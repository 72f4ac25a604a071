//! A job as it leaves: written once for all who ask for it, with a tag that changes whenever it does.

use std::sync::{MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::view::JobView;
use crate::api::Api;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::hub::Seen;
use crate::api::links::Links;
use crate::api::signing::{Moment, TOKEN_LIFE};

/// Who reads a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Reader {
    Owner,
    /// Somebody with a view token, which must not renew itself, and who need not know whose the job is.
    Viewer,
}

impl Reader {
    pub(in crate::api) fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Service | Caller::Team(_) | Caller::User(_) => Self::Owner,
            Caller::Viewer { .. } => Self::Viewer,
        }
    }
}

/// A job as it is sent, and a tag that changes whenever that does.
#[derive(Clone, Debug)]
pub(in crate::api) struct Rendered {
    reader: Reader,
    /// Until then the signatures in it are those of today.
    signed: Signed,
    pub(in crate::api) body: Bytes,
    pub(in crate::api) tag: HeaderValue,
}

/// The ends of what is signed: the same for all polls within a quarter of their lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signed {
    token: Moment,
    urls: Moment,
}

impl Rendered {
    /// The job as JSON; written once for all who ask for it.
    pub(in crate::api) async fn of(
        api: &Api,
        seen: &Seen,
        reader: Reader,
    ) -> Result<Self, ApiError> {
        let now = Moment::now();
        let signed = Signed {
            token: now.end_of(TOKEN_LIFE),
            urls: now.end_of(api.settings().signed_url_life),
        };
        let is_of_today = |kept: &&Self| kept.reader == reader && kept.signed == signed;
        if let Some(rendered) = kept(seen).as_ref().filter(is_of_today) {
            return Ok(rendered.clone());
        }
        let links = Links::of(api, seen.images(), now).await;
        let view = JobView::of(api, seen, &links, now).for_reader(reader);
        let body = serde_json::to_vec(&view).map_err(|e| ApiError::Internal(e.to_string()))?;
        let hash = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..16]);
        let rendered = Self {
            reader,
            signed,
            tag: HeaderValue::from_str(&format!("W/\"{hash}\""))
                .map_err(|e| ApiError::Internal(e.to_string()))?,
            body: body.into(),
        };
        if !links.are_missing {
            *kept(seen) = Some(rendered.clone());
        }
        Ok(rendered)
    }
}

fn kept(seen: &Seen) -> MutexGuard<'_, Option<Rendered>> {
    seen.rendered.lock().unwrap_or_else(PoisonError::into_inner)
}
