//! Virtual try-on: what a job of type `tryon` is, and the words with which models are asked.
//!
//! A garment is cut out of its picture, the person's face is found, and then one picture is drawn from
//! all of it. What is asked for on the way is a [`super::Step`]; a try-on goes on without those that
//! bring nothing. Then it is asked where the face has come to be, and at times the picture is drawn once
//! more.

use super::Step;
pub use drift::{DECIDED_BY, REDRAWN_BY, have_one_shape, may_redraw, redraws_until};
pub use face::FaceBox;

mod drift;
mod face;

/// What draws a try-on whose row names no model. `photo_generation_model_of_tryon` and
/// `photo_generation_tryons_named` in the database say the same.
pub const MODEL: &str = "gemini-3-pro-image-preview";
/// What cuts a garment out of its picture.
pub const EXTRACTOR: &str = "gemini-2.5-flash-image";
/// Pictures of that size are asked for where the model draws them and nobody says otherwise.
pub const IMAGE_SIZE: &str = "2K";

/// Part of a garment's hash: with other words it is another garment, and made again.
pub const EXTRACTION_VERSION: u32 = 1;
pub const EXTRACTION: &str = "Show only the garment of this picture, alone, laid out flat and seen from \
    the front on a plain light grey ground. Remove any person, mannequin, hanger, other clothing and \
    background. Keep its colour, cut, fabric, texture, print and every detail exactly as they are. If \
    there are several garments, keep the most prominent one.";

/// Answered as JSON by [`super::Model::for_words`].
pub const FACE_QUESTION: &str = "Find the face of the main person in this picture, from the hairline to \
    the chin. Answer with JSON only: {\"box_2d\": [ymin, xmin, ymax, xmax], \"confidence\": 0 to 1}, \
    the numbers of the box from 0 to 1000.";

/// What the pictures of the last call are, each said before it.
pub const PERSON_LABEL: &str = "The person:";
pub const FACE_LABEL: &str = "The person's face, close up:";
pub const GARMENT_LABELS: [&str; super::step::MAX_GARMENTS] = [
    "The garment:",
    "A second garment:",
    "A third garment:",
    "A fourth garment:",
];

/// What is asked of the last call, whatever the app wishes besides.
const RENDER: &str = "Make a photorealistic picture of the person of the first picture wearing all of \
    the garments shown, as worn in everyday life: they replace what the person wears in their place. \
    Keep the person's face, hair, body, skin and pose exactly as they are, and the background, camera \
    angle and light. Keep each garment's colour, cut, fabric and print. One person, one picture, no text.";

/// The whole prompt of the last call.
pub fn render_prompt(wish: Option<&str>) -> String {
    match wish.map(str::trim).filter(|wish| !wish.is_empty()) {
        Some(wish) => format!("{RENDER} {wish}"),
        None => RENDER.to_owned(),
    }
}

/// The steps of a try-on with so many garments, before it is drawn.
pub fn steps(garments: usize) -> Vec<Step> {
    let numbers = (1..=u8::try_from(garments).unwrap_or(u8::MAX)).map(Step::Garment);
    std::iter::once(Step::Face).chain(numbers).collect()
}
