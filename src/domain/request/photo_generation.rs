//! `photo_generation`: the job that existing apps insert, with a column for each wish.

use serde_json::Value;

use super::wishes::{self, too_many};
use super::{Options, Picture, Prompts, Request, RequestError, invalid, json};
use crate::domain::{ClaimedJob, Model};

pub(super) fn parse(job: &ClaimedJob) -> Result<Request, RequestError> {
    let model = wishes::model(job)?;
    let images = wishes::images(job.images).ok_or_else(|| {
        invalid(format!(
            "\"numImagesPerExample\" is {}; a job makes 1 to {} images.",
            job.images,
            super::MAX_IMAGES
        ))
    })?;
    let aspect_ratio = wishes::ratio(job.aspect_ratio.as_deref(), &model)?;
    let payload = json(job.payload.as_deref(), "payload")?;
    Ok(Request {
        prompts: Prompts::new(vec![prompt(job)?], aspect_ratio)?,
        pictures: pictures(job, &model)?,
        images,
        aspect_ratio,
        keeps_shape: false,
        image_size: wishes::size(payload.as_ref(), &model)?,
        options: Options::parse(payload.as_ref(), &model)?,
        model,
    })
}

/// `"basePrompt"`, then `". "` and `"exampleImagePrompt"`.
fn prompt(job: &ClaimedJob) -> Result<String, RequestError> {
    let texts: Vec<&str> = [&job.base_prompt, &job.example_prompt]
        .into_iter()
        .flatten()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        return Err(invalid("The job has no prompt: \"basePrompt\" is empty."));
    }
    Ok(texts.join(". "))
}

/// Training images as given, the example image last.
fn pictures(job: &ClaimedJob, model: &Model) -> Result<Vec<Picture>, RequestError> {
    let mut pictures = training_images(job)?;
    if let Some(url) = job
        .example_url
        .as_deref()
        .filter(|url| !url.trim().is_empty())
    {
        pictures.push(Picture::parse(url, "\"exampleImageUrl\"")?);
    }
    too_many(&pictures, model)?;
    Ok(pictures)
}

/// The pictures of the column that every type has.
pub(super) fn training_images(job: &ClaimedJob) -> Result<Vec<Picture>, RequestError> {
    match json(job.training_urls.as_deref(), "trainingImageUrls")? {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(urls)) => Picture::parse_all(&urls, "\"trainingImageUrls\""),
        Some(_) => Err(invalid(
            "\"trainingImageUrls\" must be a JSON array of URLs.",
        )),
    }
}
