//! What is said once a run is over: the table as its operator sees it, and what happened in words.

use std::collections::BTreeSet;

use crate::cli::table::{self, Column};
use crate::db::demo::{Image, Job, QueueRow};
use crate::domain::{ImageState, JobId};

/// The table, a line for each row.
pub(super) fn queue_table(rows: &[QueueRow]) -> Vec<String> {
    let columns = [
        Column::Right("id"),
        Column::Left("status"),
        Column::Left("images"),
        Column::Right("attempts"),
        Column::Left("error"),
        Column::Right("took"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let number = |number: Option<i32>| number.map(|number| number.to_string());
            [
                row.id.to_string(),
                row.status.clone(),
                row.images.clone().unwrap_or_default(),
                number(row.attempts).unwrap_or_default(),
                row.error.clone().unwrap_or_default(),
                row.took.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table::render(columns, &rows)
}

/// What went otherwise than wished, a sentence each. `rate_limited` are the jobs that were seen so.
pub(super) fn what_happened(jobs: &[Job], rate_limited: &BTreeSet<JobId>) -> Vec<String> {
    let mut sentences = Vec::new();
    for job in jobs {
        let id = job.id;
        if rate_limited.contains(&id) {
            sentences.push(format!(
                "Job {id} met a 429 (too many requests): it was rate_limited for as long as the provider asked, \
                 while every worker left that account alone, and came back for what was missing. No attempt was counted."
            ));
        } else if job.limited > 0 {
            sentences.push(format!(
                "Job {id} met a 429 that was short enough to wait out in its place."
            ));
        }
        sentences.extend(losses(job));
    }
    if sentences.is_empty() {
        sentences.push("Every photo came at the first call.".to_owned());
    }
    sentences
}

/// Why images did not come: those with the same reason in one sentence.
fn losses(job: &Job) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&Image>)> = Vec::new();
    for image in &job.images {
        let Some(reason) = reason(job, image) else {
            continue;
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, images)) => images.push(image),
            None => reasons.push((reason, vec![image])),
        }
    }
    let sentences = reasons.iter().map(|(reason, images)| {
        let numbers: Vec<String> = images.iter().map(|image| image.index.to_string()).collect();
        let word = if images.len() == 1 { "image" } else { "images" };
        format!("Job {}, {word} {}: {reason}", job.id, numbers.join(", "))
    });
    sentences.collect()
}

fn reason(job: &Job, image: &Image) -> Option<String> {
    let error = image.error.as_deref().or(job.error.as_deref());
    let error = error.unwrap_or("Nothing more is known.");
    match image.state {
        ImageState::Refused => Some(format!("refused for good. {error}")),
        ImageState::Failed => Some(format!("failed. {error}")),
        ImageState::Ambiguous => Some(format!(
            "ambiguous, called twice and not bought a third time. {error}"
        )),
        ImageState::Planned | ImageState::Calling => {
            Some(format!("not made, the job is {}.", job.status))
        }
        ImageState::Stored => None,
    }
}

#[cfg(test)]
mod tests;
