//! Indexes and checks of older versions, which go when theirs of today are there.
//!
//! A definition that changes gets a new name, and the old name a line here.

use super::super::found::{BATCHES, Found, QUEUE};
use super::super::scripts::OnlineKind::{self, Constraint, Index};
use super::sql::quote;
use super::{How, Step};

/// Of version 1, which no app's table has ever had: there such names are the app's.
const VERSION_1: [(&str, &str, OnlineKind); 12] = [
    (QUEUE, "photo_generation_queue_job_id_key", Index),
    (QUEUE, "photo_generation_queue_fresh_idx", Index),
    (QUEUE, "photo_generation_queue_retry_idx", Index),
    (QUEUE, "photo_generation_queue_processing_idx", Index),
    (QUEUE, "photo_generation_queue_batch_idx", Index),
    (QUEUE, "photo_generation_queue_status_check", Constraint),
    (QUEUE, "photo_generation_queue_counts_check", Constraint),
    (QUEUE, "photo_generation_queue_final_check", Constraint),
    (BATCHES, "photo_generation_batches_status_check", Constraint),
    (
        "photo_generation_images",
        "photo_generation_images_hook_idx",
        Index,
    ),
    (
        "photo_generation_calls",
        "photo_generation_calls_calling_idx",
        Index,
    ),
    (
        "photo_generation_calls",
        "photo_generation_calls_job_idx",
        Index,
    ),
];

/// Of version 2, which adopted tables have, too.
const VERSION_2: [(&str, &str, OnlineKind); 2] = [
    (QUEUE, "safelight_place_idx", Index),
    (QUEUE, "safelight_retry_idx", Index),
];

pub(super) fn superseded(found: &Found) -> Vec<Step> {
    let of_version_1 = VERSION_1
        .into_iter()
        .filter(|(table, ..)| !found.is_the_apps(table));
    of_version_1
        .chain(VERSION_2)
        .filter_map(|(on, name, kind)| {
            let table = found.tables.get(on)?;
            let (is_there, what, sql, how) = match kind {
                Index => (
                    table.indexes.iter().any(|index| index.name == name),
                    "index",
                    format!("DROP INDEX CONCURRENTLY public.{};", quote(name)),
                    How::Online,
                ),
                Constraint => (
                    table.constraints.iter().any(|check| check.name == name),
                    "check",
                    format!("ALTER TABLE public.{on} DROP CONSTRAINT {};", quote(name)),
                    How::Briefly,
                ),
            };
            is_there.then(|| Step {
                changes: vec![format!("{on}: drop the {what} {name}, of an older version")],
                sql,
                how,
            })
        })
        .collect()
}
