use super::*;
use crate::db::jobs::NewJob;
use crate::domain::JobType;
use serde_json::json;

fn picture(content: &str) -> PreparedPicture {
    PreparedPicture {
        mime: "image/jpeg",
        base64: content.into(),
        width: 8,
        height: 8,
    }
}

fn request(model: &str) -> Request {
    let payload = json!({
        "personImage": "https://a.example/me.png",
        "garmentImages": ["https://a.example/coat.png"],
        "prompt": "By the sea.",
    });
    let job = NewJob {
        kind: Some(JobType::TryOn),
        payload: Some(payload),
        ..NewJob::default()
    };
    Request::parse(&job.as_claimed(model)).unwrap()
}

fn rendered(model: &str) -> ImageRequest {
    let garments = vec![picture("coat"), picture("hat")];
    render(&request(model), &picture("me"), garments, picture("face"))
}

fn order(request: &ImageRequest) -> Vec<&str> {
    request.pictures.iter().map(|it| &*it.base64).collect()
}

#[test]
fn gemini_gets_person_garments_and_face_each_behind_its_label() {
    let asked = rendered(tryon::MODEL);

    assert_eq!(order(&asked), ["me", "coat", "hat", "face"]);
    assert_eq!(
        asked.manner.labels.as_deref(),
        Some(
            [
                "The person:",
                "The garment:",
                "A second garment:",
                "The person's face, close up:"
            ]
            .as_slice()
        )
    );
    assert_eq!(*asked.prompt, tryon::render_prompt(Some("By the sea.")));
}

#[test]
fn openai_gets_the_face_first_and_reads_in_the_prompt_what_each_picture_is() {
    let asked = rendered("gpt-image-1.5");

    assert_eq!(order(&asked), ["face", "me", "coat", "hat"]);
    let pictures = "Picture 1: The person's face, close up. Picture 2: The person. \
                    Picture 3: The garment. Picture 4: A second garment. ";
    let wish = tryon::render_prompt(Some("By the sea."));
    assert_eq!(*asked.prompt, format!("{pictures}{wish}"));
}

#[test]
fn a_garment_is_the_tenants_own() {
    let of =
        |user: &str, content: &str| garment_hash(&Tenant::of(None, Some(user)), &picture(content));

    assert_eq!(of("7", "coat"), of("7", "coat"));
    assert_ne!(of("7", "coat"), of("8", "coat"));
    assert_ne!(of("7", "coat"), of("7", "hat"));
    assert_eq!(of("7", "coat").len(), 64);
}
