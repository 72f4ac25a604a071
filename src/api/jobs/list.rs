//! Many jobs: lists, newest first, and states of jobs that are named.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::status::StatusView;
use super::view::JobView;
use crate::api::Api;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::hub::Seen;
use crate::api::links::Links;
use crate::api::signing::Moment;
use crate::db::jobs::{self, Filter, JobRef};
use crate::domain::{Status, Tenant};

/// Jobs of a page when nothing is said.
const USUAL_PAGE: i64 = 20;
/// Most jobs of a page, and most ids of a question.
pub(in crate::api) const LONGEST_PAGE: usize = 100;

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Page {
    jobs: Vec<JobView>,
    /// For `cursor=` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// List jobs
///
/// Newest first. Any number of `metadata.KEY=VALUE` narrows it to jobs whose metadata say so; one is
/// taken.
#[utoipa::path(get, path = "/api/generations", tag = "extra",
    params(("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Jobs of a page, 20"),
           ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,18}$", description = "nextCursor of the page before"),
           ("ids" = Option<String>, Query, description = "Up to 100 uuids or numbers with commas; unknown ones are left out"),
           ("status" = Option<String>, Query, description = "One or more states with commas"),
           ("active" = Option<bool>, Query, description = "true: only jobs that have not ended"),
           ("batchId" = Option<i64>, Query, description = "Of this batch"),
           ("teamId" = Option<String>, Query, description = "Of this team; for service keys"),
           ("userId" = Option<String>, Query, description = "Of this user; for service keys")),
    responses((status = 200, body = Page, description = "A page of them")))]
pub(in crate::api) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query,
) -> Result<Json<Page>, ApiError> {
    let mut filter = read(query)?;
    filter.tenant = match (caller.tenant()?, filter.tenant) {
        (None, asked) => asked,
        (Some(own), None) => Some(own),
        (Some(own), Some(asked)) if own == asked => Some(own),
        (Some(_), Some(_)) => {
            return Err(ApiError::Forbidden(
                "Only a service key may ask for the jobs of others.".to_owned(),
            ));
        }
    };
    let limit = filter.limit.unwrap_or(USUAL_PAGE);
    // One more, to know whether there are more.
    filter.limit = Some(limit + 1);
    let mut seen = page(&api, &filter).await?;
    let shown = usize::try_from(limit).unwrap_or(LONGEST_PAGE);
    let more = seen.len() > shown;
    seen.truncate(shown);
    let now = Moment::now();
    let links = Links::of(&api, seen.iter().flat_map(Seen::images), now).await;
    Ok(Json(Page {
        next_cursor: seen
            .last()
            .filter(|_| more)
            .map(|seen| seen.job().id.to_string()),
        jobs: seen
            .iter()
            .map(|seen| JobView::of(&api, seen, &links, now))
            .collect(),
    }))
}

/// The jobs of a filter with their images.
pub(in crate::api) async fn page(api: &Api, filter: &Filter) -> Result<Vec<Seen>, ApiError> {
    let _turn = api.heavy().await?;
    let found = jobs::list(api.db(), filter).await?;
    let ids: Vec<_> = found.iter().map(|job| job.id).collect();
    let mut images = jobs::images_of(api.db(), &ids).await?;
    let seen = found.into_iter().map(|job| {
        let images = images.remove(&job.id).unwrap_or_default();
        Seen::new(job, images)
    });
    Ok(seen.collect())
}

