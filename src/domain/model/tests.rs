use super::*;

#[test]
fn families_are_recognised_by_name() {
    let pace = |name| Model::from_name(name).map(|model| model.pace().concurrent);

    assert_eq!(pace("gemini-2.5-flash-image"), Some(4));
    assert_eq!(pace("gemini-3-pro-image-preview"), Some(2));
    assert_eq!(pace("gemini-4-pro-image"), Some(2));
    assert_eq!(pace("gemini-3.1-flash-lite-image"), Some(4));
    assert_eq!(pace("gpt-image-1.5"), None);
    assert_eq!(pace("gemini-nano"), None);
    assert_eq!(pace(""), None);
}

#[test]
fn a_name_that_would_change_the_url_is_no_model() {
    assert_eq!(
        Model::from_name("gemini-2.5-flash-image:generateContent?key=x"),
        None
    );
    assert_eq!(Model::from_name("gemini-2.5-flash/../x"), None);
}

#[test]
fn every_known_model_is_recognised() {
    for name in KNOWN_MODELS {
        assert!(Model::from_name(name).is_some(), "{name}");
    }
}
