//! A try-on: `payload` is `{personImage, garmentImages: [1 to 4], prompt?}`. It has the shape of the
//! person's picture, unless the row says which.

use serde_json::Value;

use super::wishes;
use super::{Options, Picture, Prompts, Request, RequestError, invalid, json};
use crate::domain::step::MAX_GARMENTS;
use crate::domain::{ClaimedJob, tryon};

/// Reads a claimed row of that type. The person is the first picture, the garments follow.
pub(super) fn parse(job: &ClaimedJob) -> Result<Request, RequestError> {
    let model = wishes::model(job)?;
    let payload = json(job.payload.as_deref(), "payload")?
        .filter(Value::is_object)
        .ok_or_else(|| {
            invalid("\"payload\" of a try-on must be an object with \"personImage\" and \"garmentImages\".")
        })?;
    let mut pictures = vec![picture(payload.get("personImage"), "personImage")?];
    pictures.extend(garments(&payload)?);
    let usual_size = || {
        let sizes = model.image_sizes().iter();
        sizes.copied().find(|size| *size == tryon::IMAGE_SIZE)
    };
    let image_size = wishes::size(Some(&payload), &model)?.or_else(usual_size);
    let wish = match wishes::said(&payload, "prompt") {
        None => None,
        Some(Value::String(wish)) => Some(wish.as_str()),
        Some(_) => return Err(invalid("\"prompt\" in \"payload\" must be a text.")),
    };
    let prompt = tryon::render_prompt(wish.or(job.base_prompt.as_deref()));
    let aspect_ratio = wishes::ratio(job.aspect_ratio.as_deref(), &model)?;
    Ok(Request {
        prompts: Prompts::new(vec![prompt], None)?,
        pictures,
        images: 1,
        aspect_ratio,
        keeps_shape: aspect_ratio.is_none(),
        image_size,
        options: Options::parse(Some(&payload), &model)?,
        model,
    })
}

fn garments(payload: &Value) -> Result<Vec<Picture>, RequestError> {
    let named = payload.get("garmentImages").and_then(Value::as_array);
    let named = named.map(Vec::as_slice).unwrap_or_default();
    if !(1..=MAX_GARMENTS).contains(&named.len()) {
        return Err(invalid(format!(
            "\"garmentImages\" in \"payload\" must be an array of 1 to {MAX_GARMENTS} pictures."
        )));
    }
    let pictures = named.iter().map(|it| picture(Some(it), "garmentImages"));
    pictures.collect()
}

fn picture(value: Option<&Value>, name: &str) -> Result<Picture, RequestError> {
    match value.and_then(Value::as_str).map(str::trim) {
        Some(text) if !text.is_empty() => {
            Picture::parse(text, &format!("\"{name}\" in \"payload\""))
        }
        Some(_) | None => Err(invalid(format!(
            "\"{name}\" in \"payload\" must hold URLs or uploads."
        ))),
    }
}

#[cfg(test)]
mod tests;