fn read(query: Vec<(String, String)>) -> Result<Filter, ApiError> {
    let mut filter = Filter::default();
    let (mut team, mut user) = (None, None);
    for (name, value) in query {
        match name.as_str() {
            "limit" => filter.limit = Some(limit(&value)?),
            "cursor" => filter.before = Some(number("cursor", &value)?),
            "batchId" => filter.batch_id = Some(number("batchId", &value)?),
            "ids" => {
                filter.jobs = Some(ids(&value)?);
                filter.limit = filter.limit.or(Some(100));
            }
            "status" => filter.statuses.extend(statuses(&value)?),
            "active" => filter.statuses.extend(active(&value)?),
            "teamId" => team = Some(value),
            "userId" => user = Some(value),
            // Where browsers cannot send a header; the gate has read it.
            "token" => {}
            name => match name.strip_prefix("metadata.").filter(|key| !key.is_empty()) {
                Some(key) if filter.metadata.is_none() => {
                    filter.metadata = Some((key.to_owned(), value));
                }
                Some(_) => {
                    return Err(ApiError::Invalid("One metadata.KEY is taken.".to_owned()));
                }
                None => {
                    let shown: String = name.chars().take(40).collect();
                    return Err(ApiError::Invalid(format!(
                        "There is no parameter \"{shown}\"."
                    )));
                }
            },
        }
    }
    if team.is_some() || user.is_some() {
        filter.tenant = Some(Tenant::of(team.as_deref(), user.as_deref()));
    }
    Ok(filter)
}

fn limit(text: &str) -> Result<i64, ApiError> {
    let limit = text.parse().ok();
    limit
        .filter(|limit| (1..=100).contains(limit))
        .ok_or_else(|| ApiError::Invalid("\"limit\" must be 1 to 100.".to_owned()))
}

fn number(name: &str, text: &str) -> Result<i64, ApiError> {
    text.parse()
        .map_err(|_| ApiError::Invalid(format!("\"{name}\" is no number.")))
}

/// What names no job is left out, as a job is that is not there.
fn ids(text: &str) -> Result<Vec<JobRef>, ApiError> {
    let named: Vec<_> = text
        .split(',')
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .collect();
    if named.len() > LONGEST_PAGE {
        return Err(ApiError::Invalid(format!(
            "At most {LONGEST_PAGE} ids are taken."
        )));
    }
    Ok(named.into_iter().filter_map(|id| id.parse().ok()).collect())
}

fn statuses(text: &str) -> Result<Vec<Status>, ApiError> {
    let words = text.split(',').map(str::trim);
    let statuses = words.map(str::parse::<Status>);
    statuses.collect::<Result<_, _>>().map_err(|_| {
        let all: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        ApiError::Invalid(format!("\"status\" must be of {}.", all.join(", ")))
    })
}

fn active(text: &str) -> Result<Vec<Status>, ApiError> {
    match text {
        "true" => Ok(Status::ALL
            .into_iter()
            .filter(|status| !status.is_final())
            .collect()),
        "false" => Ok(Vec::new()),
        _ => Err(ApiError::Invalid(
            "\"active\" must be true or false.".to_owned(),
        )),
    }
}

/// States of many jobs in the words of a frontend that was written for a Redis queue
///
/// In the order of the ids; unknown ones are left out.
#[utoipa::path(get, path = "/api/generations/status", tag = "extra",
    params(("ids" = String, Query, description = "Up to 100 uuids or numbers with commas")),
    responses((status = 200, body = Vec<StatusView>, description = "Those that are there")))]
pub(in crate::api) async fn states(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query,
) -> Result<Json<Vec<StatusView>>, ApiError> {
    let named = query.iter().find(|(name, _)| name == "ids");
    let (_, named) = named.ok_or_else(|| ApiError::Invalid("\"ids\" is missing.".to_owned()))?;
    let named = ids(named)?;
    let filter = Filter {
        jobs: Some(named.clone()),
        tenant: caller.tenant()?,
        ..Filter::default()
    };
    let seen = page(&api, &filter).await?;
    let images = seen.iter().flat_map(Seen::images);
    let links = Links::of(&api, images, Moment::now()).await;
    let found = named.iter().filter_map(|named| {
        let mut seen = seen.iter();
        seen.find(|seen| match named {
            JobRef::Id(id) => seen.job().id == *id,
            JobRef::Uuid(uuid) => seen.job().job_id == Some(*uuid),
        })
    });
    Ok(Json(
        found.map(|seen| StatusView::of(seen, &links)).collect(),
    ))
}

#[cfg(test)]
mod tests;
