use super::*;
use crate::domain::ClaimedJob;

/// An edit of the wild kind: its source, a reference, and these wishes.
fn edit(model: &str, wishes: &serde_json::Value) -> Request {
    let mut payload = serde_json::json!({
        "sourceImageUrl": "https://a.example/1",
        "images": ["https://a.example/2"],
        "prompts": ["a lake", "a hill"],
    });
    let fields = payload.as_object_mut().unwrap();
    fields.extend(wishes.as_object().unwrap().clone());
    Request::parse(&ClaimedJob {
        kind: "image_edit".to_owned(),
        base_prompt: None,
        images: 2,
        model: model.to_owned(),
        payload: Some(payload.to_string()),
        ..ClaimedJob::usual()
    })
    .unwrap()
}

fn pictures(sides: [(u32, u32); 2]) -> Arc<[PreparedPicture]> {
    let picture = |(width, height)| PreparedPicture {
        mime: "image/jpeg",
        base64: "Zmlyc3Q=".into(),
        width,
        height,
    };
    sides.map(picture).into()
}

#[test]
fn each_image_is_called_for_with_its_own_prompt_and_the_pictures_of_all() {
    let request = edit("gemini-2.5-flash-image", &serde_json::json!({}));
    let pictures = pictures([(30, 20), (10, 10)]);

    let prompts = [1, 2].map(|index| ImageRequest::of(&request, &pictures, index).prompt);

    assert_eq!(prompts.each_ref().map(|text| &**text), ["a lake", "a hill"]);
    let call = ImageRequest::of(&request, &pictures, 2);
    assert!(Arc::ptr_eq(&call.pictures, &pictures));
}

#[test]
fn an_edit_asks_for_the_shape_of_its_first_picture_unless_it_names_one() {
    let check =
        |model: &str, wishes: serde_json::Value, ratio: Option<&str>, size: Option<&str>| {
            let request = edit(model, &wishes);
            let call = ImageRequest::of(&request, &pictures([(1200, 1000), (10, 10)]), 1);
            let asked = (
                call.aspect_ratio.map(AspectRatio::as_str),
                call.image_size.as_deref(),
            );
            assert_eq!(asked, (ratio, size), "{model} {wishes}");
        };

    check(
        "gemini-3-pro-image",
        serde_json::json!({}),
        Some("5:4"),
        None,
    );
    let large = serde_json::json!({"imageSize": "2K"});
    check("gemini-3-pro-image", large, Some("5:4"), Some("2K"));
    let named = serde_json::json!({"aspectRatio": "9:16"});
    check("gemini-3-pro-image", named.clone(), Some("9:16"), None);
    check("gpt-image-1.5", serde_json::json!({}), Some("1:1"), None);
    check(
        "gpt-image-2",
        serde_json::json!({}),
        None,
        Some("1248x1040"),
    );
    check("gpt-image-2", named, Some("9:16"), None);
    let sized = serde_json::json!({"imageSize": "1024x1536"});
    check("gpt-image-2", sized, None, Some("1024x1536"));
}
