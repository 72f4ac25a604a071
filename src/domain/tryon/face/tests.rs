use super::*;

fn check(answer: &str, expected: Option<(u16, u16, u16, u16)>) {
    let found = FaceBox::read(answer).map(|it| (it.top, it.left, it.bottom, it.right));
    assert_eq!(found, expected, "{answer}");
}

#[test]
fn a_box_is_read_in_every_form_that_models_use() {
    let face = Some((100, 400, 300, 600));

    check(
        r#"{"box_2d": [100, 400, 300, 600], "confidence": 0.9}"#,
        face,
    );
    check(r#"{"bbox": [100, 400, 300, 600]}"#, face);
    check(
        r#"{"face_box": {"ymin": 100, "xmin": 400, "ymax": 300, "xmax": 600}}"#,
        face,
    );
    check(
        r#"{"top": 100, "left": 400, "bottom": 300, "right": 600}"#,
        face,
    );
    check(
        r#"{"face": {"x": 400, "y": 100, "width": 200, "height": 200}}"#,
        face,
    );
    check(
        r#"[{"label": "face", "box_2d": [100, 400, 300, 600]}]"#,
        face,
    );
    check("[100, 400, 300, 600]", face);
    check(
        r#"{"faces": [{"box_2d": ["100", "400", "300", "600"]}]}"#,
        face,
    );
    check("```json\n{\"box_2d\": [100, 400, 300, 600]}\n```", face);
    check(
        "Here it is: {\"box_2d\": [100, 400, 300, 600]} I hope it helps.",
        face,
    );
    check(r#"{"box_2d": [0.1, 0.4, 0.3, 0.6]}"#, face);
    check(r#"{"box_2d": [300, 600, 100, 400]}"#, face);
}

#[test]
fn an_answer_that_was_cut_off_holds_its_box_if_that_is_whole() {
    let face = Some((100, 400, 300, 600));

    check(r#"{"box_2d": [100, 400, 300, 600], "confi"#, face);
    check("```json\n[{\"box_2d\": [100, 400, 300, 600]", face);
    check(r#"{"box_2d": [100, 400, 300, 60"#, None);
    check(r#"{"box_2d": [100, 400"#, None);
}

#[test]
fn what_no_face_has_is_no_box() {
    check(r#"{"box_2d": [0, 0, 1000, 1000]}"#, None);
    check(r#"{"box_2d": [0, 0, 950, 500]}"#, None);
    check(r#"{"box_2d": [100, 100, 120, 300]}"#, None);
    check(
        r#"{"box_2d": [20, 20, 920, 920]}"#,
        Some((20, 20, 920, 920)),
    );
    check(r#"{"box_2d": [0, 0, 900, 920]}"#, None);
    check(r#"{"box_2d": [-50, 400, 300, 600]}"#, None);
    check(r#"{"box_2d": [100, 400, 3000, 600]}"#, None);
    check(r#"{"box_2d": [100, 400, 300]}"#, None);
    check(r#"{"face": null}"#, None);
    check("I cannot see a face.", None);
    check("", None);
    check(&"[".repeat(5000), None);
}

#[test]
fn a_box_reads_back_and_the_usual_one_is_plausible() {
    assert_eq!(
        FaceBox::read(&FaceBox::USUAL.to_json()),
        Some(FaceBox::USUAL)
    );
}

#[test]
fn a_box_is_widened_within_the_picture() {
    let wide = FaceBox {
        top: 20,
        left: 400,
        bottom: 220,
        right: 600,
    }
    .widened(0.3);

    assert_eq!(
        (wide.top, wide.left, wide.bottom, wide.right),
        (0, 340, 280, 660)
    );
}
