use super::*;
use crate::domain::{ClaimedJob, JobType};
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
    let job = ClaimedJob {
        kind: JobType::TryOn.to_string(),
        base_prompt: None,
        images: 1,
        model: model.to_owned(),
        payload: Some(payload.to_string()),
        ..ClaimedJob::usual()
    };
    Request::parse(&job).unwrap()
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

#[test]
fn it_has_the_shape_of_the_person_unless_the_row_says_which() {
    let person = PreparedPicture {
        width: 600,
        height: 900,
        ..picture("me")
    };
    let ratio = |request: &Request| {
        let asked = render(request, &person, vec![picture("coat")], picture("face"));
        asked.aspect_ratio.map(crate::domain::AspectRatio::as_str)
    };
    let said = Request {
        aspect_ratio: Some(crate::domain::AspectRatio::COMMON[0]),
        keeps_shape: false,
        ..request(tryon::MODEL)
    };

    assert_eq!(ratio(&request(tryon::MODEL)), Some("2:3"));
    assert_eq!(ratio(&said), Some("1:1"));
}

#[test]
fn fidelity_is_left_out_and_nothing_else() {
    let asked = rendered("gpt-image-1.5");

    let again = without_fidelity(&asked);

    assert_eq!(asked.options.input_fidelity, Some(InputFidelity::High));
    assert_eq!(again.options.input_fidelity, None);
    assert_eq!(again.prompt, asked.prompt);
    assert_eq!(order(&again), order(&asked));
}
