//! Gemini's wire format, from the provider's side: reading a request as strictly as Gemini does.
//!
//! Shares nothing with the real client: a field that one of the two misspells must not be
//! misspelled by the other. Unknown fields are refused, as Gemini refuses them.

use std::collections::HashMap;
use std::io::Cursor;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::picture::{Format, Size};
use super::wire::{Ask, ErrorAnswer, Reading, Wire};
use answer::ApiError;
use model::Model;

pub(super) mod answer;
mod model;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    #[serde(default)]
    contents: Vec<Content>,
    #[serde(default, alias = "system_instruction", rename = "systemInstruction")]
    _system_instruction: Option<Content>,
    #[serde(default, alias = "safety_settings", rename = "safetySettings")]
    _safety_settings: Option<Vec<SafetySetting>>,
    #[serde(default, alias = "generation_config")]
    generation_config: GenerationConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SafetySetting {
    #[serde(rename = "category")]
    _category: String,
    #[serde(rename = "threshold")]
    _threshold: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    role: Option<String>,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Part {
    text: Option<String>,
    #[serde(alias = "inline_data")]
    inline_data: Option<InlineData>,
    #[serde(alias = "file_data")]
    file_data: Option<FileData>,
    #[serde(default, rename = "thought")]
    _thought: bool,
    #[serde(default, rename = "thoughtSignature")]
    _thought_signature: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InlineData {
    #[serde(alias = "mime_type")]
    mime_type: String,
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileData {
    #[serde(default, rename = "mimeType", alias = "mime_type")]
    _mime_type: Option<String>,
    #[serde(alias = "file_uri")]
    file_uri: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct GenerationConfig {
    #[serde(alias = "response_modalities")]
    response_modalities: Vec<String>,
    #[serde(alias = "image_config")]
    image_config: ImageConfig,
    #[serde(alias = "response_mime_type")]
    response_mime_type: Option<String>,
    #[serde(rename = "temperature")]
    _temperature: Option<f64>,
    #[serde(rename = "topP", alias = "top_p")]
    _top_p: Option<f64>,
    #[serde(rename = "topK", alias = "top_k")]
    _top_k: Option<f64>,
    #[serde(rename = "seed")]
    _seed: Option<i64>,
    #[serde(rename = "candidateCount", alias = "candidate_count")]
    _candidate_count: Option<u32>,
    #[serde(rename = "maxOutputTokens", alias = "max_output_tokens")]
    _max_output_tokens: Option<u32>,
    #[serde(rename = "thinkingConfig", alias = "thinking_config")]
    _thinking_config: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct ImageConfig {
    #[serde(alias = "aspect_ratio")]
    aspect_ratio: Option<String>,
    #[serde(alias = "image_size")]
    image_size: Option<String>,
}

/// Reads a call of `POST /v1beta/models/{target}`; `accounts` maps keys to accounts.
pub(super) fn read(
    accounts: &HashMap<String, String>,
    target: &str,
    headers: &HeaderMap,
    body: Result<&[u8], String>,
) -> Reading {
    let (model, method) = target.split_once(':').unwrap_or((target, ""));
    let account = account(accounts, headers);
    let mut reading = Reading {
        wire: Wire::Gemini,
        account: account.cloned().unwrap_or_default(),
        model: model.to_owned(),
        prompt: String::new(),
        images_in: 0,
        ask: Err(ApiError::bad_key().into()),
    };
    // The body is read first, so that the log knows what a refused call was about.
    let body = body.map_err(ApiError::invalid).and_then(|body| {
        serde_json::from_slice::<Body>(body)
            .map_err(|error| ApiError::invalid(format!("Invalid JSON payload received. {error}")))
    });
    if let Ok(body) = &body {
        let parts = || body.contents.iter().flat_map(|content| &content.parts);
        let texts: Vec<&str> = parts().filter_map(|part| part.text.as_deref()).collect();
        reading.prompt = texts.join("\n");
        let images = parts().filter(|part| part.inline_data.is_some() || part.file_data.is_some());
        reading.images_in = u32::try_from(images.count()).unwrap_or(u32::MAX);
    }
    if account.is_some() {
        reading.ask = check(model, method, body).map_err(ErrorAnswer::from);
    }
    reading
}

fn account<'a>(accounts: &'a HashMap<String, String>, headers: &HeaderMap) -> Option<&'a String> {
    let key = headers.get("x-goog-api-key")?.to_str().ok()?;
    accounts.get(key)
}

/// Answers `GET /v1beta/models/{model}`, with some of the fields that Gemini's answer has.
pub(super) fn describe(
    accounts: &HashMap<String, String>,
    model: &str,
    headers: &HeaderMap,
) -> Result<Value, ErrorAnswer> {
    account(accounts, headers).ok_or_else(ApiError::bad_key)?;
    if Model::named(model).is_none() && !model::reads(model) {
        return Err(ApiError::unknown_model(model, "getModel").into());
    }
    Ok(json!({
        "name": format!("models/{model}"),
        "version": "001",
        "displayName": model,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }))
}

fn check(model: &str, method: &str, body: Result<Body, ApiError>) -> Result<Ask, ApiError> {
    let known = Model::named(model).filter(|_| method == "generateContent");
    let reads = model::reads(model) && method == "generateContent";
    if known.is_none() && !reads {
        return Err(ApiError::unknown_model(model, method));
    }
    let body = body?;
    if body.contents.iter().all(|content| content.parts.is_empty()) {
        return Err(ApiError::invalid(
            "* GenerateContentRequest.contents: contents is not specified",
        ));
    }
    for role in body
        .contents
        .iter()
        .filter_map(|content| content.role.as_deref())
    {
        if !matches!(role, "user" | "model") {
            return Err(ApiError::invalid("Please use a valid role: user, model."));
        }
    }
    let mut input = None;
    for part in body.contents.iter().flat_map(|content| &content.parts) {
        input = check_part(part)?.or(input);
    }
    let config = &body.generation_config;
    let Some(known) = known else {
        return check_question(model, config);
    };
    if config.response_mime_type.is_some() {
        return Err(ApiError::invalid(format!(
            "JSON mode is not enabled for models/{model}"
        )));
    }
    let modalities = &config.response_modalities;
    if !modalities
        .iter()
        .all(|word| matches!(word.as_str(), "TEXT" | "IMAGE"))
    {
        return Err(ApiError::invalid(
            "Invalid value at 'generation_config.response_modalities'",
        ));
    }
    if !modalities.is_empty() && !modalities.iter().any(|word| word == "IMAGE") {
        return Err(ApiError::invalid(format!(
            "The requested combination of response modalities (TEXT) is not supported by the model. models/{model} accepts: IMAGE; TEXT, IMAGE"
        )));
    }
    let wanted = &config.image_config;
    Ok(Ask {
        size: known.size(
            wanted.aspect_ratio.as_deref(),
            wanted.image_size.as_deref(),
            input,
        )?,
        format: Format::Png,
        words: modalities.len() != 1,
        question: false,
        fidelity: false,
    })
}

/// Of a model that answers in words.
fn check_question(model: &str, config: &GenerationConfig) -> Result<Ask, ApiError> {
    if config.response_modalities.iter().any(|word| word != "TEXT") {
        return Err(ApiError::invalid(format!(
            "The requested combination of response modalities is not supported by the model. models/{model} accepts: TEXT"
        )));
    }
    let kind = config.response_mime_type.as_deref();
    if !matches!(kind, None | Some("text/plain" | "application/json")) {
        return Err(ApiError::invalid(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, `application/json`",
        ));
    }
    Ok(Ask {
        size: Size {
            width: 1,
            height: 1,
        },
        format: Format::Png,
        words: true,
        question: true,
        fidelity: false,
    })
}

/// The size of an inline picture, if it can be told.
fn check_part(part: &Part) -> Result<Option<Size>, ApiError> {
    let fields = [
        part.text.is_some(),
        part.inline_data.is_some(),
        part.file_data.is_some(),
    ];
    if fields.into_iter().filter(|set| *set).count() != 1 {
        return Err(ApiError::invalid(
            "* GenerateContentRequest.contents.parts: exactly one of text, inlineData and fileData must be set",
        ));
    }
    if part
        .file_data
        .as_ref()
        .is_some_and(|file| file.file_uri.is_empty())
    {
        return Err(ApiError::invalid("* fileData.fileUri: must not be empty"));
    }
    part.inline_data.as_ref().map_or(Ok(None), check_inline)
}

fn check_inline(inline: &InlineData) -> Result<Option<Size>, ApiError> {
    let mime = inline.mime_type.as_str();
    if !matches!(
        mime,
        "image/png" | "image/jpeg" | "image/webp" | "image/heic" | "image/heif"
    ) {
        return Err(ApiError::invalid(format!("Unsupported MIME type: {mime}")));
    }
    let bytes = STANDARD.decode(&inline.data).map_err(|error| {
        ApiError::invalid(format!("Invalid value at 'contents.parts.inline_data.data' (TYPE_BYTES), Base64 decoding failed: {error}"))
    })?;
    if true_mime(&bytes) != Some(mime)
        && !(mime == "image/heif" && true_mime(&bytes) == Some("image/heic"))
    {
        return Err(ApiError::invalid(
            "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        ));
    }
    let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let sides = reader.ok().and_then(|reader| reader.into_dimensions().ok());
    Ok(sides.map(|(width, height)| Size { width, height }))
}

/// The type that the bytes themselves show.
fn true_mime(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("image/heic"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
