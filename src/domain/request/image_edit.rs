//! `image_edit`: a picture changed as the prompt says. It is the first one of the call, references follow,
//! and the result has its shape unless the row names a ratio.

use super::payload::Payload;
use super::wishes::{self, too_many};
use super::{Options, Prompts, Request, RequestError, invalid};
use crate::domain::ClaimedJob;

pub(super) fn parse(job: &ClaimedJob) -> Result<Request, RequestError> {
    let model = wishes::model(job)?;
    let payload = Payload::of(job)?;
    let images = payload.images()?;
    let aspect_ratio = payload.aspect_ratio(job, &model)?;
    let mut pictures = Vec::from_iter(payload.picture("sourceImageUrl")?);
    pictures.append(&mut payload.pictures(job)?);
    if pictures.is_empty() {
        return Err(invalid(
            "There is no picture to edit: \"sourceImageUrl\" in \"payload\" is empty.",
        ));
    }
    too_many(&pictures, &model)?;
    Ok(Request {
        prompts: Prompts::new(
            payload.prompts(&["editPrompt", "prompt"], job)?,
            aspect_ratio,
        )?,
        pictures,
        images,
        aspect_ratio,
        keeps_shape: aspect_ratio.is_none(),
        image_size: wishes::size(Some(&payload.settings), &model)?,
        options: Options::parse(Some(&payload.settings), &model)?,
        model,
    })
}

#[cfg(test)]
mod tests;
