//! Pictures that a caller brings: uploaded once, named by jobs as `upload:...`.
//!
//! An upload is the tenant's own: its object lies in the tenant's folder, so a name says nothing to
//! anybody else. It is named by its content, so that the same picture twice is one object. It is opened
//! here and now, because whoever has the file should hear that it is damaged, not the job tomorrow.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Query, Request, State};
use axum::http::{StatusCode, header};
use futures_util::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::caller::Caller;
use super::error::{ApiError, ErrorBody};
use crate::db::jobs::{NewJob, tenant_of};
use crate::db::uploads;
use crate::domain::{Tenant, hex};
use crate::images::fetch::MAX_BYTES;
use crate::images::{INVALID_INPUT, Inspected, NotAPicture, PictureFormat};
use crate::storage::ObjectKey;

/// Uploads at a time in this process: each is held in memory as a whole.
const AT_ONCE: usize = 32;
/// Bytes of a tenant's uploads that no job has named yet, about: 50 of the largest pictures, more than
/// anybody works with at a time. Without a bound one tenant could fill the disk, and the pictures that
/// others have paid for could not be stored.
const MOST_UNUSED: i64 = 500 * 1000 * 1000;
/// Of a body that is too large so much is still taken and thrown away: a client that is cut off while it
/// sends never reads why.
const DRAINED: usize = MAX_BYTES;
/// What a form may weigh beside its file.
const FORM: usize = 1024 * 1024;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Whose upload it is; for service keys, which act for anybody.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// Only of a service key.
    team_id: Option<String>,
    /// Only of a service key.
    user_id: Option<String>,
}

/// A picture that was taken in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Uploaded {
    /// What a job names in its `images`.
    #[schema(
        example = "upload:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.png"
    )]
    url: String,
    bytes: usize,
    width: u32,
    height: u32,
    mime_type: &'static str,
}

/// Takes in a picture, raw or as a form's file: JPEG, PNG or WebP of at most 10 MB. One that no job names
/// within 24 hours is removed.
#[utoipa::path(
    post, path = "/api/uploads", tag = "extra",
    params(Whose),
    request_body(content = Vec<u8>, description = "The picture, or multipart/form-data with it",
                 content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "It is stored", body = Uploaded),
        (status = 400, description = "The picture is damaged or has too many pixels", body = ErrorBody),
        (status = 413, description = "Larger than 10 MB", body = ErrorBody),
        (status = 415, description = "Neither JPEG, PNG nor WebP", body = ErrorBody),
        (status = 429, description = "500 MB of unused uploads are there already", body = ErrorBody),
        (status = 502, description = "The storage fails", body = ErrorBody),
        (status = 503, description = "Too many uploads at once; or the server or its database is away", body = ErrorBody),
    )
)]
pub(super) async fn upload(
    State(api): State<Api>,
    caller: Caller,
    Query(whose): Query<Whose>,
    request: Request,
) -> Result<(StatusCode, Json<Uploaded>), ApiError> {
    let tenant = tenant(&api, &caller, whose).await?;
    let _turn = TURNS.try_acquire().map_err(|_| ApiError::Busy)?;
    let bytes = Bytes::from(received(request).await?);
    let picture = opened(&api, bytes.clone()).await?;
    let name = format!(
        "{}.{}",
        hex(&Sha256::digest(&bytes)),
        picture.format.extension()
    );
    let key = ObjectKey::upload_named(&tenant, &name)
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let length = bytes.len();
    // Before the object: one without a row would never be removed.
    let recorded = i64::try_from(length).unwrap_or(i64::MAX);
    let others = uploads::unused_bytes(api.db(), &tenant, &name).await?;
    if others.saturating_add(recorded) > MOST_UNUSED {
        return Err(ApiError::UploadsFull);
    }
    uploads::record(api.db(), &tenant, &name, recorded).await?;
    api.storage().put(&key, bytes).await?;
    let uploaded = Uploaded {
        url: format!("upload:{name}"),
        bytes: length,
        width: picture.width,
        height: picture.height,
        mime_type: picture.format.mime(),
    };
    Ok((StatusCode::CREATED, Json(uploaded)))
}

