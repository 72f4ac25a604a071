//! What a row of any type may wish of the model: which one it is, how many pictures, their shape and size.

use serde_json::Value;

use super::{AspectRatio, MAX_IMAGES, Picture, RequestError, invalid};
use crate::domain::failure::excerpt;
use crate::domain::{ClaimedJob, Model, Provider};

pub(super) fn model(job: &ClaimedJob) -> Result<Model, RequestError> {
    let named = match job.provider.as_deref().filter(|word| !word.is_empty()) {
        None => None,
        Some(word) => Some(Provider::named(word).ok_or_else(|| {
            invalid(format!(
                "Provider \"{}\" is not supported by this version of safelight; gemini and openai are.",
                excerpt(word)
            ))
        })?),
    };
    let model = Model::from_name(&job.model).ok_or_else(|| {
        invalid(format!(
            "Unknown model \"{}\"; leave \"model\" empty for the default.",
            excerpt(&job.model)
        ))
    })?;
    match named {
        Some(named) if named != model.provider() => Err(invalid(format!(
            "Model \"{model}\" is one of provider {}, but \"provider\" is \"{named}\"; leave one of them empty.",
            model.provider()
        ))),
        Some(_) | None => Ok(model),
    }
}

/// What a field holds. Null and a blank text say nothing.
pub(super) fn said<'a>(payload: &'a Value, name: &str) -> Option<&'a Value> {
    payload.get(name).filter(|value| says_something(value))
}

pub(super) fn says_something(value: &Value) -> bool {
    !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty())
}

/// As many as a job may make.
pub(super) fn images(wanted: i64) -> Option<i32> {
    let images = i32::try_from(wanted).ok();
    images.filter(|images| (1..=MAX_IMAGES).contains(images))
}

pub(super) fn ratio(
    text: Option<&str>,
    model: &Model,
) -> Result<Option<AspectRatio>, RequestError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let found = model.ratios().iter().find(|ratio| ratio.as_str() == text);
    found.copied().map(Some).ok_or_else(|| {
        let known: Vec<_> = model.ratios().iter().map(|ratio| ratio.as_str()).collect();
        invalid(format!(
            "Aspect ratio \"{}\" is not one that {model} draws: {}.",
            excerpt(text),
            known.join(", ")
        ))
    })
}

pub(super) fn size(
    payload: Option<&Value>,
    model: &Model,
) -> Result<Option<&'static str>, RequestError> {
    let Some(wanted) = payload.and_then(|payload| said(payload, "imageSize")) else {
        return Ok(None);
    };
    let Some(wanted) = wanted.as_str() else {
        return Err(invalid(
            "\"imageSize\" in \"payload\" must be a text such as \"2K\".",
        ));
    };
    let found = model.image_sizes().iter().find(|size| **size == wanted);
    found.copied().map(Some).ok_or_else(|| {
        let wanted = excerpt(wanted);
        invalid(match model.image_sizes() {
            [] => {
                format!("{model} makes 1K pictures only; leave out \"imageSize\" (\"{wanted}\").")
            }
            sizes => format!(
                "Image size \"{wanted}\" is not one of {}.",
                sizes.join(", ")
            ),
        })
    })
}

/// Refuses what the model would.
pub(super) fn too_many(pictures: &[Picture], model: &Model) -> Result<(), RequestError> {
    if pictures.len() <= model.max_inputs() {
        return Ok(());
    }
    Err(invalid(format!(
        "The job has {} input images; {model} takes at most {}.",
        pictures.len(),
        model.max_inputs()
    )))
}
