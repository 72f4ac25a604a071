//! The shape of a picture that is to be like another one, as near as the model comes.
//!
//! What an edit asks for that names no ratio. The same picture leads to the same shape on every worker
//! and every try: whole numbers only.

use super::{Family, Model};
use crate::domain::AspectRatio;

/// A model that draws any shape draws in steps of so many pixels ...
const STEP: u64 = 16;
/// ... of which the longer side is no more than so many times the other ...
const LONGEST: u64 = 3;
/// ... and about so many together: between the square and the long ones of its usual sizes.
const PIXELS: u64 = 1024 * 1280;
/// A picture this near to one of the usual shapes, in thousandths, has it: cameras and our own scaling
/// round.
const NEAR: u64 = 10;
/// What OpenAI's models of three sizes draw.
const THREE: &[AspectRatio] = AspectRatio::COMMON.split_at(3).0;

/// How a model is told what shape to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One of [`Model::ratios`].
    Ratio(AspectRatio),
    /// `1392x944`, for a model that draws any size.
    Pixels(String),
}

impl Model {
    /// The shape nearest to a picture of this width and height.
    pub fn shape_like(&self, width: u32, height: u32) -> Shape {
        let sides = (u64::from(width.max(1)), u64::from(height.max(1)));
        let drawn = match self.family {
            Family::Flash | Family::Pro | Family::Flash31 | Family::Words | Family::GptFree => {
                self.ratios()
            }
            Family::GptFaithful | Family::GptPlain => THREE,
        };
        let nearest = drawn
            .iter()
            .copied()
            .min_by_key(|ratio| off(*ratio, sides))
            .unwrap_or(AspectRatio::ALL[0]);
        match self.family {
            Family::GptFree if off(nearest, sides) > 1000 + NEAR => Shape::Pixels(pixels(sides)),
            Family::GptFree
            | Family::Flash
            | Family::Pro
            | Family::Flash31
            | Family::Words
            | Family::GptFaithful
            | Family::GptPlain => Shape::Ratio(nearest),
        }
    }
}

/// By how many thousandths one of the two is longer than the other: 1000 for the same shape.
fn off(ratio: AspectRatio, (width, height): (u64, u64)) -> u64 {
    let (one, other) = (width * ratio.height(), height * ratio.width());
    1000 * one.max(other) / one.min(other)
}

/// About [`PIXELS`] in steps, the shorter side as near as it comes.
fn pixels((width, height): (u64, u64)) -> String {
    let (long, short) = (width.max(height), width.min(height));
    let short = short.max(long.div_ceil(LONGEST));
    // The longer side of so many pixels of this shape is the root of `PIXELS * long / short`.
    let longer = in_steps((PIXELS * long / short).isqrt());
    // Rounded up, the longest shape would be beyond what is drawn by none.
    let shorter = in_steps(longer * short / long).max(longer.div_ceil(LONGEST * STEP) * STEP);
    if width < height {
        format!("{shorter}x{longer}")
    } else {
        format!("{longer}x{shorter}")
    }
}

fn in_steps(side: u64) -> u64 {
    (side + STEP / 2) / STEP * STEP
}

#[cfg(test)]
mod tests;
