//! A whole answer with status 200: the pictures in it, and what each provider writes around them.

use axum::body::Bytes;

use super::Pictures;
use super::course::Answer;
use super::gemini::answer::{Envelope, Finish, picture_part, text_part, thought};
use super::log::CallRecord;
use super::openai;
use super::picture::{self, Format, Size};
use super::slot::{SLOT, bind, in_base64};
use super::wire::{Ask, Wire};

/// Drafts are drawn as calls far away from those that anybody makes.
const DRAFTS: u32 = 1000;
/// What is answered to a question, which is always where a face is ...
const FACE: &str = r#"{"box_2d": [120, 380, 340, 610], "confidence": 0.97}"#;
/// ... and what is not an answer to it.
const WHOLE: &str = r#"{"box_2d": [0, 0, 1000, 1000], "confidence": 0.2}"#;
const NO_JSON: &str = "The person stands in front of a wall and smiles.";
const NOT_DRAWN: &str = "I cannot draw that, but I can describe it to you.";

/// A call that is billed, and what it asks for.
pub(super) struct Work {
    pub(super) record: CallRecord,
    /// The prompt without markers.
    pub(super) subject: String,
    pub(super) wire: Wire,
    pub(super) ask: Ask,
}

/// The body of an answer with status 200, made on a thread of its own: drawing takes a while.
pub(super) async fn compose(pictures: Pictures, answer: Answer, work: Work) -> Bytes {
    let size = pictures.size(work.ask.size);
    let work = tokio::task::spawn_blocking(move || {
        let Work {
            record,
            subject,
            wire,
            ask,
        } = work;
        let answer = if ask.question {
            in_words(answer)
        } else {
            answer
        };
        let pictures = draw(&answer, &subject, record.n, size, ask.format);
        let text = match wire {
            Wire::Gemini => {
                let envelope = Envelope {
                    model: &record.model,
                    response_id: &record.response_id,
                    prompt: &record.prompt,
                    images_in: record.images_in,
                };
                write(&answer, &envelope, ask.words)
            }
            Wire::OpenAi => {
                // It shows no drafts.
                let slots = pictures.last().map(|_| SLOT.into());
                let (prompt, images_in) = (&record.prompt, record.images_in);
                let slots = slots.as_slice();
                openai::answer::envelope(prompt, images_in, ask.size, ask.format, slots)
            }
        };
        let shown = match wire {
            Wire::Gemini => pictures.as_slice(),
            Wire::OpenAi => &pictures[pictures.len().saturating_sub(1)..],
        };
        bind(&text, shown)
    });
    // Drawing does not fail; an empty body would show it if it did.
    Bytes::from(work.await.unwrap_or_default())
}

/// What is drawn for others is said to whoever has asked a question: where the face is.
fn in_words(answer: Answer) -> Answer {
    match answer {
        Answer::Picture
        | Answer::CutPicture
        | Answer::CutBase64
        | Answer::WrongRatio
        | Answer::WrongMime
        | Answer::Huge
        | Answer::Thoughts
        | Answer::OnlyThought => Answer::Text(Some(FACE.to_owned())),
        Answer::Text(_)
        | Answer::BadJson
        | Answer::BadBox
        | Answer::Empty
        | Answer::Finish { .. }
        | Answer::NoContent
        | Answer::Blocked(_) => answer,
    }
}

/// The files that belong to an answer, in its order, as base64.
fn draw(answer: &Answer, subject: &str, nth: u32, size: Size, format: Format) -> Vec<String> {
    let file = |nth, size, format| {
        let file = picture::encode(&picture::draw(subject, nth, size), format);
        in_base64(&file.unwrap_or_default())
    };
    let asked = || file(nth, size, format);
    // Whole groups of four letters are whole bytes; one letter more is none.
    let half_of = |mut text: String, over: usize| {
        text.truncate(text.len() / 8 * 4 + over);
        vec![text]
    };
    let half = Size {
        width: size.width / 2,
        height: size.height / 2,
    };
    match answer {
        Answer::Picture | Answer::OnlyThought => vec![asked()],
        Answer::CutPicture => half_of(asked(), 0),
        Answer::CutBase64 => half_of(asked(), 1),
        Answer::WrongMime => {
            let other = match format {
                Format::Png | Format::WebP => Format::Jpeg,
                Format::Jpeg => Format::Png,
            };
            vec![file(nth, size, other)]
        }
        Answer::WrongRatio => {
            let height = size.height / 2;
            vec![file(nth, Size { height, ..size }, format)]
        }
        Answer::Huge => vec![in_base64(picture::huge())],
        Answer::Thoughts => {
            let draft = |number| file(nth + DRAFTS * number, half, Format::Png);
            vec![draft(1), draft(2), asked()]
        }
        Answer::Text(_)
        | Answer::BadJson
        | Answer::BadBox
        | Answer::Empty
        | Answer::Finish { .. }
        | Answer::NoContent
        | Answer::Blocked(_) => Vec::new(),
    }
}

fn write(answer: &Answer, envelope: &Envelope<'_>, words: bool) -> serde_json::Value {
    let part = || picture_part("image/png");
    let ends = |reason, message| Finish {
        reason,
        message,
        pictures: 0,
    };
    let drawn = |mut parts: Vec<_>| {
        if words {
            parts.insert(0, text_part("Here is the picture you asked for:"));
        }
        let finish = Finish {
            pictures: 1,
            ..ends("STOP", None)
        };
        envelope.candidate(&parts, finish)
    };
    match answer {
        Answer::Picture
        | Answer::CutPicture
        | Answer::CutBase64
        | Answer::WrongMime
        | Answer::WrongRatio
        | Answer::Huge => drawn(vec![part()]),
        Answer::Thoughts => drawn(vec![thought(part()), thought(part()), part()]),
        Answer::OnlyThought => drawn(vec![thought(part())]),
        Answer::Text(words) => {
            let words = words.as_deref().unwrap_or(NOT_DRAWN);
            envelope.candidate(&[text_part(words)], ends("STOP", None))
        }
        Answer::BadJson => envelope.candidate(&[text_part(NO_JSON)], ends("STOP", None)),
        Answer::BadBox => envelope.candidate(&[text_part(WHOLE)], ends("STOP", None)),
        Answer::Empty => envelope.empty(),
        Answer::Finish { reason, message } => {
            envelope.candidate(&[], ends(reason, message.as_deref()))
        }
        Answer::NoContent => envelope.without_content(),
        Answer::Blocked(reason) => envelope.blocked(reason),
    }
}
