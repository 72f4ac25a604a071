//! The models we know: who serves them, what they accept, and how gently to treat them.
//!
//! Names of models retire and appear; a name we do not know but whose family we recognise is
//! served with the family's rules, so that a new preview needs no release of safelight.
//! Facts: the providers' API references, read in 2026.

use std::fmt;

use super::AspectRatio;
pub use shape::Shape;

mod shape;

/// What a fresh database records as the default model.
pub const DEFAULT_MODEL: &str = Provider::Gemini.default_model();

/// Reads pictures and answers in words: small, quick, and no model that a row may name.
pub const TEXT_MODEL: &str = "gemini-2.5-flash";

/// Who serves a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    Gemini,
    OpenAi,
}

impl Provider {
    /// In the order of preference: who has keys for all works with the first, unless told otherwise.
    pub const ALL: [Self; 2] = [Self::Gemini, Self::OpenAi];

    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::OpenAi => "openai",
        }
    }

    /// The provider of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// As people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Gemini => "Gemini",
            Self::OpenAi => "OpenAI",
        }
    }

    /// The model of rows that name this provider and no model, where no other is recorded.
    pub const fn default_model(self) -> &'static str {
        match self {
            Self::Gemini => "gemini-2.5-flash-image",
            Self::OpenAi => "gpt-image-1.5",
        }
    }

    /// Models that have a row in `photo_generation_limits` from the first day.
    pub const fn known_models(self) -> &'static [&'static str] {
        match self {
            Self::Gemini => &[
                "gemini-2.5-flash-image",
                "gemini-3-pro-image",
                "gemini-3-pro-image-preview",
                "gemini-3.1-flash-image",
                "gemini-3.1-flash-image-preview",
            ],
            Self::OpenAi => &[
                "gpt-image-1",
                "gpt-image-1-mini",
                "gpt-image-1.5",
                "gpt-image-2",
                "chatgpt-image-latest",
            ],
        }
    }

    /// The model of this provider that answers in words; it has such a row as well.
    pub const fn text_model(self) -> Option<&'static str> {
        match self {
            Self::Gemini => Some(TEXT_MODEL),
            Self::OpenAi => None,
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
    /// gemini-2.5-flash: words only.
    Words,
    /// gemini-3-pro-image: up to 4K, always thinks.
    Pro,
    /// gemini-3.1-flash-image: up to 4K, four extreme ratios more.
    Flash31,
    /// gpt-image-1 and 1.5: three sizes; may be told to keep to the input's details.
    GptFaithful,
    /// gpt-image-2: any size between 1:3 and 3:1.
    GptFree,
    /// gpt-image-1-mini, chatgpt-image-latest, and what comes: three sizes and nothing to be told.
    GptPlain,
}

/// How many calls of one process may run at once, and how far apart they start, where the
/// `limits` row sets nothing (seed 000).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub concurrent: i32,
    pub apart_ms: i32,
}

impl Model {
    /// Recognises an image model by its name. `photo_generation_provider` in the database knows the
    /// same names, so that a job goes to a worker that can call its model.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == TEXT_MODEL {
            return None;
        }
        let family = match name.strip_prefix("gemini-") {
            Some(rest) => Family::of_gemini(rest)?,
            None => Family::of_gpt(name)?,
        };
        // The name becomes part of a URL path.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        name.chars().all(plain).then(|| Self {
            name: name.to_owned(),
            family,
        })
    }

    /// The one that answers in words.
    pub fn for_words() -> Self {
        Self {
            name: TEXT_MODEL.to_owned(),
            family: Family::Words,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn provider(&self) -> Provider {
        match self.family {
            Family::Flash | Family::Words | Family::Pro | Family::Flash31 => Provider::Gemini,
            Family::GptFaithful | Family::GptFree | Family::GptPlain => Provider::OpenAi,
        }
    }

    pub fn pace(&self) -> Pace {
        match self.family {
            Family::Pro => Pace {
                concurrent: 2,
                apart_ms: 500,
            },
            Family::Flash
            | Family::Words
            | Family::Flash31
            | Family::GptFaithful
            | Family::GptFree
            | Family::GptPlain => Pace {
                concurrent: 4,
                apart_ms: 200,
            },
        }
    }

    /// Sizes that may be asked for by name; a model with none makes 1K pictures only.
    pub fn image_sizes(&self) -> &'static [&'static str] {
        match self.family {
            Family::Flash | Family::Words => &[],
            Family::Pro => &["1K", "2K", "4K"],
            Family::Flash31 => &["512", "1K", "2K", "4K"],
            Family::GptFaithful | Family::GptFree | Family::GptPlain => {
                &["1024x1024", "1536x1024", "1024x1536"]
            }
        }
    }

    /// Aspect ratios that may be asked for. Gemini draws them; OpenAI's models draw the nearest that
    /// they can ([`Self::pixels`]).
    pub fn ratios(&self) -> &'static [AspectRatio] {
        match self.family {
            Family::Words => &[],
            Family::Flash
            | Family::Pro
            | Family::GptFaithful
            | Family::GptFree
            | Family::GptPlain => AspectRatio::COMMON,
            Family::Flash31 => &AspectRatio::ALL,
        }
    }

    /// The pixels that are asked for where a model is told these and no ratio. Most of OpenAI's have
    /// three sizes: of 9:16 and 3:4 the nearest is 2:3.
    pub fn pixels(&self, ratio: AspectRatio) -> &'static str {
        match self.family {
            Family::GptFree => ratio.exact_pixels(),
            Family::GptFaithful
            | Family::GptPlain
            | Family::Flash
            | Family::Words
            | Family::Pro
            | Family::Flash31 => ratio.nearest_pixels(),
        }
    }

    /// Whether it may be told how closely to keep to its input pictures; others refuse a request
    /// that says so.
    pub fn takes_input_fidelity(&self) -> bool {
        match self.family {
            Family::GptFaithful => true,
            Family::GptFree
            | Family::GptPlain
            | Family::Flash
            | Family::Words
            | Family::Pro
            | Family::Flash31 => false,
        }
    }

    /// Most input pictures of one call. Gemini 2.5 advises three and takes more; existing apps
    /// send their whole training set.
    pub fn max_inputs(&self) -> usize {
        match self.family {
            Family::Flash | Family::Words => 32,
            Family::Pro | Family::Flash31 => 14,
            Family::GptFaithful | Family::GptFree | Family::GptPlain => 16,
        }
    }
}

impl Family {
    fn of_gemini(rest: &str) -> Option<Self> {
        if rest.contains("-pro") {
            Some(Self::Pro)
        } else if rest.starts_with("3.1-flash") {
            Some(Self::Flash31)
        } else if rest.contains("-flash") {
            Some(Self::Flash)
        } else {
            None
        }
    }

    fn of_gpt(name: &str) -> Option<Self> {
        if name.starts_with("chatgpt-image-") {
            return Some(Self::GptPlain);
        }
        let version = name.strip_prefix("gpt-image-")?;
        Some(if version.starts_with("1-mini") {
            Self::GptPlain
        } else if version == "1" || version.starts_with("1-") || version.starts_with("1.5") {
            Self::GptFaithful
        } else if version.starts_with('2') {
            Self::GptFree
        } else {
            Self::GptPlain
        })
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

#[cfg(test)]
mod tests;
