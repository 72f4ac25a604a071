//! Rows that stand in the way: words that we do not know, keys that are not unique, odd counts.

use super::super::sql::{literal, quote};
use super::{Found, Obstacle, QUEUE};
use crate::domain::Status;

pub(super) fn obstacles(found: &Found) -> Vec<Obstacle> {
    let mut obstacles = unknown_words(found);
    let Some(queue) = found.tables.get(QUEUE) else {
        return obstacles;
    };
    if found.shared_job_ids > 0 {
        obstacles.push(shared(
            found.shared_job_ids,
            "jobId",
            "",
            "\"jobId\"",
            "gen_random_uuid()",
        ));
    }
    if found.shared_keys > 0 {
        let partition = format!("{}, \"idempotencyKey\"", queue.tenant());
        obstacles.push(shared(
            found.shared_keys,
            "idempotencyKey",
            " of their tenant",
            &partition,
            "NULL",
        ));
    }
    if let Some(condition) = queue.odd_counts().filter(|_| found.odd_counts > 0) {
        obstacles.push(odd_counts(found.odd_counts, &condition));
    }
    obstacles
}

/// The first row keeps what it has.
fn shared(rows: i64, column: &str, whose: &str, partition: &str, instead: &str) -> Obstacle {
    Obstacle {
        reason: format!(
            "{QUEUE}: {rows} rows have a \"{column}\" that an earlier row{whose} has too, and it must be unique. Give them another:"
        ),
        remedy: Some(format!(
            "UPDATE public.{QUEUE} SET \"{column}\" = {instead} WHERE id IN (\n    SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY {partition} ORDER BY id) AS nth\n                    FROM public.{QUEUE} WHERE \"{column}\" IS NOT NULL) AS keyed\n    WHERE nth > 1);"
        )),
    }
}

fn odd_counts(rows: i64, condition: &str) -> Obstacle {
    let sets: Vec<String> = ["attempts", "imagesTotal", "imagesCompleted"]
        .iter()
        .filter(|name| condition.contains(&format!("\"{name}\" < 0")))
        .map(|name| match (*name, condition.contains("\"imagesTotal\" <")) {
            ("imagesCompleted", true) => {
                "\"imagesCompleted\" = least(greatest(\"imagesCompleted\", 0), greatest(\"imagesTotal\", 0))"
                    .to_owned()
            }
            (name, _) => format!("\"{name}\" = greatest(\"{name}\", 0)"),
        })
        .collect();
    Obstacle {
        reason: format!(
            "{QUEUE}: {rows} rows have counts that safelight takes for broken ({condition}). Mend them, or rename the columns if they count something else:"
        ),
        remedy: Some(format!(
            "UPDATE public.{QUEUE} SET {}\nWHERE {condition};",
            sets.join(",\n    ")
        )),
    }
}

fn unknown_words(found: &Found) -> Vec<Obstacle> {
    // It may refuse the words that are right.
    let checks: Vec<String> = found
        .tables
        .get(QUEUE)
        .into_iter()
        .flat_map(|queue| &queue.constraints)
        .filter(|check| check.kind == "c" && check.columns == ["status"])
        .map(|check| {
            let name = quote(&check.name);
            format!("ALTER TABLE public.{QUEUE} DROP CONSTRAINT {name};\n")
        })
        .collect();
    let checks = checks.concat();
    let statuses = found.unknown_statuses.iter().map(|(word, rows)| {
        let (condition, meant) = match word.as_str() {
            "NULL" => ("status IS NULL".to_owned(), "pending"),
            "cancelled" | "aborted" => (format!("status = {}", literal(word)), "canceled"),
            "success" | "succeeded" | "done" => (format!("status = {}", literal(word)), "completed"),
            _ => (format!("status = {}", literal(word)), "failed"),
        };
        Obstacle {
            reason: format!(
                "{QUEUE}: {rows} rows have the status {word}, which safelight does not know. Give them one of {}, and let your app write it so too, for instance:",
                Status::ALL.map(Status::as_str).join(", ")
            ),
            remedy: Some(format!(
                "{checks}UPDATE public.{QUEUE} SET status = '{meant}' WHERE {condition};"
            )),
        }
    });
    let types = found.unknown_types.iter().map(|(word, rows)| Obstacle {
        reason: format!(
            "{QUEUE}: {rows} unfinished rows have the type {}, which safelight does not know, so that it would fail them. If \"type\" is your app's own, keep it under another name:",
            literal(word)
        ),
        remedy: Some(format!(
            "ALTER TABLE public.{QUEUE} RENAME COLUMN type TO \"appType\";"
        )),
    });
    statuses.chain(types).collect()
}
