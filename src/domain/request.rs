//! What a row asks for, once it is known to make sense.
//!
//! Apps insert rows without asking us, so nothing in them is trusted. Parsing either gives a
//! request that can be worked or a sentence for the person who wrote the row; it never stops the
//! worker.

use serde_json::Value;

use super::{ClaimedJob, Failure, Model, Provider};
pub use options::{InputFidelity, Options, OutputFormat, Quality};
pub use ratio::AspectRatio;

mod options;
mod ratio;
mod tryon;

/// The types of job that have a name, whether this version works them or not.
pub const TYPES: [&str; 4] = [
    "photo_generation",
    "image_generation",
    "image_edit",
    "tryon",
];
/// Most images of one job.
pub const MAX_IMAGES: i32 = 100;
/// Longest prompt, in characters. Gemini takes far more tokens; a longer text is a mistake.
const MAX_PROMPT_CHARS: usize = 32_000;

/// A job that can be worked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The whole text of the prompt, the aspect ratio in words included.
    pub prompt: String,
    /// Input pictures in the order of the call.
    pub pictures: Vec<Picture>,
    /// 1 to [`MAX_IMAGES`].
    pub images: i32,
    pub aspect_ratio: Option<AspectRatio>,
    /// One of the model's named sizes.
    pub image_size: Option<&'static str>,
    /// What only some models can be told.
    pub options: Options,
    pub model: Model,
}

/// Where an input picture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// A URL that a user wrote: only the guarded client may open it.
    Url(String),
    /// A file that this tenant uploaded, by name: `{sha256}.{ext}`.
    Upload(String),
}

/// Why a row cannot be worked, as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequestError(String);

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::never("invalid_request", error.0)
    }
}

fn invalid(message: impl Into<String>) -> RequestError {
    RequestError(message.into())
}

impl Request {
    /// Reads a claimed row.
    ///
    /// # Errors
    /// The first thing that makes the row unworkable.
    pub fn parse(job: &ClaimedJob) -> Result<Self, RequestError> {
        if job.kind == super::tryon::KIND {
            return tryon::parse(job);
        }
        check_kind(&job.kind)?;
        let model = parse_model(job)?;
        let images = parse_images(job.images)?;
        let aspect_ratio = parse_ratio(job.aspect_ratio.as_deref(), &model)?;
        let payload = json(job.payload.as_deref(), "payload")?;
        Ok(Self {
            prompt: parse_prompt(job, aspect_ratio)?,
            pictures: parse_pictures(job, &model)?,
            images,
            aspect_ratio,
            image_size: parse_size(payload.as_ref(), &model)?,
            options: Options::parse(payload.as_ref(), &model)?,
            model,
        })
    }
}

/// What Postgres took for JSON and we do not (a number beyond all bounds, a nesting too deep) fails
/// this row and no other.
fn json(text: Option<&str>, column: &str) -> Result<Option<Value>, RequestError> {
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|_| invalid(format!("\"{column}\" holds JSON that cannot be read.")))
}

fn check_kind(kind: &str) -> Result<(), RequestError> {
    match kind {
        "photo_generation" => Ok(()),
        "image_generation" | "image_edit" => Err(invalid(format!(
            "Jobs of type \"{kind}\" are not supported by this version of safelight."
        ))),
        other => Err(invalid(format!(
            "Unknown job type \"{}\"; photo_generation is the one to use.",
            super::failure::excerpt(other)
        ))),
    }
}

fn parse_images(wanted: i64) -> Result<i32, RequestError> {
    let images = i32::try_from(wanted).ok();
    images
        .filter(|images| (1..=MAX_IMAGES).contains(images))
        .ok_or_else(|| {
            invalid(format!(
                "\"numImagesPerExample\" is {wanted}; a job makes 1 to {MAX_IMAGES} images."
            ))
        })
}

fn parse_model(job: &ClaimedJob) -> Result<Model, RequestError> {
    let named = match job.provider.as_deref().filter(|word| !word.is_empty()) {
        None => None,
        Some(word) => Some(Provider::named(word).ok_or_else(|| {
            invalid(format!(
                "Provider \"{}\" is not supported by this version of safelight; gemini and openai are.",
                super::failure::excerpt(word)
            ))
        })?),
    };
    let model = Model::from_name(&job.model).ok_or_else(|| {
        invalid(format!(
            "Unknown model \"{}\"; leave \"model\" empty for the default.",
            super::failure::excerpt(&job.model)
        ))
    })?;
    match named {
        Some(named) if named != model.provider() => Err(invalid(format!(
            "Model \"{model}\" is one of provider {}, but \"provider\" is \"{named}\"; leave one of them empty.",
            model.provider()
        ))),
        Some(_) | None => Ok(model),
    }
}

