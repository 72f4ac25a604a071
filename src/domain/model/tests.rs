use super::*;

#[test]
fn families_are_recognised_by_name() {
    let pace = |name| Model::from_name(name).map(|model| model.pace().concurrent);

    assert_eq!(pace("gemini-2.5-flash-image"), Some(4));
    assert_eq!(pace("gemini-3-pro-image-preview"), Some(2));
    assert_eq!(pace("gemini-4-pro-image"), Some(2));
    assert_eq!(pace("gemini-3.1-flash-lite-image"), Some(4));
    assert_eq!(pace("gpt-image-1.5"), Some(4));
    assert_eq!(pace("gpt-5"), None);
    assert_eq!(pace("dall-e-3"), None);
    assert_eq!(pace("gemini-nano"), None);
    assert_eq!(pace(""), None);
}

#[test]
fn no_row_may_name_the_model_that_answers_in_words() {
    assert_eq!(Model::from_name(TEXT_MODEL), None);
    assert_eq!(Model::for_words().provider(), Provider::Gemini);
    assert_eq!(Provider::Gemini.text_model(), Some(TEXT_MODEL));
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
fn every_known_model_is_recognised_as_its_providers() {
    for provider in Provider::ALL {
        assert!(provider.known_models().contains(&provider.default_model()));
        for name in provider.known_models() {
            let model = Model::from_name(name).map(|model| model.provider());
            assert_eq!(model, Some(provider), "{name}");
        }
        assert_eq!(Provider::named(provider.as_str()), Some(provider));
    }
    assert_eq!(Provider::named("OpenAI"), None);
}

#[test]
fn only_two_of_openais_models_take_input_fidelity() {
    let faithful = |name| Model::from_name(name).map(|model| model.takes_input_fidelity());

    assert_eq!(faithful("gpt-image-1"), Some(true));
    assert_eq!(faithful("gpt-image-1-2025-04-23"), Some(true));
    assert_eq!(faithful("gpt-image-1.5"), Some(true));
    assert_eq!(faithful("gpt-image-1-mini"), Some(false));
    assert_eq!(faithful("gpt-image-2"), Some(false));
    assert_eq!(faithful("gpt-image-3"), Some(false));
    assert_eq!(faithful("chatgpt-image-latest"), Some(false));
    assert_eq!(faithful("gemini-3-pro-image"), Some(false));
}

#[test]
fn a_ratio_becomes_the_nearest_pixels_that_the_model_draws() {
    let check = |name: &str, wanted: &str, expected: &str| {
        let model = Model::from_name(name).unwrap();
        let ratio = AspectRatio::ALL
            .into_iter()
            .find(|it| it.as_str() == wanted);
        assert_eq!(model.pixels(ratio.unwrap()), expected, "{name} {wanted}");
    };

    check("gpt-image-1.5", "1:1", "1024x1024");
    check("gpt-image-1.5", "2:3", "1024x1536");
    check("gpt-image-1.5", "9:16", "1024x1536");
    check("gpt-image-1.5", "3:4", "1024x1536");
    check("gpt-image-1.5", "4:5", "1024x1536");
    check("gpt-image-1.5", "5:4", "1536x1024");
    check("gpt-image-1.5", "21:9", "1536x1024");
    check("gpt-image-2", "9:16", "864x1536");
    check("gpt-image-2", "21:9", "1568x672");
    for ratio in AspectRatio::COMMON {
        let pixels = ratio.exact_pixels();
        let (width, height) = pixels.split_once('x').unwrap();
        let (width, height): (u32, u32) = (width.parse().unwrap(), height.parse().unwrap());
        assert_eq!((width % 16, height % 16), (0, 0), "{pixels}");
        assert_eq!(ratio.as_str(), named(width, height), "{pixels}");
    }
}

/// The ratio as it is written, 21:9 not being reduced.
fn named(width: u32, height: u32) -> String {
    let divisor = (1..=width)
        .rev()
        .find(|n| width.is_multiple_of(*n) && height.is_multiple_of(*n));
    let divisor = divisor.unwrap_or(1);
    match (width / divisor, height / divisor) {
        (7, 3) => "21:9".to_owned(),
        (width, height) => format!("{width}:{height}"),
    }
}
