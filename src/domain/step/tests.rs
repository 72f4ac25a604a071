use super::*;

#[test]
fn a_step_reads_back_as_it_is_written() {
    for step in [
        Step::Face,
        Step::Garment(1),
        Step::Garment(4),
        Step::Check,
        Step::Redraw,
        Step::Recheck,
    ] {
        assert_eq!(step.to_string().parse(), Ok(step));
    }
    for text in ["", "faces", "garment-0", "garment-5", "garment-"] {
        assert!(text.parse::<Step>().is_err(), "{text}");
    }
}

#[test]
fn a_call_is_for_an_image_or_for_a_step() {
    let check = |index, step, expected| assert_eq!(Target::read(index, step), expected);

    check(Some(2), None, Some(Target::Image(2)));
    check(None, Some("face"), Some(Target::Step(Step::Face)));
    check(None, Some("pose"), None);
    check(None, None, None);
}
