//! A successful call: the picture in it, or that there is none.

use crate::domain::failure::{Answer, CallResult, Failure, Usage};
use crate::providers::exchange::unreadable_answer;
use crate::providers::inline;
use crate::providers::openai::wire;

pub(super) fn read(body: &[u8], id: Option<String>) -> CallResult {
    let Ok(answer) = serde_json::from_slice::<wire::Answer<'_>>(body) else {
        return unreadable_answer().called(id);
    };
    let usage = answer.usage.as_ref().map(usage).unwrap_or_default();
    // One was asked for; were there more, the last would be the final one.
    let mut pictures = answer.data.iter().rev();
    let Some(base64) = pictures.find_map(|picture| picture.b64_json.as_deref()) else {
        let failure = Failure::retry("no_image", "The provider answered without an image.");
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

fn usage(counted: &wire::Usage) -> Usage {
    Usage {
        input_tokens: counted.input_tokens,
        output_tokens: counted.output_tokens,
        input_image_tokens: counted.input_tokens_details["image_tokens"].as_i64(),
        output_image_tokens: counted.output_tokens_details["image_tokens"].as_i64(),
    }
}

#[cfg(test)]
mod tests;