/// Takes the uploads among a job's pictures for used.
///
/// # Errors
/// 400 for one that is not there any more, and for somebody else's, which must look the same.
pub(super) async fn claim(api: &Api, tenant: &Tenant, pictures: &[String]) -> Result<(), ApiError> {
    let named = pictures.iter().map(|picture| picture.trim());
    let names: Vec<String> = named
        .filter_map(|picture| picture.strip_prefix("upload:").map(str::to_owned))
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let going = uploads::claim(api.db(), tenant, &names).await?;
    for name in &names {
        // Looked for behind the claim: from there on nobody removes it.
        let key = ObjectKey::upload_named(tenant, name);
        let is_there = match key {
            Ok(key) => !going.contains(name) && api.storage().exists(&key).await?,
            Err(_) => false,
        };
        if !is_there {
            return Err(ApiError::Refused(
                "unknown_upload",
                format!(
                    "There is no upload \"upload:{name}\" of the job's team or user; upload the picture again, with a service key under the same ?teamId or ?userId."
                ),
            ));
        }
    }
    Ok(())
}

/// As the jobs that will name it are written: the database converts the ids that a service key gives.
async fn tenant(api: &Api, caller: &Caller, whose: Whose) -> Result<Tenant, ApiError> {
    if let Some(tenant) = caller.tenant()? {
        return Ok(tenant);
    }
    let job = NewJob {
        team_id: whose.team_id,
        user_id: whose.user_id,
        ..NewJob::default()
    };
    Ok(tenant_of(api.db(), &job).await?)
}

/// What it is, having decoded all of it.
async fn opened(api: &Api, bytes: Bytes) -> Result<Inspected, ApiError> {
    match PictureFormat::of(&bytes) {
        Ok(_) => {}
        Err(NotAPicture::Empty) => {
            return Err(ApiError::Invalid(NotAPicture::Empty.to_string()));
        }
        Err(why @ NotAPicture::Foreign(_)) => return Err(ApiError::WrongType(why.to_string())),
        Err(why @ (NotAPicture::WebPage | NotAPicture::Unknown)) => {
            return Err(ApiError::WrongType(format!("{why} HEIC is not taken.")));
        }
    }
    let picture = api.decoder().inspect(bytes).await;
    picture.map_err(|error| ApiError::Refused(INVALID_INPUT, error.to_string()))
}

/// The picture of a request: its body, or the first file of its form.
async fn received(mut request: Request) -> Result<Vec<u8>, ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_form = kind.is_some_and(|kind| {
        let prefix = kind.as_bytes().get(.."multipart/form-data".len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"multipart/form-data"))
    });
    if !is_form {
        return collected(request.into_body().into_data_stream()).await;
    }
    DefaultBodyLimit::max(MAX_BYTES + DRAINED + FORM).apply(&mut request);
    let not_a_form = |_| ApiError::Invalid("The form cannot be read.".to_owned());
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| {
        ApiError::Invalid("The form cannot be read: it names no boundary.".to_owned())
    })?;
    while let Some(field) = form.next_field().await.map_err(not_a_form)? {
        if field.file_name().is_some() {
            return collected(field).await;
        }
    }
    Err(ApiError::Invalid("The form holds no file.".to_owned()))
}

/// All of it, if it is not too large: whatever its head says, only what comes counts.
async fn collected<E>(
    mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(piece) = body.next().await {
        let piece = piece
            .map_err(|_| ApiError::Invalid("The picture did not arrive as a whole.".to_owned()))?;
        length += piece.len();
        if length <= MAX_BYTES {
            bytes.extend_from_slice(&piece);
        } else if length > MAX_BYTES + DRAINED {
            break;
        }
    }
    if length > MAX_BYTES {
        Err(ApiError::TooLarge("10 MB"))
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
