//! What the demo asks for, and the SQL that asks for it, as a reader may type it.

use std::fmt;

use crate::db::demo::{INSERT_BATCH, INSERT_JOB, NewJob};

/// The app whose rows these are.
pub(super) const USER: &str = "demo";
/// Images of a job, as the column's default says.
const IMAGES: i32 = 4;
/// The shape of a photo for a prompt of somebody's own.
const OWN_SHAPE: &str = "3:2";
/// Jobs of a run.
const JOBS: usize = 4;

/// What the simulator draws well. A run takes four, the next run the next four.
const SCENES: [(&str, &str); 3 * JOBS] = [
    ("A small red sailing boat on a calm sea at dusk", "3:2"),
    ("A birch forest in the snow", "4:5"),
    ("The city at night, seen across the river", "16:9"),
    ("Mountains above a quiet lake", "3:2"),
    ("An island far out in the ocean", "21:9"),
    ("Dunes at dawn, one yellow balloon", "1:1"),
    ("A winter city at dusk, seen over the ice", "4:5"),
    ("The desert under a thousand stars at night", "16:9"),
    ("Mountains above the clouds, first snow", "16:9"),
    ("A harbour before sunrise, one blue sail", "4:3"),
    ("A green forest in the morning mist", "3:4"),
    ("Misty hills and a lake, a green balloon", "3:2"),
];
/// What goes wrong, by the job's place in the run. The wait is longer than what an image sits out
/// in place (2 s), so that the job is seen as `rate_limited`; by the fourth call its other three
/// are under way.
const TROUBLE: [(usize, &str); 2] = [(1, "[sim:429@4 wait=3s]"), (2, "[sim:safety@2]")];
/// What the two markers do.
pub(super) const TROUBLE_IN_WORDS: &str = "\
Two prompts carry a marker that asks the simulator for trouble:
  [sim:429@4 wait=3s]  the 4th call is answered 429: come back in 3 s
  [sim:safety@2]       the 2nd call is refused by moderation";

/// Four jobs; `run` counts from 0.
pub(super) fn of_run(run: i64) -> Vec<NewJob> {
    let runs = SCENES.len() / JOBS;
    let run = usize::try_from(run).unwrap_or_default() % runs;
    let scenes = SCENES.iter().skip(run * JOBS).take(JOBS).enumerate();
    scenes
        .map(|(place, (scene, shape))| {
            let marker = TROUBLE.iter().find(|(at, _)| *at == place);
            let prompt = match marker {
                Some((_, marker)) => format!("{scene} {marker}"),
                None => (*scene).to_owned(),
            };
            job(prompt, shape)
        })
        .collect()
}

/// One job for a prompt of somebody's own.
pub(super) fn of_prompt(prompt: &str) -> Vec<NewJob> {
    vec![job(prompt.to_owned(), OWN_SHAPE)]
}

fn job(prompt: String, shape: &str) -> NewJob {
    NewJob {
        prompt,
        aspect_ratio: shape.to_owned(),
        images: IMAGES,
    }
}

/// The statements that were run, the second for the first job only: the others are like it.
pub(super) fn as_sql(batch: i64, jobs: &[NewJob]) -> String {
    let user = Value::Text(USER);
    let mut sql = filled_in(INSERT_BATCH, &[user]);
    if let Some(job) = jobs.first() {
        let values = [
            Value::Number(batch),
            user,
            Value::Text(&job.prompt),
            Value::Text(&job.aspect_ratio),
            Value::Number(job.images.into()),
        ];
        sql.push('\n');
        sql.push_str(&filled_in(INSERT_JOB, &values));
    }
    sql
}

/// A value as it is written in SQL.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Number(i64),
    Text(&'a str),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
        }
    }
}

/// A statement of one-digit parameters with its values in their places, for a reader. It is never
/// run in this form.
fn filled_in(statement: &str, values: &[Value]) -> String {
    let mut pieces = statement.trim_end().split('$');
    let mut sql = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let mut rest = piece.chars();
        let number = rest.next().and_then(|digit| digit.to_digit(10));
        let value = number
            .and_then(|number| usize::try_from(number).ok()?.checked_sub(1))
            .and_then(|at| values.get(at));
        if let Some(value) = value {
            sql.push_str(&value.to_string());
            sql.push_str(rest.as_str());
        } else {
            sql.push('$');
            sql.push_str(piece);
        }
    }
    sql.push(';');
    sql
}

#[cfg(test)]
mod tests;
