//! `image_generation`: pictures from a prompt, or from one prompt for each variation, with or without
//! pictures of a product to show.

use super::payload::Payload;
use super::wishes::{self, too_many};
use super::{Options, Prompts, Request, RequestError};
use crate::domain::ClaimedJob;

pub(super) fn parse(job: &ClaimedJob) -> Result<Request, RequestError> {
    let model = wishes::model(job)?;
    let payload = Payload::of(job)?;
    let images = payload.images()?;
    let aspect_ratio = payload.aspect_ratio(job, &model)?;
    let pictures = payload.pictures(job)?;
    too_many(&pictures, &model)?;
    Ok(Request {
        prompts: Prompts::new(payload.prompts(&["prompt"], job)?, aspect_ratio)?,
        pictures,
        images,
        aspect_ratio,
        keeps_shape: false,
        image_size: wishes::size(Some(&payload.settings), &model)?,
        options: Options::parse(Some(&payload.settings), &model)?,
        model,
    })
}
