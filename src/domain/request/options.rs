//! What a row's `"payload"` may ask of a picture beside its size, where the model can be told.
//!
//! Gemini's models cannot: there these wishes are not read, as ever. OpenAI's are always told all of
//! them, since its own defaults move: "auto" is the dearest quality as often as not.

use serde_json::Value;

use super::{RequestError, invalid, wishes};
use crate::domain::{Model, Provider};

/// How a picture is to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub quality: Quality,
    pub output_format: OutputFormat,
    /// Only for a model that [takes it](Model::takes_input_fidelity).
    pub input_fidelity: Option<InputFidelity>,
}

/// How much work goes into a picture, and with it what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    Low,
    /// What the list prices of `photo_generation_list_price` are for.
    #[default]
    Medium,
    High,
    /// The model decides.
    Auto,
}

/// The type of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    #[default]
    Png,
    Jpeg,
    Webp,
}

/// How closely to keep to the details of the input pictures, faces above all; costs input tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFidelity {
    Low,
    High,
}

impl Quality {
    const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Auto];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Auto => "auto",
        }
    }
}

impl OutputFormat {
    const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Webp];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
        }
    }
}

impl InputFidelity {
    const ALL: [Self; 2] = [Self::Low, Self::High];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

impl Options {
    /// # Errors
    /// The first wish that the model cannot be told.
    pub(super) fn parse(payload: Option<&Value>, model: &Model) -> Result<Self, RequestError> {
        match (model.provider(), payload) {
            (Provider::Gemini, _) | (Provider::OpenAi, None) => Ok(Self::default()),
            (Provider::OpenAi, Some(payload)) => Self::of_openai(payload, model),
        }
    }

    fn of_openai(payload: &Value, model: &Model) -> Result<Self, RequestError> {
        let quality = wish(payload, "quality", Quality::ALL.map(|it| (it.as_str(), it)))?;
        let formats = OutputFormat::ALL.map(|it| (it.as_str(), it));
        let output_format = wish(payload, "outputFormat", formats)?;
        let levels = InputFidelity::ALL.map(|it| (it.as_str(), it));
        let input_fidelity = wish(payload, "inputFidelity", levels)?;
        if input_fidelity.is_some() && !model.takes_input_fidelity() {
            return Err(invalid(format!(
                "{model} takes no \"inputFidelity\"; leave it out, or use gpt-image-1.5."
            )));
        }
        Ok(Self {
            quality: quality.unwrap_or_default(),
            output_format: output_format.unwrap_or_default(),
            input_fidelity,
        })
    }
}

fn wish<T: Copy, const N: usize>(
    payload: &Value,
    name: &str,
    words: [(&'static str, T); N],
) -> Result<Option<T>, RequestError> {
    let Some(wanted) = wishes::said(payload, name) else {
        return Ok(None);
    };
    let found = words.iter().find(|(word, _)| wanted.as_str() == Some(word));
    found.map(|(_, it)| Some(*it)).ok_or_else(|| {
        let known = words.map(|(word, _)| word).join(", ");
        invalid(format!("\"{name}\" in \"payload\" must be one of {known}."))
    })
}

#[cfg(test)]
mod tests;
