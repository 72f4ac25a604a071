//! `index.html`: the contact sheet, newest batch first, each job a strip of film.
//!
//! One file without scripts or fonts; the photos beside it are linked, not copied. It is written
//! whenever something has changed and then renamed into place, and while photos arrive it asks
//! the browser to load it again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::db::demo::{Image, Job, Photo};
use crate::domain::{AspectRatio, ImageState, Status};
use style::STYLE;

mod style;

/// How soon a browser looks again, in seconds.
const LOOK_AGAIN: u32 = 1;
/// Frames beside each other where there is room.
const ACROSS: usize = 4;
/// A fault marker in a prompt.
const MARKER: &str = "[sim:";

/// Whether photos still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Live,
    Done,
}

/// The file, and what stands in it.
pub(super) struct Sheet {
    path: PathBuf,
    page: String,
}

impl Sheet {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            page: String::new(),
        }
    }

    /// Writes the sheet, if it has changed. Jobs are given newest first.
    pub(super) fn write(&mut self, jobs: &[Job], moment: Moment) -> io::Result<()> {
        let page = page(jobs, moment);
        if page == self.page {
            return Ok(());
        }
        let temporary = self.path.with_extension("html.tmp");
        fs::write(&temporary, &page)?;
        fs::rename(&temporary, &self.path)?;
        self.page = page;
        Ok(())
    }
}

fn page(jobs: &[Job], moment: Moment) -> String {
    let images = || jobs.iter().flat_map(|job| &job.images);
    let photos = images().filter(|image| image.photo.is_some()).count();
    let refresh = match moment {
        Moment::Live => format!("<meta http-equiv=\"refresh\" content=\"{LOOK_AGAIN}\">\n"),
        Moment::Done => String::new(),
    };
    let zip = match moment {
        Moment::Live => String::new(),
        Moment::Done => " <a href=\"photos.zip\">photos.zip</a>".to_owned(),
    };
    let lamp = match moment {
        Moment::Live => "live",
        Moment::Done => "done",
    };
    format!(
        "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
{refresh}<title>{photos} photos · safelight</title>
<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23ff3b2f'/%3E%3C/svg%3E\">
<style>
{STYLE}</style>
</head>
<body class=\"{lamp}\">
<header class=\"top\">
<h1><i class=\"lamp\"></i>safelight</h1>
<p>{tally}{zip}</p>
</header>
<main>
{batches}</main>
<footer>Each strip is a row of <code>photo_generation_queue</code>, each frame a row of <code>photo_generation_images</code>.</footer>
</body>
</html>
",
        tally = tally(jobs, photos, moment),
        batches = batches(jobs),
    )
}

fn tally(jobs: &[Job], photos: usize, moment: Moment) -> String {
    let strips = jobs.len();
    match moment {
        Moment::Live => {
            let unfinished = jobs.iter().filter(|job| !job.status.is_final());
            let waiting: usize = unfinished.map(waiting).sum();
            format!("<b>{photos}</b> photos, <b>{waiting}</b> in the making")
        }
        Moment::Done => format!("<b>{photos}</b> photos on <b>{strips}</b> strips"),
    }
}

fn waiting(job: &Job) -> usize {
    let images = job.images.iter();
    images
        .filter(|image| matches!(image.state, ImageState::Planned | ImageState::Calling))
        .count()
}

/// Jobs that stand together belong together.
fn batches(jobs: &[Job]) -> String {
    let batches = jobs.chunk_by(|one, next| one.batch_id == next.batch_id);
    batches.map(batch).collect()
}

fn batch(jobs: &[Job]) -> String {
    let title = match jobs.first().and_then(|job| job.batch_id) {
        Some(id) => format!("Batch {id}"),
        None => "Rows of their own".to_owned(),
    };
    let began = jobs.iter().filter_map(|job| job.created_at).min();
    let began = began.map_or_else(String::new, |at| {
        format!("<time>{}</time>", at.format("%-d %B %Y, %H:%M UTC"))
    });
    // Within a batch in the order in which they were asked for.
    let strips: String = jobs.iter().rev().map(strip).collect();
    format!("<section>\n<h2>{title}{began}</h2>\n{strips}</section>\n")
}

