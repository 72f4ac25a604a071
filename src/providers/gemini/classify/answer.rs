//! A successful call: the picture in it, or why there is none.
//!
//! A refusal of the prompt or of the picture wins over any picture that came along: a draft of
//! what was refused must not be delivered. Of several pictures the last is the final one.

use crate::domain::failure::{Answer, CallResult, Failure, Usage, Words, excerpt};
use crate::providers::exchange::unreadable_answer;
use crate::providers::gemini::wire;
use crate::providers::inline;
use crate::providers::quote::with_quote;

/// The finish reasons without a picture that another try may mend. Of all others, those that are not
/// known yet among them, one more try is enough to know.
const WORTH_RETRIES: [&str; 5] = ["STOP", "NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS"];

pub(super) fn read(body: &[u8]) -> CallResult {
    let Ok(answer) = serde_json::from_slice::<wire::Answer<'_>>(body) else {
        return unreadable_answer();
    };
    let usage = usage(&answer);
    judged(&answer).called(answer.response_id).used(usage)
}

/// The answer to a question. Where it was cut short, what there is may still say enough.
pub(super) fn read_words(body: &[u8]) -> CallResult {
    let Ok(answer) = serde_json::from_slice::<wire::Answer<'_>>(body) else {
        return unreadable_answer();
    };
    let result = refused(&answer).unwrap_or_else(|| {
        let text = spoken(&answer);
        if text.trim().is_empty() {
            return CallResult::Empty(Failure::retry(
                "no_answer",
                "The provider answered without a word.",
            ));
        }
        CallResult::Words(Words {
            text,
            usage: usage(&answer),
            request_id: answer.response_id.as_deref().map(excerpt),
        })
    });
    let usage = usage(&answer);
    result.called(answer.response_id).used(usage)
}

fn judged(answer: &wire::Answer<'_>) -> CallResult {
    refused(answer).unwrap_or_else(|| match picture(answer) {
        Some(base64) => decoded(base64, answer),
        None => no_picture(answer),
    })
}

fn refused(answer: &wire::Answer<'_>) -> Option<CallResult> {
    if let Some(reason) = answer.block_reason() {
        return Some(blocked_prompt(reason));
    }
    answer.finish_reason().and_then(refused_output)
}

/// `promptFeedback.blockReason`: whatever it names is moderation, except `OTHER`, which names
/// nothing.
fn blocked_prompt(reason: &str) -> CallResult {
    let why = match reason {
        "OTHER" => {
            return CallResult::Empty(Failure::retry(
                "no_image",
                "The provider blocked the request without giving a reason (OTHER).",
            ));
        }
        "SAFETY" => "its safety filter",
        "BLOCKLIST" => "words on its block list",
        "PROHIBITED_CONTENT" => "prohibited content",
        "IMAGE_SAFETY" => "its safety filter for images",
        "MODEL_ARMOR" | "JAILBREAK" => "its guard against misuse",
        _ => "its rules",
    };
    CallResult::Refused(Failure::never(
        "moderation_input",
        format!(
            "The provider refused the prompt or an input image because of {why} ({}). Change them and try again.",
            excerpt(reason)
        ),
    ))
}

/// The finish reasons that refuse the output for good.
fn refused_output(reason: &str) -> Option<CallResult> {
    let why = match reason {
        "SAFETY" | "IMAGE_SAFETY" => "its safety filter",
        "PROHIBITED_CONTENT" | "IMAGE_PROHIBITED_CONTENT" => "prohibited content",
        "BLOCKLIST" => "words on its block list",
        "SPII" => "personal information",
        "RECITATION" | "IMAGE_RECITATION" => "its likeness to an existing work",
        _ => return None,
    };
    Some(CallResult::Refused(Failure::never(
        "moderation_output",
        format!(
            "The provider made no image because of {why} ({reason}). Change the prompt or the input images and try again."
        ),
    )))
}

/// The last picture that is not a thought; if all are, the last of them, but only from a model
/// that finished: else it is a draft.
fn picture<'s>(answer: &'s wire::Answer<'_>) -> Option<&'s str> {
    let last = |thoughts: bool| {
        let mut parts = answer.parts().rev();
        parts.find_map(|part| {
            let blob = part.inline_data.as_ref()?;
            (part.is_thought() == thoughts).then_some(&*blob.data)
        })
    };
    let finished = matches!(answer.finish_reason(), None | Some("STOP"));
    last(false).or_else(|| last(true).filter(|_| finished))
}

fn decoded(base64: &str, answer: &wire::Answer<'_>) -> CallResult {
    match inline::picture(base64) {
        Some(bytes) => CallResult::Picture(Answer {
            bytes,
            usage: usage(answer),
            request_id: answer.response_id.as_deref().map(excerpt),
        }),
        None => CallResult::Empty(inline::not_a_picture()),
    }
}

/// Thinking is billed as output.
fn usage(answer: &wire::Answer<'_>) -> Usage {
    let counted = &answer.usage_metadata;
    let output = ["candidatesTokenCount", "thoughtsTokenCount"].map(|name| counted[name].as_i64());
    Usage {
        input_tokens: counted["promptTokenCount"].as_i64(),
        output_tokens: output.into_iter().flatten().reduce(i64::saturating_add),
        input_image_tokens: wire::of_images(&counted["promptTokensDetails"]),
        output_image_tokens: wire::of_images(&counted["candidatesTokensDetails"]),
    }
}

/// What the model said, its thoughts left out.
fn spoken(answer: &wire::Answer<'_>) -> String {
    let spoken: Vec<&str> = answer
        .parts()
        .filter(|part| !part.is_thought())
        .filter_map(|part| part.text.as_deref())
        .collect();
    spoken.join(" ")
}

/// The model talked, or stopped, instead of drawing. Its reason stays raw: new ones appear.
fn no_picture(answer: &wire::Answer<'_>) -> CallResult {
    let sentence = match answer.finish_reason() {
        None | Some("STOP") => "The provider answered without an image".to_owned(),
        Some(reason) => format!(
            "The provider answered without an image ({})",
            excerpt(reason)
        ),
    };
    let words = spoken(answer);
    let quote = if words.trim().is_empty() {
        answer.finish_message()
    } else {
        Some(words.as_str())
    };
    let sentence = with_quote(&sentence, quote);
    let is_usual = |reason| WORTH_RETRIES.contains(&reason);
    CallResult::Empty(if answer.finish_reason().is_none_or(is_usual) {
        Failure::retry("no_image", sentence)
    } else {
        Failure::retry_once("unexpected_finish", sentence)
    })
}

#[cfg(test)]
mod tests;
