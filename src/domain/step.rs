//! What a paid call is for: an image of its job, or a step on the way to one.

use std::fmt;
use std::str::FromStr;

/// Most garments of one try-on.
pub const MAX_GARMENTS: usize = 4;

/// What a try-on finds out before it is drawn, and about its drawing. Kept as a text in the `step` of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Where the person's face is: `face`.
    Face,
    /// A garment alone, cut out of its picture, from 1: `garment-1`.
    Garment(u8),
    /// Where the face is in the drawing: `check`.
    Check,
    /// The drawing once more: `redraw`.
    Redraw,
    /// Where the face is in that one: `recheck`.
    Recheck,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Face => f.pad("face"),
            Self::Garment(number) => write!(f, "garment-{number}"),
            Self::Check => f.pad("check"),
            Self::Redraw => f.pad("redraw"),
            Self::Recheck => f.pad("recheck"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let garment = || {
            let number = text.strip_prefix("garment-")?.parse().ok()?;
            (1..=MAX_GARMENTS)
                .contains(&usize::from(number))
                .then_some(Self::Garment(number))
        };
        match text {
            "face" => Some(Self::Face),
            "check" => Some(Self::Check),
            "redraw" => Some(Self::Redraw),
            "recheck" => Some(Self::Recheck),
            _ => garment(),
        }
        .ok_or_else(|| format!("unknown step \"{text}\""))
    }
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// By its index, from 1.
    Image(i32),
    Step(Step),
}

impl Target {
    /// As the ledger has it; `None` for what this version does not know.
    pub fn read(index: Option<i32>, step: Option<&str>) -> Option<Self> {
        match (index, step) {
            (Some(index), None) => Some(Self::Image(index)),
            (_, Some(step)) => step.parse().ok().map(Self::Step),
            (None, None) => None,
        }
    }

    pub fn index(self) -> Option<i32> {
        match self {
            Self::Image(index) => Some(index),
            Self::Step(_) => None,
        }
    }

    /// The word in the table.
    pub fn step(self) -> Option<String> {
        match self {
            Self::Image(_) => None,
            Self::Step(step) => Some(step.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