fn strip(job: &Job) -> String {
    let (width, height) = shape(job);
    let error = match (&job.error, job.status) {
        (Some(error), Status::Failed | Status::Canceled) => {
            format!("<p class=\"error\">{}</p>\n", escape(error))
        }
        _ => String::new(),
    };
    let limited = match job.limited {
        0 => "",
        _ => "<span class=\"rate_limited\">met a 429</span>",
    };
    let frames: String = job.images.iter().map(|image| frame(job, image)).collect();
    format!(
        "<article>
<h3>{prompt}</h3>
<p class=\"facts\"><span>job {id}</span><span>{ratio}</span><span class=\"status {status}\">{status}</span>{limited}</p>
{error}<div class=\"strip\" style=\"--w:{width};--h:{height};--n:{across}\">
{frames}</div>
</article>
",
        prompt = prompt(&job.prompt),
        id = job.id,
        ratio = escape(job.aspect_ratio.as_deref().unwrap_or_default()),
        status = job.status,
        across = job.images.len().clamp(1, ACROSS),
    )
}

/// The shape of a job's frames: that of its photos, else what was asked for, else a square.
fn shape(job: &Job) -> (i32, i32) {
    let photo = job.images.iter().find_map(|image| image.photo.as_ref());
    if let Some(photo) = photo {
        return (photo.width, photo.height);
    }
    let asked = job.aspect_ratio.as_deref().unwrap_or_default().trim();
    let known = AspectRatio::ALL.iter().any(|ratio| ratio.as_str() == asked);
    let sides = asked.split_once(':').filter(|_| known);
    let sides = sides.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.unwrap_or((1, 1))
}

fn frame(job: &Job, image: &Image) -> String {
    let (class, inside, note) = match &image.photo {
        Some(photo) => ("photo", picture(job, photo), size(photo)),
        None => without_picture(job, image),
    };
    format!(
        "<figure class=\"{class}\"><div>{inside}</div><figcaption><b>{index}</b>{note}</figcaption></figure>\n",
        index = image.index,
    )
}

fn picture(job: &Job, photo: &Photo) -> String {
    let path = escape(&photo.key);
    format!(
        "<a href=\"photos/{path}\"><img src=\"photos/{path}\" alt=\"{}\" loading=\"lazy\"></a>",
        escape(&job.prompt)
    )
}

fn size(photo: &Photo) -> String {
    let took = photo.took.map_or_else(String::new, |took| {
        format!("<span>{} ms</span>", took.as_millis())
    });
    format!("<span>{} × {}</span>{took}", photo.width, photo.height)
}

/// Class, inside and note of a frame that shows no photo.
fn without_picture(job: &Job, image: &Image) -> (&'static str, String, String) {
    let sentence = || {
        let words = image.error.as_deref().or(job.error.as_deref());
        words.map_or_else(String::new, |words| format!("<p>{}</p>", escape(words)))
    };
    let note = |word: &str| format!("<span>{word}</span>");
    match image.state {
        ImageState::Refused => ("refused", sentence(), note("refused")),
        ImageState::Failed => ("failed", sentence(), note("failed")),
        ImageState::Ambiguous => ("failed", sentence(), note("ambiguous")),
        // Stored without a photo is a row that somebody changed by hand.
        ImageState::Planned | ImageState::Calling | ImageState::Stored if job.status.is_final() => {
            ("never", String::new(), note("not made"))
        }
        ImageState::Calling => ("calling", String::new(), note("developing")),
        ImageState::Planned | ImageState::Stored => ("waiting", String::new(), note("waiting")),
    }
}

/// A prompt with its fault markers set apart.
fn prompt(text: &str) -> String {
    let mut html = String::new();
    let mut rest = text;
    while let Some((before, marker)) = rest.split_once(MARKER) {
        let (inside, after) = marker.split_once(']').unwrap_or((marker, ""));
        html.push_str(&escape(before));
        html.push_str(&["<code>", MARKER, &escape(inside), "]</code>"].concat());
        rest = after;
    }
    html.push_str(&escape(rest));
    html
}

/// Text as HTML, between tags and in quoted attributes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests;
