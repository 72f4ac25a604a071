//! The `"payload"` of a row that has its wishes there, read field by field.
//!
//! Apps write it, or our own HTTP does. A field that is null or empty says nothing, and then a column that
//! has the same meaning counts (`"basePrompt"`, `"trainingImageUrls"`, `"aspectRatio"`). What is not known
//! here is the app's own. How many images it asks for is counted in `photo_generation_wanted` of the
//! database as well, which sees each row before we do.

use serde_json::{Map, Value};

use super::{MAX_IMAGES, Picture, RequestError, invalid, json, photo_generation, wishes};
use crate::domain::failure::excerpt;
use crate::domain::{AspectRatio, ClaimedJob, Model};

/// Lists of pictures, in the order in which they are sent.
const PICTURES: [&str; 3] = ["images", "productImages", "referenceImages"];
/// A prompt for each image.
const PROMPTS: &str = "prompts";
const NUM_IMAGES: &str = "numImages";

/// What a job asks for in JSON.
#[derive(Debug)]
pub(super) struct Payload {
    /// Without what says nothing.
    fields: Map<String, Value>,
    /// How the pictures are to be made: `settings`, and the same said beside it, which goes before.
    pub(super) settings: Value,
}

impl Payload {
    pub(super) fn of(job: &ClaimedJob) -> Result<Self, RequestError> {
        let fields = match json(job.payload.as_deref(), "payload")? {
            None => Map::new(),
            Some(payload) => object(payload, "\"payload\"")?,
        };
        let mut settings = match fields.get("settings") {
            None => Map::new(),
            Some(settings) => object(settings.clone(), "\"settings\" in \"payload\"")?,
        };
        for name in [
            "aspectRatio",
            "imageSize",
            "quality",
            "outputFormat",
            "inputFidelity",
        ] {
            if let Some(said) = fields.get(name) {
                settings.insert(name.to_owned(), said.clone());
            }
        }
        Ok(Self {
            fields,
            settings: Value::Object(settings),
        })
    }

    /// That of the payload, else that of the column.
    pub(super) fn aspect_ratio(
        &self,
        job: &ClaimedJob,
        model: &Model,
    ) -> Result<Option<AspectRatio>, RequestError> {
        let said = match self.settings.get("aspectRatio") {
            None => None,
            Some(Value::String(ratio)) => wishes::ratio(Some(ratio), model)?,
            Some(_) => {
                return Err(invalid(
                    "\"aspectRatio\" in \"payload\" must be a text such as \"3:2\".",
                ));
            }
        };
        match said {
            None => wishes::ratio(job.aspect_ratio.as_deref(), model),
            Some(said) => Ok(Some(said)),
        }
    }

    /// One prompt for all images, by one of these names, or one for each.
    pub(super) fn prompts(
        &self,
        names: &[&str],
        job: &ClaimedJob,
    ) -> Result<Vec<String>, RequestError> {
        let each = self.list(PROMPTS)?;
        let mut said = (!each.is_empty()).then_some(PROMPTS);
        let mut one = None;
        for name in names {
            let Some(text) = self.text(name)? else {
                continue;
            };
            if let Some(other) = said {
                return Err(invalid(format!(
                    "\"{name}\" and \"{other}\" in \"payload\" both say what to make; leave one of them out."
                )));
            }
            said = Some(name);
            one = Some(text.to_owned());
        }
        let of_column = || {
            let text = job.base_prompt.as_deref().map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        if !each.is_empty() {
            return each.iter().enumerate().map(own_prompt).collect();
        }
        one.or_else(of_column).map(|one| vec![one]).ok_or_else(|| {
            let name = names.first().unwrap_or(&PROMPTS);
            invalid(format!(
                "The job has no prompt: \"{name}\" in \"payload\" is empty."
            ))
        })
    }

    /// How many, which a prompt for each image says as well.
    pub(super) fn images(&self) -> Result<i32, RequestError> {
        let said = match self.fields.get(NUM_IMAGES) {
            None => None,
            Some(said) => Some(whole(said).ok_or_else(|| {
                invalid(format!(
                    "\"{NUM_IMAGES}\" in \"payload\" is {}; it must be a whole number from 1 to {MAX_IMAGES}.",
                    excerpt(&said.to_string())
                ))
            })?),
        };
        let prompts = self.list(PROMPTS)?.len();
        if prompts == 0 {
            return Ok(said.unwrap_or(1));
        }
        let counted = i64::try_from(prompts).ok().and_then(wishes::images);
        let counted = counted.ok_or_else(|| {
            invalid(format!(
                "\"{PROMPTS}\" in \"payload\" holds {prompts} texts; a job makes 1 to {MAX_IMAGES} images."
            ))
        })?;
        match said {
            Some(said) if said != counted => Err(invalid(format!(
                "\"{NUM_IMAGES}\" in \"payload\" is {said}, but \"{PROMPTS}\" holds {counted} texts, one for each image; leave \"{NUM_IMAGES}\" out."
            ))),
            Some(_) | None => Ok(counted),
        }
    }

    /// The lists of the payload one after the other, else that of the column.
    pub(super) fn pictures(&self, job: &ClaimedJob) -> Result<Vec<Picture>, RequestError> {
        let mut pictures = Vec::new();
        for name in PICTURES {
            let place = format!("\"{name}\" in \"payload\"");
            pictures.extend(Picture::parse_all(self.list(name)?, &place)?);
        }
        if pictures.is_empty() {
            return photo_generation::training_images(job);
        }
        Ok(pictures)
    }

    /// A picture that has a field of its own.
    pub(super) fn picture(&self, name: &str) -> Result<Option<Picture>, RequestError> {
        let text = self.text(name)?;
        text.map(|text| Picture::parse(text, &format!("\"{name}\" in \"payload\"")))
            .transpose()
    }

    fn text(&self, name: &str) -> Result<Option<&str>, RequestError> {
        match self.fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim())),
            Some(_) => Err(invalid(format!(
                "\"{name}\" in \"payload\" must be a text."
            ))),
        }
    }

    fn list(&self, name: &str) -> Result<&[Value], RequestError> {
        match self.fields.get(name) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(invalid(format!(
                "\"{name}\" in \"payload\" must be a list of texts."
            ))),
        }
    }
}

/// Without what says nothing in it. An empty list is what PHP makes of an object without fields.
fn object(value: Value, place: &str) -> Result<Map<String, Value>, RequestError> {
    match value {
        Value::Null => Ok(Map::new()),
        Value::Array(list) if list.is_empty() => Ok(Map::new()),
        Value::Object(fields) => Ok(fields
            .into_iter()
            .filter(|(_, value)| wishes::says_something(value))
            .collect()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(invalid(format!("{place} must be a JSON object.")))
        }
    }
}

fn own_prompt((at, text): (usize, &Value)) -> Result<String, RequestError> {
    let text = text.as_str().map(str::trim).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| {
        invalid(format!(
            "Number {} of \"{PROMPTS}\" in \"payload\" must be a text that is not empty.",
            at + 1
        ))
    })
}

/// Also 2.0, which is what some languages write for 2.
fn whole(said: &Value) -> Option<i32> {
    let bounds = 1..=MAX_IMAGES;
    bounds
        .into_iter()
        .find(|&images| said.as_f64() == Some(f64::from(images)))
}

#[cfg(test)]
mod tests;
