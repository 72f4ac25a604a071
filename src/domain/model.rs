//! The models we know: who serves them, what they accept, and how gently to treat them.
//!
//! Names of models retire and appear; a name we do not know but whose family we recognise is
//! served with the family's rules, so that a new preview needs no release of safelight.
//! Facts: the providers' API references, read in 2026.

use std::fmt;

use super::AspectRatio;

/// What a fresh database records as the default model.
pub const DEFAULT_MODEL: &str = "gemini-2.5-flash-image";

/// Models that have a row in `photo_generation_limits` from the first day.
pub const KNOWN_MODELS: [&str; 5] = [
    DEFAULT_MODEL,
    "gemini-3-pro-image",
    "gemini-3-pro-image-preview",
    "gemini-3.1-flash-image",
    "gemini-3.1-flash-image-preview",
];

/// Who serves a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    Gemini,
}

impl Provider {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A model that can be called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Model {
    name: String,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Family {
    /// gemini-2.5-flash-image: fixed 1K, ten ratios.
    Flash,
    /// gemini-3-pro-image: up to 4K, always thinks.
    Pro,
    /// gemini-3.1-flash-image: up to 4K, four extreme ratios more.
    Flash31,
}

/// How many calls of one process may run at once, and how far apart they start, where the
/// `limits` row sets nothing (seed 000).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub concurrent: i32,
    pub apart_ms: i32,
}

impl Model {
    /// Recognises a Gemini image model by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("gemini-")?;
        let family = if rest.contains("-pro") {
            Family::Pro
        } else if rest.starts_with("3.1-flash") {
            Family::Flash31
        } else if rest.contains("-flash") {
            Family::Flash
        } else {
            return None;
        };
        // The name becomes part of a URL path.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        name.chars().all(plain).then(|| Self {
            name: name.to_owned(),
            family,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn provider(&self) -> Provider {
        match self.family {
            Family::Flash | Family::Pro | Family::Flash31 => Provider::Gemini,
        }
    }

    pub fn pace(&self) -> Pace {
        match self.family {
            Family::Pro => Pace {
                concurrent: 2,
                apart_ms: 500,
            },
            Family::Flash | Family::Flash31 => Pace {
                concurrent: 4,
                apart_ms: 200,
            },
        }
    }

    /// Sizes that may be asked for by name; a model with none makes 1K pictures only.
    pub fn image_sizes(&self) -> &'static [&'static str] {
        match self.family {
            Family::Flash => &[],
            Family::Pro => &["1K", "2K", "4K"],
            Family::Flash31 => &["512", "1K", "2K", "4K"],
        }
    }

    /// Aspect ratios that the model draws.
    pub fn ratios(&self) -> &'static [AspectRatio] {
        match self.family {
            Family::Flash | Family::Pro => AspectRatio::COMMON,
            Family::Flash31 => &AspectRatio::ALL,
        }
    }

    /// Most input pictures of one call. Gemini 2.5 advises three and takes more; existing apps
    /// send their whole training set.
    pub fn max_inputs(&self) -> usize {
        match self.family {
            Family::Flash => 32,
            Family::Pro | Family::Flash31 => 14,
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

#[cfg(test)]
mod tests;