fn parse_ratio(text: Option<&str>, model: &Model) -> Result<Option<AspectRatio>, RequestError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let found = model.ratios().iter().find(|ratio| ratio.as_str() == text);
    found.copied().map(Some).ok_or_else(|| {
        let known: Vec<_> = model.ratios().iter().map(|ratio| ratio.as_str()).collect();
        invalid(format!(
            "Aspect ratio \"{}\" is not one that {model} draws: {}.",
            super::failure::excerpt(text),
            known.join(", ")
        ))
    })
}

fn parse_size(
    payload: Option<&Value>,
    model: &Model,
) -> Result<Option<&'static str>, RequestError> {
    let Some(wanted) = payload.and_then(|payload| payload.get("imageSize")) else {
        return Ok(None);
    };
    let Some(wanted) = wanted.as_str() else {
        return Err(invalid(
            "\"imageSize\" in \"payload\" must be a text such as \"2K\".",
        ));
    };
    let found = model.image_sizes().iter().find(|size| **size == wanted);
    found.copied().map(Some).ok_or_else(|| {
        let wanted = super::failure::excerpt(wanted);
        invalid(match model.image_sizes() {
            [] => {
                format!("{model} makes 1K pictures only; leave out \"imageSize\" (\"{wanted}\").")
            }
            sizes => format!(
                "Image size \"{wanted}\" is not one of {}.",
                sizes.join(", ")
            ),
        })
    })
}

/// `"basePrompt"`, then `". "` and `"exampleImagePrompt"`, then the aspect ratio in words.
fn parse_prompt(job: &ClaimedJob, ratio: Option<AspectRatio>) -> Result<String, RequestError> {
    let texts: Vec<&str> = [&job.base_prompt, &job.example_prompt]
        .into_iter()
        .flatten()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        return Err(invalid("The job has no prompt: \"basePrompt\" is empty."));
    }
    let mut prompt = texts.join(". ");
    check_length(&prompt)?;
    if let Some(ratio) = ratio {
        let stop = if prompt.ends_with(['.', '!', '?']) {
            ""
        } else {
            "."
        };
        prompt = format!("{prompt}{stop} {}", ratio.in_words());
    }
    Ok(prompt)
}

fn check_length(prompt: &str) -> Result<(), RequestError> {
    let length = prompt.chars().count();
    if length > MAX_PROMPT_CHARS {
        return Err(invalid(format!(
            "The prompt has {length} characters; at most {MAX_PROMPT_CHARS} are taken."
        )));
    }
    Ok(())
}

/// Training images as given, the example image last.
fn parse_pictures(job: &ClaimedJob, model: &Model) -> Result<Vec<Picture>, RequestError> {
    let mut pictures = match json(job.training_urls.as_deref(), "trainingImageUrls")? {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(urls)) => urls
            .iter()
            .map(|url| match url.as_str() {
                Some(url) => Picture::parse(url, "trainingImageUrls"),
                None => Err(invalid(
                    "\"trainingImageUrls\" holds something that is not a text.",
                )),
            })
            .collect::<Result<_, _>>()?,
        Some(_) => {
            return Err(invalid(
                "\"trainingImageUrls\" must be a JSON array of URLs.",
            ));
        }
    };
    if let Some(url) = job
        .example_url
        .as_deref()
        .filter(|url| !url.trim().is_empty())
    {
        pictures.push(Picture::parse(url, "exampleImageUrl")?);
    }
    if pictures.len() > model.max_inputs() {
        return Err(invalid(format!(
            "The job has {} input images; {model} takes at most {}.",
            pictures.len(),
            model.max_inputs()
        )));
    }
    Ok(pictures)
}

impl Picture {
    /// `upload:{sha256}.{ext}` or a URL. Whether the URL may be opened is the fetcher's to say.
    fn parse(text: &str, column: &str) -> Result<Self, RequestError> {
        let text = text.trim();
        let Some(name) = text.strip_prefix("upload:") else {
            return Ok(Self::Url(text.to_owned()));
        };
        let is_name = name.split_once('.').is_some_and(|(hash, extension)| {
            hash.len() == 64
                && hash
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                && matches!(extension, "jpg" | "png" | "webp")
        });
        if is_name {
            Ok(Self::Upload(name.to_owned()))
        } else {
            Err(invalid(format!(
                "\"{column}\" names an upload that cannot exist: an upload is \"upload:\", 64 hex digits and .jpg, .png or .webp."
            )))
        }
    }
}

#[cfg(test)]
mod tests;
