//! What goes over the wire to OpenAI and back: the request as JSON or as a form, and as much of the
//! answer to a successful call as we read.
//!
//! Every field that has a default of the provider's own is set, since those move. Never
//! `response_format`: image models of the GPT family refuse it, and answer in base64 anyway.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::multipart::{Form, Part};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::providers::{ImageRequest, PreparedPicture};

/// What is asked for. The same fields in both forms.
#[derive(Serialize)]
pub(super) struct Fields<'a> {
    model: &'a str,
    prompt: &'a str,
    /// The ledger counts one picture for each call.
    n: u8,
    size: &'a str,
    quality: &'static str,
    output_format: &'static str,
    /// Only of calls with pictures, to a model that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_fidelity: Option<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(request: &'a ImageRequest) -> Self {
        let (model, options) = (&request.model, &request.options);
        let of_ratio = || request.aspect_ratio.map(|ratio| model.pixels(ratio));
        let named_size = request.image_size.as_deref();
        let takes_fidelity = model.takes_input_fidelity() && !request.pictures.is_empty();
        Self {
            model: model.name(),
            prompt: &request.prompt,
            n: 1,
            size: named_size.or_else(of_ratio).unwrap_or("auto"),
            quality: options.quality.as_str(),
            output_format: options.output_format.as_str(),
            input_fidelity: options
                .input_fidelity
                .filter(|_| takes_fidelity)
                .map(crate::domain::request::InputFidelity::as_str),
        }
    }
}

/// An input picture as a file.
pub(super) struct File {
    mime: &'static str,
    bytes: Vec<u8>,
}

/// `None` if one is not in base64, which ours always are.
pub(super) fn files(pictures: &[PreparedPicture]) -> Option<Vec<File>> {
    let files = pictures.iter().map(|picture| {
        let bytes = BASE64.decode(picture.base64.as_bytes()).ok()?;
        Some(File {
            mime: picture.mime,
            bytes,
        })
    });
    files.collect()
}

/// The form of an edit. Each file has a name and its true type: without them it is refused as
/// `application/octet-stream`.
pub(super) fn form(fields: &Fields<'_>, files: Vec<File>) -> Result<Form, reqwest::Error> {
    let mut form = Form::new()
        .text("model", fields.model.to_owned())
        .text("prompt", fields.prompt.to_owned())
        .text("n", fields.n.to_string())
        .text("size", fields.size.to_owned())
        .text("quality", fields.quality)
        .text("output_format", fields.output_format);
    if let Some(fidelity) = fields.input_fidelity {
        form = form.text("input_fidelity", fidelity);
    }
    for (at, file) in files.into_iter().enumerate() {
        let extension = file.mime.strip_prefix("image/").unwrap_or("bin");
        let part = Part::bytes(file.bytes)
            .file_name(format!("image-{}.{extension}", at + 1))
            .mime_str(file.mime)?;
        form = form.part("image[]", part);
    }
    Ok(form)
}

/// Answer to a successful call. It may hold fewer pictures than were asked for: none.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) data: Option<Vec<Picture<'a>>>,
    /// `{"input_tokens", "output_tokens", "input_tokens_details": {"image_tokens"}, ...}`. As it comes: a
    /// picture that is paid for is not lost because this is odd.
    #[serde(default)]
    pub(super) usage: Value,
}

#[derive(Deserialize)]
pub(super) struct Picture<'a> {
    #[serde(borrow)]
    pub(super) b64_json: Option<Cow<'a, str>>,
    /// Of gateways, instead of the picture.
    pub(super) url: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests;
