use super::*;

const SIZE: Size = Size {
    width: 96,
    height: 168,
};

fn bytes(prompt: &str, nth: u32) -> Vec<u8> {
    draw(prompt, nth, SIZE).into_bytes()
}

#[test]
fn the_same_call_draws_the_same_picture_and_no_other_does() {
    let first = bytes("a red bicycle", 1);

    assert_eq!(first, bytes("a red bicycle", 1));
    assert_ne!(first, bytes("a red bicycle", 2));
    assert_ne!(first, bytes("a blue bicycle", 1));
}

#[test]
fn every_place_and_hour_fits_every_shape_of_sheet() {
    let shapes = [(1, 1), (2, 2), (64, 512), (512, 64), (101, 67)];
    for (place, _) in PLACES {
        for (width, height) in shapes {
            for nth in 1..=4 {
                let picture = draw(&format!("{place:?} snow"), nth, Size { width, height });

                assert_eq!(
                    (picture.width(), picture.height()),
                    (width, height),
                    "{place:?}"
                );
            }
        }
    }
}

#[test]
fn the_prompt_chooses_place_hour_and_accent() {
    let check = |prompt: &str, place: Option<Place>, hour: Option<Hour>, snow: bool| {
        let arranged = arrange(prompt, 1, &mut Rng::with_seed(1), &mut Rng::with_seed(2));
        assert!(place.is_none_or(|place| place == arranged.0), "{prompt}");
        assert!(
            hour.is_none_or(|hour| hour == arranged.1.light.hour),
            "{prompt}"
        );
        assert_eq!(arranged.1.snow, snow, "{prompt}");
    };

    check(
        "A red boat at NIGHT, in the sea.",
        Some(Place::Sea),
        Some(Hour::Night),
        false,
    );
    check(
        "snow over the mountains",
        Some(Place::Mountains),
        None,
        true,
    );
    check(
        "a birch forest at dawn",
        Some(Place::Forest),
        Some(Hour::Dawn),
        false,
    );
    check("dunes", Some(Place::Desert), None, false);
    check("season of the cityless", None, None, false);
}

#[test]
fn four_pictures_of_a_job_are_taken_at_four_hours() {
    let hour = |nth| {
        arrange(
            "a quiet place",
            nth,
            &mut Rng::with_seed(9),
            &mut Rng::with_seed(1),
        )
        .1
        .light
        .hour
    };
    let series: Vec<Hour> = (1..=4).map(hour).collect();

    assert!(
        Hour::ALL.iter().all(|hour| series.contains(hour)),
        "{series:?}"
    );
}

#[test]
fn files_decode_to_what_they_say() {
    let picture = draw("a lake", 1, SIZE);
    let check = |format, expected| {
        let file = encode(&picture, format).unwrap();
        assert_eq!(image::guess_format(&file).unwrap(), expected);
        let decoded = image::load_from_memory(&file).unwrap();
        assert_eq!(
            (decoded.width(), decoded.height()),
            (SIZE.width, SIZE.height)
        );
    };

    check(Format::Png, image::ImageFormat::Png);
    check(Format::Jpeg, image::ImageFormat::Jpeg);
}
