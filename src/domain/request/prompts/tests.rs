use super::*;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn one_text_is_for_all_images_and_several_are_one_for_each() {
    let one = Prompts::new(texts(&["a lake"]), None).unwrap();
    for index in [1, 2, 100] {
        assert_eq!(&**one.of(index), "a lake");
    }

    let each = Prompts::new(texts(&["a lake", "a hill", "a sea"]), None).unwrap();
    let said: Vec<&str> = (1..=3).map(|index| &**each.of(index)).collect();
    assert_eq!(said, ["a lake", "a hill", "a sea"]);
}

#[test]
fn the_ratio_is_said_in_words_in_each() {
    let ratio = Some(AspectRatio::COMMON[2]);

    let each = Prompts::new(texts(&["a lake", "a hill!"]), ratio).unwrap();

    assert_eq!(
        &**each.of(1),
        "a lake. The image has the aspect ratio 3:2 (landscape)."
    );
    assert_eq!(
        &**each.of(2),
        "a hill! The image has the aspect ratio 3:2 (landscape)."
    );
}

#[test]
fn words_of_the_ratio_that_do_not_fit_are_left_out() {
    let ratio = Some(AspectRatio::COMMON[2]);
    let long = "x".repeat(MAX_PROMPT_CHARS - 10);

    assert_eq!(&**Prompts::new(texts(&[&long]), ratio).unwrap().of(1), long);
}

#[test]
fn a_text_too_long_is_told_by_its_place() {
    let long = "x".repeat(MAX_PROMPT_CHARS + 1);

    let error = Prompts::new(texts(&["a lake", &long]), None).unwrap_err();

    assert!(
        error
            .to_string()
            .starts_with("Prompt 2 has 32001 characters")
    );
}
