//! Outlines of land: one height per column, made of noise, trees or houses.

use fastrand::Rng;

use super::canvas::{index, length};

/// The heights of an outline, one per column, downwards from the top of the sheet.
pub(super) type Line = Vec<f32>;

/// Smooth noise from 0 to 1, a new value every `wave` columns.
pub(super) fn noise(rng: &mut Rng, width: usize, wave: f32) -> Vec<f32> {
    let start = rng.f32();
    let count = index(length(width) / wave, usize::MAX) + 3;
    let values: Vec<f32> = (0..count).map(|_| rng.f32()).collect();
    (0..width)
        .map(|x| {
            let at = length(x) / wave + start;
            let knot = index(at, count - 2);
            let share = at - length(knot);
            let share = share * share * (3.0 - 2.0 * share);
            values[knot] + (values[knot + 1] - values[knot]) * share
        })
        .collect()
}

/// Rolling hills around `base`, up to `rise` above it; each finer octave counts `rough` times
/// the one before.
pub(super) fn hills(
    rng: &mut Rng,
    width: usize,
    base: f32,
    rise: f32,
    wave: f32,
    rough: f32,
) -> Line {
    let mut line = vec![0.0; width];
    let (mut wave, mut share, mut total) = (wave, 1.0, 0.0);
    for _ in 0..6 {
        if wave < 2.0 {
            break;
        }
        for (height, noise) in line.iter_mut().zip(noise(rng, width, wave)) {
            *height += noise * share;
        }
        total += share;
        share *= rough;
        wave *= 0.47;
    }
    line.iter()
        .map(|height| base - rise * height / total)
        .collect()
}

/// Peaks: noise folded along its middle, so that the tops are sharp and the valleys wide.
pub(super) fn peaks(rng: &mut Rng, width: usize, base: f32, rise: f32, wave: f32) -> Line {
    let mut line = vec![0.0; width];
    let (mut wave, mut share) = (wave, 0.62);
    for octave in 0..6 {
        if wave < 2.0 {
            break;
        }
        for (height, noise) in line.iter_mut().zip(noise(rng, width, wave)) {
            let folded = 1.0 - (2.0 * noise - 1.0).abs();
            *height += share
                * if octave == 0 {
                    folded * folded.sqrt()
                } else {
                    folded
                };
        }
        share *= 0.42;
        wave *= 0.43;
    }
    line.iter().map(|height| base - rise * height).collect()
}

/// Plants conifers along an outline, by raising it.
pub(super) fn conifers(rng: &mut Rng, line: &mut Line, tall: f32, gap: f32) {
    let ground = line.clone();
    let mut x = -rng.f32() * gap;
    while x < length(line.len()) {
        let height = tall * (0.45 + 0.55 * rng.f32());
        let half = (height * 0.19).max(1.2);
        let steps = (height * 0.16).clamp(2.0, 9.0);
        let foot = ground[index(x.max(0.0), line.len() - 1)];
        let left = index((x - half).max(0.0), line.len());
        for column in left..index((x + half + 1.0).max(0.0), line.len()) {
            let away = (length(column) - x).abs() / half;
            // Branches: the outline steps inwards a few times on the way up.
            let branch = 0.10 * (away * steps).fract();
            let top = foot - height * (1.0 - away + branch).clamp(0.0, 1.0);
            line[column] = line[column].min(top);
        }
        x += gap * (0.35 + 1.3 * rng.f32());
    }
}

/// A house of a skyline.
pub(super) struct House {
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) top: f32,
}

/// A row of houses standing on `base`, `tall` at most, higher towards `centre`.
pub(super) fn skyline(
    rng: &mut Rng,
    width: usize,
    base: f32,
    tall: f32,
    wide: f32,
    centre: f32,
) -> (Line, Vec<House>) {
    let mut line = vec![base; width];
    let mut houses = Vec::new();
    let mut x = -wide * rng.f32();
    while x < length(width) {
        let right = x + wide * (0.5 + 0.9 * rng.f32());
        let away = (f32::midpoint(x, right) - centre) / (length(width) * 0.42);
        let crowd = 0.35 + 0.65 * (-away * away).exp();
        let height = tall * crowd * (0.25 + 0.75 * rng.f32().powf(1.4));
        let house = House {
            left: x,
            right,
            top: base - height,
        };
        raise(&mut line, &house);
        // Every other tower has a setback, some a mast.
        if height > tall * 0.4 && rng.bool() {
            let inset = (right - x) * (0.15 + 0.2 * rng.f32());
            let top = house.top - height * 0.12;
            raise(
                &mut line,
                &House {
                    left: x + inset,
                    right: right - inset,
                    top,
                },
            );
            if rng.bool() {
                let mast = f32::midpoint(x, right);
                raise(
                    &mut line,
                    &House {
                        left: mast,
                        right: mast + 1.0,
                        top: top - height * 0.18,
                    },
                );
            }
        }
        houses.push(house);
        x = right
            + if rng.u8(0..4) == 0 {
                wide * 0.3 * rng.f32()
            } else {
                0.0
            };
    }
    (line, houses)
}

fn raise(line: &mut Line, house: &House) {
    let end = index(house.right.max(0.0), line.len());
    for height in &mut line[index(house.left.max(0.0), end)..end] {
        *height = height.min(house.top);
    }
}
