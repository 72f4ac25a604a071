//! OpenAI's wire format, from the provider's side: reading a request as strictly as OpenAI does.
//!
//! Shares nothing with the real client: a field that one of the two misspells must not be misspelled by
//! the other. Unknown fields are refused, as OpenAI refuses them; so are files without a name or with
//! another type than their bytes.

use std::collections::HashMap;
use std::io::Cursor;

use axum::extract::Multipart;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

use super::picture::{Format, Size};
use super::wire::{Ask, Complaint, ErrorAnswer, Reading, Wire};
use answer::ApiError;
use model::Model;

pub(super) mod answer;
mod model;

/// Longest prompt, in characters.
const LONGEST_PROMPT: usize = 32_000;
/// Most input pictures.
const MOST_PICTURES: usize = 16;
const QUALITIES: [&str; 4] = ["low", "medium", "high", "auto"];
/// What both routes take, beside pictures.
const FIELDS: [&str; 10] = [
    "model",
    "prompt",
    "n",
    "size",
    "quality",
    "output_format",
    "output_compression",
    "background",
    "user",
    "stream",
];

/// Which of the two routes was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Generations,
    Edits,
}

impl Route {
    /// What it takes beside [`FIELDS`].
    fn takes(self, field: &str) -> bool {
        match self {
            Self::Generations => field == "moderation",
            Self::Edits => field == "input_fidelity",
        }
    }
}

/// What a request holds, in whichever form it came.
#[derive(Default)]
pub(super) struct Sent {
    /// By name, as text.
    fields: Vec<(String, String)>,
    files: Vec<File>,
}

struct File {
    field: String,
    name: Option<String>,
    mime: Option<String>,
    bytes: Vec<u8>,
}

impl Sent {
    /// The body of a generation.
    pub(super) fn of_json(body: &[u8]) -> Result<Self, String> {
        let object: HashMap<String, Value> = serde_json::from_slice(body).map_err(|error| {
            format!("We could not parse the JSON body of your request. ({error})")
        })?;
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let fields = object.into_iter().map(|(name, value)| (name, text(value)));
        Ok(Self {
            fields: fields.collect(),
            files: Vec::new(),
        })
    }

    /// The body of an edit.
    pub(super) async fn of_form(mut form: Multipart) -> Result<Self, String> {
        let mut sent = Self::default();
        while let Some(part) = form.next_field().await.map_err(|error| error.to_string())? {
            let field = part.name().unwrap_or_default().to_owned();
            if part.file_name().is_none() && !matches!(field.as_str(), "image" | "image[]") {
                let text = part.text().await.map_err(|error| error.to_string())?;
                sent.fields.push((field, text));
                continue;
            }
            sent.files.push(File {
                field,
                name: part.file_name().map(str::to_owned),
                mime: part.content_type().map(str::to_owned),
                bytes: part
                    .bytes()
                    .await
                    .map_err(|error| error.to_string())?
                    .to_vec(),
            });
        }
        Ok(sent)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        found.next().map(|(_, text)| text.as_str())
    }
}

/// Reads a call; `accounts` maps keys to accounts.
pub(super) fn read(
    accounts: &HashMap<String, String>,
    route: Route,
    headers: &HeaderMap,
    sent: Result<Sent, String>,
) -> Reading {
    let account = account(accounts, headers);
    let mut reading = Reading {
        wire: Wire::OpenAi,
        account: account.cloned().unwrap_or_default(),
        model: String::new(),
        prompt: String::new(),
        images_in: 0,
        ask: Err(bad_key()),
    };
    // The body is read first, so that the log knows what a refused call was about.
    if let Ok(sent) = &sent {
        sent.get("model")
            .unwrap_or_default()
            .clone_into(&mut reading.model);
        sent.get("prompt")
            .unwrap_or_default()
            .clone_into(&mut reading.prompt);
        reading.images_in = u32::try_from(sent.files.len()).unwrap_or(u32::MAX);
    }
    if account.is_some() {
        let checked = sent.map_err(|why| ApiError::invalid(why, None));
        let checked = checked.and_then(|sent| check(route, &sent));
        reading.ask = checked.map_err(ErrorAnswer::from);
    }
    reading
}

fn bad_key() -> ErrorAnswer {
    Wire::OpenAi.put(&Complaint::BadKey, "", None)
}

