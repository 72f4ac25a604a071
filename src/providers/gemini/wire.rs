//! What goes over the wire to Gemini and back: the request as we send it, and as much of the
//! answer to a successful call as we read. Errors are not here; their shape varies too much for
//! types (see `classify::refusal`).
//!
//! Both borrow. Pictures are megabytes of base64, and each copy of one counts forty times in a
//! busy worker.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::providers::{ImageRequest, PreparedPicture, Question};

/// Body of `generateContent`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    contents: [Content<'a>; 1],
    generation_config: GenerationConfig<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Part<'a> {
    Text(&'a str),
    #[serde(rename_all = "camelCase")]
    InlineData {
        mime_type: &'static str,
        data: &'a str,
    },
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    response_modalities: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    image_config: Option<ImageConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    thinking_budget: u32,
}

/// Models refuse fields that they do not know, even empty ones.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    aspect_ratio: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_size: Option<&'a str>,
}

impl<'a> Body<'a> {
    /// The text first, then the pictures in their order; or each behind its label, and the text last.
    pub(super) fn of(request: &'a ImageRequest) -> Self {
        let manner = &request.manner;
        let text = std::iter::once(Part::Text(&request.prompt));
        let pictures = request.pictures.iter().map(Part::of);
        let parts = match &manner.labels {
            None => text.chain(pictures).collect(),
            Some(labels) => {
                let labelled = labels.iter().zip(pictures);
                let parts = labelled.flat_map(|(label, picture)| [Part::Text(label), picture]);
                parts.chain(text).collect()
            }
        };
        let aspect_ratio = request.aspect_ratio.map(crate::domain::AspectRatio::as_str);
        let image_size = request.image_size.as_deref();
        let is_set = aspect_ratio.is_some() || image_size.is_some();
        Self {
            contents: [Content {
                role: "user",
                parts,
            }],
            generation_config: GenerationConfig {
                response_modalities: if manner.picture_only {
                    &["IMAGE"]
                } else {
                    &["TEXT", "IMAGE"]
                },
                image_config: is_set.then_some(ImageConfig {
                    aspect_ratio,
                    image_size,
                }),
                temperature: manner.sampling.map(|it| it.temperature),
                top_p: manner.sampling.map(|it| it.top_p),
                top_k: manner.sampling.map(|it| it.top_k),
                ..GenerationConfig::default()
            },
        }
    }

    /// The same question about the same picture has the same answer. It does not think first: that would
    /// take most of its time.
    pub(super) fn of_question(question: &'a Question) -> Self {
        let parts = vec![Part::of(&question.picture), Part::Text(question.prompt)];
        Self {
            contents: [Content {
                role: "user",
                parts,
            }],
            generation_config: GenerationConfig {
                response_mime_type: Some("application/json"),
                temperature: Some(0.0),
                thinking_config: Some(ThinkingConfig { thinking_budget: 0 }),
                ..GenerationConfig::default()
            },
        }
    }
}

impl<'a> Part<'a> {
    fn of(picture: &'a PreparedPicture) -> Self {
        Self::InlineData {
            mime_type: picture.mime,
            data: &picture.base64,
        }
    }
}

/// Answer to a successful call. Everything may be missing: a blocked prompt has no candidates, a
/// refused picture no content, an empty content no parts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    prompt_feedback: Option<PromptFeedback>,
    /// `{"promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "promptTokensDetails", ...}`. As it
    /// comes: a picture that is paid for is not lost because this is odd.
    #[serde(default)]
    pub(super) usage_metadata: Value,
    pub(super) response_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Parts<'a>>,
    finish_reason: Option<String>,
    finish_message: Option<String>,
}

#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    parts: Option<Vec<AnswerPart<'a>>>,
}

/// One part of the model's answer: words, or a picture, or neither that we know.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerPart<'a> {
    pub(super) text: Option<String>,
    /// Thinking aloud, in words or in draft pictures.
    thought: Option<bool>,
    #[serde(borrow, alias = "inline_data")]
    pub(super) inline_data: Option<Blob<'a>>,
}

/// The declared type is not read: Gemini declares PNG and sends JPEG.
#[derive(Deserialize)]
pub(super) struct Blob<'a> {
    #[serde(borrow, default)]
    pub(super) data: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

/// `[{"modality": "IMAGE", "tokenCount": 1290}, ...]`. `None`: the modalities are not told apart.
pub(super) fn of_images(details: &Value) -> Option<i64> {
    let each = details.as_array()?.iter();
    let images = each.filter(|one| one["modality"] == "IMAGE");
    Some(
        images
            .filter_map(|one| one["tokenCount"].as_i64())
            .fold(0, i64::saturating_add),
    )
}

impl<'a> Answer<'a> {
    /// The parts of all candidates; we ask for one and get one.
    pub(super) fn parts(&self) -> impl DoubleEndedIterator<Item = &AnswerPart<'a>> {
        let candidates = self.candidates.iter().flatten();
        let contents = candidates.filter_map(|candidate| candidate.content.as_ref());
        contents.flat_map(|content| content.parts.iter().flatten())
    }

    pub(super) fn finish_reason(&self) -> Option<&str> {
        self.last_of(|candidate| candidate.finish_reason.as_deref())
    }

    pub(super) fn finish_message(&self) -> Option<&str> {
        self.last_of(|candidate| candidate.finish_message.as_deref())
    }

    pub(super) fn block_reason(&self) -> Option<&str> {
        self.prompt_feedback.as_ref()?.block_reason.as_deref()
    }

    fn last_of<'s>(
        &'s self,
        get: impl Fn(&'s Candidate<'a>) -> Option<&'s str>,
    ) -> Option<&'s str> {
        self.candidates.iter().flatten().rev().find_map(get)
    }
}

impl AnswerPart<'_> {
    pub(super) fn is_thought(&self) -> bool {
        self.thought == Some(true)
    }
}

#[cfg(test)]
mod tests;
