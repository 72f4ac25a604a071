//! What each of OpenAI's models draws, and refuses to draw.

use super::answer::ApiError;
use crate::providers::simulator::picture::Size;

/// What a model accepts.
pub(super) struct Model {
    name: &'static str,
    pub(super) takes_fidelity: bool,
    /// Any size with sides that are multiples of 16, between 1:3 and 3:1.
    any_size: bool,
}

const fn model(name: &'static str, takes_fidelity: bool, any_size: bool) -> Model {
    Model {
        name,
        takes_fidelity,
        any_size,
    }
}

const MODELS: [Model; 5] = [
    model("gpt-image-1", true, false),
    model("gpt-image-1-mini", false, false),
    model("gpt-image-1.5", true, false),
    model("gpt-image-2", false, true),
    model("chatgpt-image-latest", false, false),
];

const SQUARE: Size = Size {
    width: 1024,
    height: 1024,
};
const LANDSCAPE: Size = Size {
    width: 1536,
    height: 1024,
};
const PORTRAIT: Size = Size {
    width: 1024,
    height: 1536,
};

impl Model {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// The pixels asked for. With `auto` the picture follows the last input.
    pub(super) fn size(&self, wanted: &str, input: Option<Size>) -> Result<Size, ApiError> {
        if wanted == "auto" {
            return Ok(input.map_or(SQUARE, nearest));
        }
        let refused = || ApiError::unknown_value("size", wanted);
        let (width, height) = wanted.split_once('x').ok_or_else(refused)?;
        let side = |text: &str| text.parse::<u32>().map_err(|_| refused());
        let size = Size {
            width: side(width)?,
            height: side(height)?,
        };
        let usual = [SQUARE, LANDSCAPE, PORTRAIT].contains(&size);
        if usual || (self.any_size && is_drawable(size)) {
            Ok(size)
        } else {
            Err(refused())
        }
    }
}

fn is_drawable(size: Size) -> bool {
    let sides = [size.width, size.height];
    let in_steps = sides.iter().all(|side| side.is_multiple_of(16));
    let in_bounds = sides.iter().all(|side| (16..=4096).contains(side));
    in_steps && in_bounds && size.width <= size.height * 3 && size.height <= size.width * 3
}

fn nearest(input: Size) -> Size {
    match input.width.cmp(&input.height) {
        std::cmp::Ordering::Less => PORTRAIT,
        std::cmp::Ordering::Equal => SQUARE,
        std::cmp::Ordering::Greater => LANDSCAPE,
    }
}