fn account<'a>(accounts: &'a HashMap<String, String>, headers: &HeaderMap) -> Option<&'a String> {
    let credentials = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    accounts.get(credentials.strip_prefix("Bearer ")?)
}

/// Answers `GET /v1/models/{model}`.
pub(super) fn describe(
    accounts: &HashMap<String, String>,
    model: &str,
    headers: &HeaderMap,
) -> Result<Value, ErrorAnswer> {
    account(accounts, headers).ok_or_else(bad_key)?;
    if Model::named(model).is_none() {
        return Err(Wire::OpenAi.put(&Complaint::Gone, model, None));
    }
    Ok(json!({"id": model, "object": "model", "created": 1_745_000_000, "owned_by": "system"}))
}

fn check(route: Route, sent: &Sent) -> Result<Ask, ApiError> {
    for (field, _) in &sent.fields {
        if !FIELDS.contains(&field.as_str()) && !route.takes(field) {
            return Err(ApiError::unknown_parameter(field));
        }
    }
    let name = sent.get("model").unwrap_or("dall-e-2");
    let Some(model) = Model::named(name) else {
        return Err(ApiError::unknown_value("model", name));
    };
    check_prompt(sent.get("prompt"))?;
    let input = check_files(route, &sent.files)?;
    let one_of = |field, known: &[&str], usual| match sent.get(field) {
        None => Ok(usual),
        Some(wanted) if known.contains(&wanted) => Ok(wanted),
        Some(wanted) => Err(ApiError::unknown_value(field, wanted)),
    };
    one_of("quality", &QUALITIES, "auto")?;
    one_of("background", &["transparent", "opaque", "auto"], "auto")?;
    one_of("input_fidelity", &["low", "high"], "low")?;
    if sent.get("input_fidelity").is_some() && !model.takes_fidelity {
        return Err(ApiError::no_fidelity(name));
    }
    if sent.get("n").is_some_and(|n| n != "1") {
        // OpenAI draws up to ten; nobody here asks for more than one, and the log counts calls.
        return Err(ApiError::unknown_value("n", sent.get("n").unwrap_or("")));
    }
    let format = match one_of("output_format", &["png", "jpeg", "webp"], "png")? {
        "jpeg" => Format::Jpeg,
        "webp" => Format::WebP,
        _ => Format::Png,
    };
    Ok(Ask {
        size: model.size(sent.get("size").unwrap_or("auto"), input)?,
        format,
        words: false,
        question: false,
        fidelity: sent.get("input_fidelity").is_some(),
    })
}

fn check_prompt(prompt: Option<&str>) -> Result<(), ApiError> {
    match prompt {
        None | Some("") => Err(ApiError::missing("prompt")),
        Some(prompt) if prompt.chars().count() > LONGEST_PROMPT => Err(ApiError::invalid(
            format!(
                "Invalid 'prompt': string too long. Expected a string with maximum length {LONGEST_PROMPT}."
            ),
            Some("prompt"),
        )),
        Some(_) => Ok(()),
    }
}

/// The size of the last picture, if it can be told.
fn check_files(route: Route, files: &[File]) -> Result<Option<Size>, ApiError> {
    match (route, files) {
        (Route::Edits, []) => return Err(ApiError::missing("image")),
        (Route::Edits, files) if files.len() > MOST_PICTURES => {
            let why = format!("Invalid 'image': too many images. At most {MOST_PICTURES}.");
            return Err(ApiError::invalid(why, Some("image")));
        }
        (Route::Generations | Route::Edits, _) => {}
    }
    let mut input = None;
    for file in files {
        // One alone may be called `image`.
        let alone = files.len() == 1 && file.field == "image";
        if file.field != "image[]" && !alone {
            return Err(ApiError::unknown_parameter(&file.field));
        }
        let mime = file.mime.as_deref().unwrap_or("application/octet-stream");
        if file.name.is_none() || true_mime(&file.bytes) != Some(mime) {
            return Err(ApiError::unsupported_file(mime));
        }
        let reader = image::ImageReader::new(Cursor::new(&file.bytes)).with_guessed_format();
        let sides = reader.ok().and_then(|reader| reader.into_dimensions().ok());
        input = sides.map(|(width, height)| Size { width, height });
    }
    Ok(input)
}

/// The type that the bytes themselves show.
fn true_mime(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0x89, b'P', b'N', b'G']) {
        Some("image/png")
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        Some("image/jpeg")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
