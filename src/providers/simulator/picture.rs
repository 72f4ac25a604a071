//! The photographs that the simulator takes: landscapes drawn in code, pleasant to look at.
//!
//! A picture depends on nothing but the prompt, the number of the call and the size, so that a
//! test can expect it byte for byte. The prompt decides the place and the mood; the calls of one
//! prompt go through the hours of a day there, so that the four pictures of a job are a series.

use std::io::Cursor;
use std::sync::OnceLock;

use fastrand::Rng;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::imageops;
use image::{DynamicImage, ImageResult, RgbImage};
use sha2::{Digest, Sha256};

use canvas::{Canvas, Colour};
use light::{Hour, Light, MOODS};
use scenes::{Place, Scene};

mod air;
mod canvas;
mod film;
mod light;
mod scenes;
mod terrain;

/// Longest side that is drawn; larger pictures are enlarged from it.
const LARGEST_DRAWN: u32 = 1536;
/// Side of the huge picture, and how many bytes of it are drawn before they repeat.
const HUGE_SIDE: usize = 4096;
const HUGE_TILE: usize = 1 << 20;
/// Fine enough that grain survives, and what cameras call "fine".
const JPEG_QUALITY: u8 = 88;

/// Words that choose the place.
const PLACES: [(Place, &[&str]); 5] = [
    (
        Place::Sea,
        &[
            "sea", "ocean", "beach", "coast", "island", "boat", "sail", "wave", "harbour", "harbor",
        ],
    ),
    (
        Place::City,
        &[
            "city", "street", "skyline", "town", "building", "tower", "urban", "bicycle", "car",
            "taxi",
        ],
    ),
    (
        Place::Forest,
        &[
            "forest", "tree", "trees", "wood", "woods", "birch", "fox", "deer", "jungle", "garden",
        ],
    ),
    (
        Place::Desert,
        &[
            "desert", "dune", "dunes", "sand", "camel", "canyon", "savanna",
        ],
    ),
    (
        Place::Mountains,
        &[
            "mountain",
            "mountains",
            "alps",
            "peak",
            "lake",
            "cabin",
            "hill",
            "valley",
            "hiker",
        ],
    ),
];
/// Words that choose the hour; without one a series goes through all four.
const HOURS: [(Hour, &[&str]); 4] = [
    (
        Hour::Night,
        &["night", "moon", "moonlight", "stars", "midnight", "aurora"],
    ),
    (Hour::Dusk, &["dusk", "sunset", "evening", "twilight"]),
    (Hour::Dawn, &["dawn", "sunrise", "morning"]),
    (Hour::Day, &["noon", "day", "daylight", "sunny"]),
];
const SNOW: [&str; 6] = ["snow", "snowy", "winter", "ice", "frost", "christmas"];
/// Colour words: the colour of the one small thing in the picture, and the mood it goes with.
const ACCENTS: [(&str, Colour, usize); 8] = [
    ("red", [0.80, 0.16, 0.14], 0),
    ("pink", [0.92, 0.45, 0.58], 0),
    ("orange", [0.94, 0.50, 0.16], 1),
    ("yellow", [0.97, 0.80, 0.24], 1),
    ("golden", [0.93, 0.72, 0.28], 1),
    ("green", [0.24, 0.60, 0.40], 2),
    ("blue", [0.18, 0.42, 0.74], 0),
    ("purple", [0.50, 0.32, 0.68], 2),
];

/// The type that a picture truly has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Jpeg,
    WebP,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The photograph for the `nth` call (from 1) of a prompt.
pub(super) fn draw(prompt: &str, nth: u32, size: Size) -> DynamicImage {
    let own = seed(&format!("{prompt}\0{nth}"));
    let mut of_prompt = Rng::with_seed(seed(prompt));
    let mut rng = Rng::with_seed(own);
    let (place, scene) = arrange(prompt, nth, &mut of_prompt, &mut rng);
    let drawn = shrunk(size);
    let half = |side: u32| usize::try_from(side / 2).unwrap_or(1).max(1);
    let mut canvas = Canvas::new(half(drawn.width), half(drawn.height));
    scene.paint(place, &mut canvas, &mut rng);
    let picture = canvas.develop(&mut rng);
    if (picture.width(), picture.height()) == (size.width, size.height) {
        return picture;
    }
    picture.resize_exact(size.width, size.height, imageops::FilterType::Triangle)
}

