//! What is said once a run is over: the table as its operator sees it, and what happened in words.

use std::collections::BTreeSet;

use crate::db::demo::{Image, Job, QueueRow};
use crate::domain::{ImageState, JobId};

/// The table as `psql` would print it.
pub(super) fn queue_table(rows: &[QueueRow]) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.id.to_string(),
                row.status.clone(),
                row.images.clone().unwrap_or_default(),
                row.attempts
                    .map(|number| number.to_string())
                    .unwrap_or_default(),
                row.error.clone().unwrap_or_default(),
                row.took.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let columns = [
        Column::right("id"),
        Column::left("status"),
        Column::left("images"),
        Column::right("attempts"),
        Column::left("error"),
        Column::right("took"),
    ];
    table(&columns, &cells)
}

#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    align: Align,
}

#[derive(Clone, Copy)]
enum Align {
    Left,
    Right,
}

impl Column {
    fn left(name: &'static str) -> Self {
        Self {
            name,
            align: Align::Left,
        }
    }

    fn right(name: &'static str) -> Self {
        Self {
            name,
            align: Align::Right,
        }
    }
}

fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| width(cell)).max().unwrap_or(0);
            widest.max(width(column.name))
        })
        .collect();
    let head = columns
        .iter()
        .zip(&widths)
        .map(|(column, &width)| format!(" {:^width$} ", column.name));
    let rule = widths.iter().map(|width| "-".repeat(width + 2));
    let mut lines = vec![
        head.collect::<Vec<_>>().join("|"),
        rule.collect::<Vec<_>>().join("+"),
    ];
    for row in rows {
        let cells = row.iter().zip(columns.iter().zip(&widths));
        let cells = cells.map(|(cell, (column, &width))| match column.align {
            Align::Left => format!(" {cell:<width$} "),
            Align::Right => format!(" {cell:>width$} "),
        });
        lines.push(cells.collect::<Vec<_>>().join("|"));
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
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

/// `24.6 MB`.
pub(super) fn megabytes(bytes: u64) -> String {
    /// Tenths of a megabyte.
    const TENTH: u64 = 100_000;
    let tenths = bytes.div_ceil(TENTH);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
