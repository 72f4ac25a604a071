use super::*;

/// A shape in one word.
fn told(model: &str, width: u32, height: u32) -> String {
    match Model::from_name(model).unwrap().shape_like(width, height) {
        Shape::Ratio(ratio) => ratio.to_string(),
        Shape::Pixels(pixels) => pixels,
    }
}

#[test]
fn a_picture_leads_to_the_nearest_shape_that_the_model_draws() {
    let check = |sides: (u32, u32), flash: &str, flash31: &str, gpt: &str, gpt2: &str| {
        let of = |model| told(model, sides.0, sides.1);
        assert_eq!(of("gemini-2.5-flash-image"), flash, "{sides:?}");
        assert_eq!(of("gemini-3-pro-image"), flash, "{sides:?}");
        assert_eq!(of("gemini-3.1-flash-image"), flash31, "{sides:?}");
        assert_eq!(of("gpt-image-1.5"), gpt, "{sides:?}");
        assert_eq!(of("gpt-image-1-mini"), gpt, "{sides:?}");
        assert_eq!(of("gpt-image-2"), gpt2, "{sides:?}");
    };

    check((1024, 1024), "1:1", "1:1", "1:1", "1:1");
    check((1, 1), "1:1", "1:1", "1:1", "1:1");
    // As cameras make them, and as our own scaling rounds them.
    check((6000, 4000), "3:2", "3:2", "3:2", "3:2");
    check((1024, 683), "3:2", "3:2", "3:2", "3:2");
    check((683, 1024), "2:3", "2:3", "2:3", "2:3");
    check((4032, 3024), "4:3", "4:3", "3:2", "4:3");
    check((3024, 4032), "3:4", "3:4", "2:3", "3:4");
    check((1920, 1080), "16:9", "16:9", "3:2", "16:9");
    check((1170, 2532), "9:16", "9:16", "2:3", "784x1680");
    // Between the square and 3:2, nearer to the square.
    check((1200, 1000), "5:4", "5:4", "1:1", "1248x1040");
    check((1100, 1000), "1:1", "1:1", "1:1", "1200x1088");
    check((2480, 3508), "2:3", "2:3", "2:3", "960x1360");
    // Longer than anybody draws, or than some do.
    check((4000, 1000), "21:9", "4:1", "3:2", "1984x672");
    check((1000, 4000), "9:16", "1:4", "2:3", "672x1984");
    check((16_384, 1), "21:9", "8:1", "3:2", "1984x672");
    check((0, 0), "1:1", "1:1", "1:1", "1:1");
}

#[test]
fn pixels_are_in_steps_within_bounds_and_as_near_as_steps_come() {
    for width in (100..4000).step_by(37) {
        for height in [100, 333, 1000, 2999] {
            let sides = (width, height);
            let text = pixels(sides);
            let (w, h) = text.split_once('x').unwrap();
            let (w, h): (u64, u64) = (w.parse().unwrap(), h.parse().unwrap());

            assert_eq!((w % STEP, h % STEP), (0, 0), "{sides:?}: {text}");
            assert!(w <= h * LONGEST && h <= w * LONGEST, "{sides:?}: {text}");
            assert!(
                (PIXELS * 9 / 10..PIXELS * 11 / 10).contains(&(w * h)),
                "{sides:?}: {text}"
            );
            if width <= height * 29 / 10 && height <= width * 29 / 10 {
                let (one, other) = (w * height, h * width);
                let off = 1000 * one.max(other) / one.min(other);
                assert!(off <= 1000 + NEAR + 3, "{sides:?}: {text} is off by {off}");
            }
        }
    }
}
