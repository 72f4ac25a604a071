//! What the images of a job are to show: one text for all of them, or one for each.

use std::sync::Arc;

use super::{AspectRatio, RequestError, invalid};

/// Longest prompt, in characters. Gemini takes far more tokens; a longer text is a mistake.
pub(super) const MAX_PROMPT_CHARS: usize = 32_000;

/// The whole texts as providers get them, a wanted aspect ratio in words included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompts {
    first: Arc<str>,
    /// Of the second image and those after it, where each has its own.
    others: Vec<Arc<str>>,
}

impl Prompts {
    /// One text, or as many as there are images.
    pub(super) fn new(
        texts: Vec<String>,
        ratio: Option<AspectRatio>,
    ) -> Result<Self, RequestError> {
        let is_list = texts.len() > 1;
        let mut whole = texts.into_iter().enumerate().map(|(at, text)| {
            check_length(&text, is_list.then_some(at + 1))?;
            Ok(Arc::from(with_ratio(text, ratio)))
        });
        let first = whole
            .next()
            .unwrap_or_else(|| Err(invalid("The job has no prompt.")))?;
        let others = whole.collect::<Result<_, _>>()?;
        Ok(Self { first, others })
    }

    /// That of an image by its index, from 1.
    pub fn of(&self, index: i32) -> &Arc<str> {
        let own = usize::try_from(index)
            .ok()
            .and_then(|index| index.checked_sub(2));
        own.and_then(|at| self.others.get(at))
            .unwrap_or(&self.first)
    }
}

fn check_length(text: &str, number: Option<usize>) -> Result<(), RequestError> {
    let length = text.chars().count();
    if length <= MAX_PROMPT_CHARS {
        return Ok(());
    }
    let which = match number {
        None => "The prompt".to_owned(),
        Some(number) => format!("Prompt {number}"),
    };
    Err(invalid(format!(
        "{which} has {length} characters; at most {MAX_PROMPT_CHARS} are taken."
    )))
}

/// The words of the ratio are ours. Where they do not fit they are left out: the request says it as well.
fn with_ratio(text: String, ratio: Option<AspectRatio>) -> String {
    let Some(ratio) = ratio else {
        return text;
    };
    let stop = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    let whole = format!("{text}{stop} {}", ratio.in_words());
    if whole.chars().count() > MAX_PROMPT_CHARS {
        return text;
    }
    whole
}

#[cfg(test)]
mod tests;
