//! A successful call: the picture in it, or that there is none.

use serde_json::Value;

use crate::domain::failure::{Answer, CallResult, Failure, Usage};
use crate::providers::exchange::unreadable_answer;
use crate::providers::inline;
use crate::providers::openai::wire;

pub(super) fn read(body: &[u8], id: Option<String>) -> CallResult {
    let Ok(answer) = serde_json::from_slice::<wire::Answer<'_>>(body) else {
        return unreadable_answer().called(id);
    };
    let usage = usage(&answer.usage);
    let pictures = answer.data.unwrap_or_default();
    // One was asked for; were there more, the last would be the final one.
    let base64 = pictures.iter().rev().find_map(|it| it.b64_json.as_deref());
    let Some(base64) = base64 else {
        let failure = without_picture(&pictures);
        return CallResult::Empty(failure).called(id).used(usage);
    };
    match inline::picture(base64) {
        Some(bytes) => CallResult::Picture(Answer {
            bytes,
            usage,
            request_id: id,
        }),
        None => CallResult::Empty(inline::not_a_picture())
            .called(id)
            .used(usage),
    }
}

fn without_picture(pictures: &[wire::Picture<'_>]) -> Failure {
    if pictures.iter().any(|picture| picture.url.is_some()) {
        Failure::never(
            "picture_as_link",
            "The provider answered with a link instead of the image, which OpenAI itself does not; see OPENAI_BASE_URL.",
        )
    } else {
        Failure::retry("no_image", "The provider answered without an image.")
    }
}

fn usage(counted: &Value) -> Usage {
    Usage {
        input_tokens: counted["input_tokens"].as_i64(),
        output_tokens: counted["output_tokens"].as_i64(),
        input_image_tokens: counted["input_tokens_details"]["image_tokens"].as_i64(),
        output_image_tokens: counted["output_tokens_details"]["image_tokens"].as_i64(),
    }
}

#[cfg(test)]
mod tests;
