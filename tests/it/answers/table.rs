//! The answers, and what becomes of a job that gets one on every call.

/// An answer and what becomes of a job of one image that gets it on every call.
pub(super) struct Answer {
    /// The simulator's fault.
    pub(super) fault: String,
    /// `status attempts code` after the first attempt.
    pub(super) first: &'static str,
    /// The image then.
    pub(super) image: &'static str,
    /// `state:accepted` of the one call, as far as we know.
    pub(super) call: &'static str,
    /// `status attempts code, calls` when nothing is tried any more.
    pub(super) end: &'static str,
    /// Part of the sentence for people; empty when there is none.
    pub(super) says: String,
}

pub(super) fn answer(
    fault: &str,
    [first, image, call, end]: [&'static str; 4],
    says: impl Into<String>,
) -> Answer {
    Answer {
        fault: fault.to_owned(),
        first,
        image,
        call,
        end,
        says: says.into(),
    }
}

/// `finishReason`s and `blockReason`s, class by class; the last of some is one that nobody has seen.
const REFUSES_OUTPUT: [&str; 8] = [
    "SAFETY",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "RECITATION",
    "IMAGE_RECITATION",
];
const REFUSES_INPUT: [&str; 7] = [
    "SAFETY",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "IMAGE_SAFETY",
    "MODEL_ARMOR",
    "JAILBREAK",
    "SOMETHING_NEW",
];
const BRINGS_NOTHING: [&str; 3] = ["IMAGE_OTHER", "OTHER", "MAX_TOKENS"];
const NOT_EXPECTED: [&str; 5] = [
    "LANGUAGE",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "SOMETHING_NEW",
];

pub(super) const STORED: [&str; 4] = [
    "completed 0",
    "stored",
    "stored:true",
    "completed 0, 1 call",
];
const REFUSED_OUTPUT: [&str; 4] = [
    "failed 0 moderation_output",
    "refused",
    "refused:true",
    "failed 0 moderation_output, 1 call",
];
pub(super) const REFUSED_INPUT: [&str; 4] = [
    "failed 0 moderation_input",
    "refused",
    "refused:true",
    "failed 0 moderation_input, 1 call",
];
pub(super) const NO_IMAGE: [&str; 4] = [
    "pending 1 no_image",
    "planned",
    "empty:true",
    "failed 3 no_image, 3 calls",
];
const NO_IMAGE_ONCE: [&str; 4] = [
    "pending 1 unexpected_finish",
    "planned",
    "empty:true",
    "failed 1 unexpected_finish, 2 calls",
];
pub(super) const UNREADABLE_PICTURE: [&str; 4] = [
    "pending 1 unreadable_picture",
    "planned",
    "empty:true",
    "failed 3 unreadable_picture, 3 calls",
];
pub(super) const BROKEN: [&str; 4] = [
    "pending 1 provider_error",
    "planned",
    "error:?",
    "failed 3 provider_error, 3 calls",
];
pub(super) const REJECTED: [&str; 4] = [
    "failed 0 provider_rejected",
    "failed",
    "error:false",
    "failed 0 provider_rejected, 1 call",
];
pub(super) const LOST: [&str; 4] = [
    "pending 1 connection_lost",
    "planned",
    "ambiguous:?",
    "failed 1 connection_lost, 2 calls",
];

pub(super) const UNREADABLE: [&str; 4] = [
    "pending 1 unreadable_answer",
    "planned",
    "ambiguous:?",
    "failed 1 unreadable_answer, 2 calls",
];
pub(super) const SILENT: [&str; 4] = [
    "pending 1 call_timeout",
    "planned",
    "ambiguous:?",
    "failed 1 call_timeout, 2 calls",
];

/// Every answer that is no fault of the account.
pub(super) fn answers() -> Vec<Answer> {
    let mut answers = told_by_their_shape();
    answers.extend(told_by_a_word("finish", &REFUSES_OUTPUT, REFUSED_OUTPUT));
    answers.extend(told_by_a_word("blocked", &REFUSES_INPUT, REFUSED_INPUT));
    answers.extend(told_by_a_word("finish", &BRINGS_NOTHING, NO_IMAGE));
    answers.extend(told_by_a_word("finish", &NOT_EXPECTED, NO_IMAGE_ONCE));
    answers
}

fn told_by_a_word(kind: &str, reasons: &[&str], expected: [&'static str; 4]) -> Vec<Answer> {
    let each = reasons.iter().map(|reason| {
        let fault = format!("{kind} reason={reason}");
        answer(&fault, expected, format!("({reason})"))
    });
    each.collect()
}

fn told_by_their_shape() -> Vec<Answer> {
    vec![
        // Pictures, as odd as they come.
        answer("slow=0s", STORED, ""),
        answer("thoughts", STORED, ""),
        answer("only-thought", STORED, ""),
        answer("wrongmime", STORED, ""),
        answer("wrongratio", STORED, ""),
        // No picture.
        answer(
            "text message=Kites are hard.",
            NO_IMAGE,
            "without an image: Kites are hard.",
        ),
        answer("noimage", NO_IMAGE, "(NO_IMAGE)"),
        answer("finish", NO_IMAGE, "without an image."),
        answer("nocontent", NO_IMAGE, "without an image."),
        answer("empty", NO_IMAGE, "without an image."),
        answer("blocked reason=OTHER", NO_IMAGE, "(OTHER)"),
        answer("cut-picture", UNREADABLE_PICTURE, "cannot be read"),
        answer("cut-base64", UNREADABLE_PICTURE, "not an image"),
        // The provider's own troubles.
        answer("500", BROKEN, "(HTTP 500): An internal error"),
        answer("500-accepted", BROKEN, "(HTTP 500)"),
        answer("array-error", BROKEN, "(HTTP 500): An internal error"),
        answer("503", BROKEN, "(HTTP 503): The model is overloaded."),
        answer("504", BROKEN, "(HTTP 504)"),
        answer("408", BROKEN, "(HTTP 408)"),
        answer("502", BROKEN, "(HTTP 502)."),
        // Whether it was made, nobody knows.
        answer("webpage", UNREADABLE, "could not be read"),
        answer("hang", SILENT, "did not answer in time"),
        answer("reset", LOST, "connection to the provider broke"),
        answer("truncated", LOST, "connection to the provider broke"),
        // The request's fault.
        answer(
            "400 message=Unable to process input image.",
            REJECTED,
            "(HTTP 400): Unable to process input image.",
        ),
    ]
}
