//! From a sheet of colours to a photograph: vignette, enlargement, film grain, eight bits.

use image::{DynamicImage, RgbImage};

use super::canvas::{Canvas, length};

/// How much darker the picture is at its edges; twice that in the corners.
const VIGNETTE: f32 = 0.17;
/// Half of the grain's range, in 1/256 of a step of eight bits: 7 steps look like fast film.
const GRAIN: u64 = 7 * 256;
/// White before the grain is added, in 1/16 of a step: the most that grain cannot push over 255.
const WHITE: f32 = (255.0 - 14.0) * 16.0;
/// Entries of the grain table; a power of two, larger than a row so that no pattern shows.
const GRAIN_TABLE: usize = 8192;

impl Canvas {
    /// The finished photograph, twice as wide and high: vignette, then enlarged smoothly, then
    /// grain. The grain comes last, so that it is as fine as the large picture; the strokes
    /// before it had only a quarter of the pixels to cover.
    pub(super) fn develop(self, rng: &mut fastrand::Rng) -> DynamicImage {
        let film = self.exposed();
        let grain: Vec<u64> = (0..GRAIN_TABLE)
            .map(|_| (rng.u64(0..=GRAIN) + rng.u64(0..=GRAIN)) * 0x0001_0001_0001)
            .collect();
        let (width, height) = (self.width, self.height);
        let mut bytes = Vec::with_capacity(film.len() * 12);
        for y in 0..height * 2 {
            // Odd rows lean on the row below, even ones on the row above.
            let own = y / 2;
            let other = if y % 2 == 1 {
                (own + 1).min(height - 1)
            } else {
                own.saturating_sub(1)
            };
            let own = &film[own * width..][..width];
            let other = &film[other * width..][..width];
            let row: Vec<u64> = own
                .iter()
                .zip(other)
                .map(|(own, other)| own * 3 + other)
                .collect();
            let at = rng.usize(0..GRAIN_TABLE - width * 2);
            enlarge_row(&row, &grain[at..at + width * 2], &mut bytes);
        }
        sheet(width * 2, height * 2, bytes)
    }

    /// Every pixel, darkened towards the corners, as three lanes of 16 bits in one number: the
    /// enlargement then costs one multiplication per pixel instead of three, which an
    /// unoptimised build notices. A lane holds 8 bits and 4 of fraction.
    fn exposed(&self) -> Vec<u64> {
        let fade = |at: usize, count: usize| {
            let away = ((length(at) + 0.5) / length(count) * 2.0 - 1.0).abs();
            1.0 - VIGNETTE * away * away * away
        };
        let across: Vec<f32> = (0..self.width).map(|x| fade(x, self.width)).collect();
        let mut film = Vec::with_capacity(self.pixels.len());
        for (y, row) in self.pixels.chunks_exact(self.width).enumerate() {
            let down = fade(y, self.height) * WHITE;
            for (pixel, across) in row.iter().zip(&across) {
                let light = down * across;
                film.push(lanes(pixel[0] * light, pixel[1] * light, pixel[2] * light));
            }
        }
        film
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates at 0, the min keeps the lane below its neighbour"
)]
fn lanes(red: f32, green: f32, blue: f32) -> u64 {
    (red.min(WHITE) as u64) | (green.min(WHITE) as u64) << 16 | (blue.min(WHITE) as u64) << 32
}

/// Two pixels for each one: three quarters of its own colour, one of the neighbour on that side.
/// After both enlargements a lane is 16 times what it was, so its high byte is the channel.
fn enlarge_row(row: &[u64], grain: &[u64], bytes: &mut Vec<u8>) {
    let mut left = row[0];
    let rights = row.iter().skip(1).chain(row.last());
    for ((&own, right), grain) in row.iter().zip(rights).zip(grain.chunks_exact(2)) {
        let first = (own * 3 + left + grain[0]).to_le_bytes();
        let second = (own * 3 + right + grain[1]).to_le_bytes();
        bytes.extend_from_slice(&[
            first[1], first[3], first[5], second[1], second[3], second[5],
        ]);
        left = own;
    }
}

/// The bytes as an image; they always fit, as one row after the other was pushed.
fn sheet(width: usize, height: usize, bytes: Vec<u8>) -> DynamicImage {
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let image = RgbImage::from_raw(side(width), side(height), bytes);
    DynamicImage::ImageRgb8(image.unwrap_or_default())
}
