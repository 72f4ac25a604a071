use super::*;

const OWN: FaceBox = FaceBox {
    top: 100,
    left: 400,
    bottom: 300,
    right: 600,
};

fn face(top: u16, left: u16, bottom: u16, right: u16) -> FaceBox {
    FaceBox {
        top,
        left,
        bottom,
        right,
    }
}

#[test]
fn a_face_that_moved_or_grew_too_far_has_drifted() {
    let check = |drawn: FaceBox, expected| {
        assert_eq!(drawn.has_drifted_from(OWN), expected, "{drawn:?}");
    };

    check(OWN, false);
    // Larger by 17 and by 19 of a hundred.
    check(face(83, 383, 317, 617), false);
    check(face(81, 381, 319, 619), true);
    check(face(119, 419, 281, 581), true);
    // A quarter of its width to the side, and a third: six parts in ten in common, and five.
    check(face(100, 450, 300, 650), false);
    check(face(100, 466, 300, 666), true);
    check(face(500, 400, 700, 600), true);
}

#[test]
fn a_large_face_that_moved_far_has_drifted_however_much_it_overlaps() {
    let own = face(100, 100, 700, 700);

    assert!(!face(160, 100, 760, 700).has_drifted_from(own));
    assert!(face(175, 100, 775, 700).overlap(own) > LEAST_OVERLAP);
    assert!(face(175, 100, 775, 700).has_drifted_from(own));
}

#[test]
fn boxes_overlap_by_what_they_have_in_common() {
    let check = |other: FaceBox, expected: f64| {
        let overlap = OWN.overlap(other);
        assert!((overlap - expected).abs() < 1e-9, "{other:?}: {overlap}");
    };

    check(OWN, 1.0);
    check(face(100, 500, 300, 700), 1.0 / 3.0);
    check(face(150, 450, 250, 550), 0.25);
    check(face(300, 400, 500, 600), 0.0);
    check(face(700, 700, 900, 900), 0.0);
}

#[test]
fn pictures_are_of_one_shape_up_to_a_tenth() {
    let check = |one, other, expected| {
        assert_eq!(have_one_shape(one, other), expected, "{one:?} {other:?}");
    };

    check((64, 96), (1696, 2528), true);
    check((3000, 4000), (896, 1200), true);
    check((1080, 1350), (1152, 1536), true);
    check((1080, 2340), (1536, 2752), false);
    check((1000, 1000), (1024, 1536), false);
    check((10, 0), (10, 10), false);
}

#[test]
fn a_second_drawing_is_begun_only_where_it_would_end_in_time() {
    let check = |elapsed, took, expected| {
        let of = Duration::from_secs;
        assert_eq!(
            may_redraw(of(elapsed), of(took)),
            expected,
            "{elapsed} {took}"
        );
    };

    check(13, 10, true);
    check(29, 10, true);
    check(30, 10, false);
    check(22, 16, true);
    check(18, 20, false);
    check(60, 50, false);
}