/// The picture as a file.
pub(super) fn encode(picture: &DynamicImage, format: Format) -> ImageResult<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    match format {
        // Level 1 is three times as fast here as the encoder's own "fast", and no larger.
        Format::Png => picture.write_with_encoder(PngEncoder::new_with_quality(
            &mut file,
            CompressionType::Level(1),
            FilterType::Up,
        ))?,
        Format::Jpeg => {
            picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY))?;
        }
        Format::WebP => picture.write_with_encoder(WebPEncoder::new_lossless(&mut file))?,
    }
    Ok(file.into_inner())
}

/// A PNG of 4096 × 4096 noisy pixels, which takes a decoder long. Made once: it takes us long too.
pub(super) fn huge() -> &'static [u8] {
    static HUGE: OnceLock<Vec<u8>> = OnceLock::new();
    HUGE.get_or_init(|| {
        let mut rng = Rng::with_seed(4096);
        // Two bits of noise per channel cannot be copied from what came before, only decoded; a
        // tile of it repeats too late for the compressor to notice.
        let tile: Vec<u8> = (0..HUGE_TILE).map(|_| rng.u8(0..4) * 64).collect();
        let bytes = tile.repeat(HUGE_SIDE * HUGE_SIDE * 3 / HUGE_TILE);
        let side = u32::try_from(HUGE_SIDE).unwrap_or(0);
        let picture = RgbImage::from_raw(side, side, bytes).unwrap_or_default();
        encode(&DynamicImage::ImageRgb8(picture), Format::Png).unwrap_or_default()
    })
}

/// A stable number from a text; the same on every machine and in every version.
pub(super) fn seed(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The size to draw at, so that huge pictures cost little.
fn shrunk(size: Size) -> Size {
    let factor = size.width.max(size.height).div_ceil(LARGEST_DRAWN).max(1);
    Size {
        width: size.width / factor,
        height: size.height / factor,
    }
}

/// Decides what the prompt shows, and from where the nth picture of it is taken.
fn arrange(prompt: &str, nth: u32, of_prompt: &mut Rng, rng: &mut Rng) -> (Place, Scene) {
    let prompt = prompt.to_lowercase();
    let words: Vec<&str> = prompt.split(|c: char| !c.is_alphanumeric()).collect();
    let said = |list: &[&str]| list.iter().any(|word| words.contains(word));
    let turn = usize::try_from(nth.saturating_sub(1)).unwrap_or(0);
    let chance_place = Place::ALL[of_prompt.usize(0..Place::ALL.len())];
    let place = PLACES
        .iter()
        .find(|(_, list)| said(list))
        .map_or(chance_place, |(place, _)| *place);
    let first_hour = of_prompt.usize(0..Hour::ALL.len());
    let mood = of_prompt.usize(0..MOODS);
    let accent = ACCENTS.iter().find(|(word, ..)| words.contains(word));
    let mood = accent.map_or(mood, |(_, _, mood)| *mood);
    // With the hour given, the series goes through the moods instead.
    let light = match HOURS.iter().find(|(_, list)| said(list)) {
        Some((hour, _)) => Light::of(*hour, mood + turn),
        None => Light::of(Hour::ALL[(first_hour + turn) % Hour::ALL.len()], mood),
    };
    let (_, colour, _) = ACCENTS[of_prompt.usize(0..ACCENTS.len())];
    let scene = Scene {
        light,
        snow: said(&SNOW),
        accent: accent.map_or(colour, |(_, colour, _)| *colour),
        sun: 0.22 + 0.56 * rng.f32(),
    };
    (place, scene)
}

#[cfg(test)]
mod tests;
