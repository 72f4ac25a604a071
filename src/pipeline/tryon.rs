//! The calls of a try-on, made of its pictures: what each is sent, and in which order.
//!
//! When they are made, and what becomes of their answers, is for `worker::tryon`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use crate::domain::request::{InputFidelity, Options};
use crate::domain::tryon::{self, FaceBox};
use crate::domain::{Failure, Model, Provider, Request, Tenant, hex};
use crate::images::{Cut, Decoder, PictureFormat, Upright};
use crate::providers::{ImageRequest, Manner, PreparedPicture, Question, Sampling, form};

/// Around a face, so much of it on each side: hair and chin belong to it.
const FACE_MARGIN: f64 = 0.3;
/// Close to what it was shown: a picture of this person in these garments, not a new idea.
const FAITHFUL: Sampling = Sampling {
    temperature: 0.3,
    top_p: 0.85,
    top_k: 16,
};

/// What a garment is known by: the same picture, cut out in the same way, for the same tenant.
pub fn garment_hash(tenant: &Tenant, picture: &PreparedPicture) -> String {
    let mut hash = Sha256::new();
    for part in [
        tenant.as_str(),
        tryon::EXTRACTOR,
        &tryon::EXTRACTION_VERSION.to_string(),
        &picture.base64,
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

/// Asks for a garment alone. `None`: this version has no model for it.
pub fn extraction(garment: &PreparedPicture) -> Option<ImageRequest> {
    Some(ImageRequest {
        model: Model::from_name(tryon::EXTRACTOR)?,
        prompt: tryon::EXTRACTION.into(),
        pictures: [garment.clone()].into(),
        aspect_ratio: None,
        image_size: None,
        options: Options::default(),
        manner: Manner {
            picture_only: true,
            ..Manner::default()
        },
    })
}

/// Asks where the face is.
pub fn face_question(person: &PreparedPicture) -> Question {
    Question {
        model: Model::for_words(),
        prompt: tryon::FACE_QUESTION,
        picture: person.clone(),
    }
}

/// The face close up.
pub async fn face_of(
    decoder: &Decoder,
    person: &PreparedPicture,
    face: FaceBox,
) -> Result<PreparedPicture, Failure> {
    let bytes = BASE64
        .decode(person.base64.as_bytes())
        .map_err(|error| Failure::retry("internal_error", error.to_string()))?;
    let FaceBox {
        top,
        left,
        bottom,
        right,
    } = face.widened(FACE_MARGIN);
    let cut = Cut {
        top,
        left,
        bottom,
        right,
    };
    Ok(prepared(&decoder.cut_out(bytes, cut).await?))
}

/// A picture that a provider has made, in the form in which one takes it.
pub async fn picture(
    decoder: &Decoder,
    bytes: impl AsRef<[u8]> + Send + 'static,
) -> Result<PreparedPicture, Failure> {
    Ok(prepared(&decoder.prepare_input(bytes).await?))
}

fn prepared(picture: &Upright) -> PreparedPicture {
    PreparedPicture {
        mime: PictureFormat::Jpeg.mime(),
        base64: BASE64.encode(&picture.jpeg).into(),
        width: picture.width,
        height: picture.height,
    }
}

/// The picture itself. Gemini reads each picture behind its label; models that see pictures only look at
/// the first one most closely, so that theirs is the face.
pub fn render(
    request: &Request,
    person: &PreparedPicture,
    garments: Vec<PreparedPicture>,
    face: PreparedPicture,
) -> ImageRequest {
    let garments = garments.into_iter().zip(tryon::GARMENT_LABELS);
    let mut parts = vec![(person.clone(), tryon::PERSON_LABEL)];
    parts.extend(garments);
    let prompt = request.prompts.of(1);
    let (prompt, labels) = match request.model.provider() {
        Provider::Gemini => {
            parts.push((face, tryon::FACE_LABEL));
            let labels: Arc<[&str]> = parts.iter().map(|(_, label)| *label).collect();
            (Arc::clone(prompt), Some(labels))
        }
        Provider::OpenAi => {
            parts.insert(0, (face, tryon::FACE_LABEL));
            (numbered(&parts, prompt).into(), None)
        }
    };
    let fidelity = request.options.input_fidelity;
    let (aspect_ratio, image_size) = form(request, Some(person));
    ImageRequest {
        model: request.model.clone(),
        prompt,
        pictures: parts.into_iter().map(|(picture, _)| picture).collect(),
        aspect_ratio,
        image_size,
        options: Options {
            input_fidelity: fidelity.or(Some(InputFidelity::High)),
            ..request.options
        },
        manner: Manner {
            labels,
            sampling: Some(FAITHFUL),
            picture_only: true,
        },
    }
}

/// The same with nothing said of how closely to keep to the pictures.
pub fn without_fidelity(request: &ImageRequest) -> ImageRequest {
    ImageRequest {
        options: Options {
            input_fidelity: None,
            ..request.options
        },
        ..request.clone()
    }
}

/// Says in the prompt what each picture is.
fn numbered(parts: &[(PreparedPicture, &str)], prompt: &str) -> String {
    let mut words: Vec<String> = (1..)
        .zip(parts)
        .map(|(number, (_, label))| format!("Picture {number}: {}.", label.trim_end_matches(':')))
        .collect();
    words.push(prompt.to_owned());
    words.join(" ")
}

#[cfg(test)]
mod tests;
