use super::*;
use crate::domain::Picture;

fn picture(content: &str) -> PreparedPicture {
    PreparedPicture {
        mime: "image/jpeg",
        base64: content.into(),
    }
}

fn request(model: &str) -> Request {
    Request {
        prompt: "Dress them.".to_owned(),
        pictures: vec![Picture::Url("https://a.example/me.png".to_owned())],
        images: 1,
        aspect_ratio: None,
        image_size: None,
        options: Options::default(),
        model: Model::from_name(model).unwrap(),
    }
}

fn rendered(model: &str) -> ImageRequest {
    let garments = vec![picture("coat"), picture("hat")];
    render(request(model), picture("me"), garments, picture("face"))
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
    assert_eq!(&*asked.prompt, "Dress them.");
}

#[test]
fn openai_gets_the_face_first_and_reads_in_the_prompt_what_each_picture_is() {
    let asked = rendered("gpt-image-1.5");

    assert_eq!(order(&asked), ["face", "me", "coat", "hat"]);
    assert_eq!(
        &*asked.prompt,
        "Picture 1: The person's face, close up. Picture 2: The person. Picture 3: The garment. \
         Picture 4: A second garment. Dress them."
    );
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
