//! What hangs between the lens and the land: stars, northern lights, clouds, birds, snow.

use fastrand::Rng;

use super::canvas::{Canvas, Colour, Limb, index, length, mix};
use super::terrain::noise;

pub(super) fn stars(canvas: &mut Canvas, rng: &mut Rng, horizon: f32, amount: f32) {
    let (wide, unit) = (length(canvas.width), canvas.unit());
    let count = index(wide * horizon / 240.0 * amount, 2_000);
    for _ in 0..count {
        // Fewer near the horizon, where the air is thick.
        let high = rng.f32().powf(1.5);
        let (x, y) = (rng.f32() * wide, high * horizon * 0.92);
        let colour = mix([0.78, 0.85, 1.0], [1.0, 0.93, 0.80], rng.f32());
        let strength = rng.f32().powf(3.0) * (1.0 - high * 0.6) * (0.35 + 0.65 * amount);
        canvas.dab(x, y, colour, 0.12 + 0.88 * strength);
        if strength > 0.6 {
            canvas.glow(x, y, (unit * 0.004, unit * 0.004), colour, 0.5);
        }
    }
}

/// Curtains of green light, standing on a wandering edge.
pub(super) fn aurora(canvas: &mut Canvas, rng: &mut Rng, horizon: f32) {
    let (width, unit) = (canvas.width, canvas.unit());
    for (colour, lift) in [([0.30, 0.95, 0.60], 0.0), ([0.55, 0.40, 0.90], 0.16)] {
        let edge = noise(rng, width, unit * 0.45);
        let folds = noise(rng, width, unit * 0.10);
        let rays = noise(rng, width, unit * 0.016);
        for x in 0..width {
            let foot = horizon * (0.86 - 0.42 * edge[x] - lift);
            let tall = unit * (0.16 + 0.34 * folds[x]) * (0.7 + 0.6 * rays[x]);
            let strength = 0.50 * folds[x] * (0.55 + 0.45 * rays[x]);
            let mut y = (foot - tall).max(0.0);
            while y < foot {
                let share = (foot - y) / tall;
                let fade = (1.0 - share) * (share * 9.0).min(1.0);
                canvas.dab(length(x), y, colour, strength * fade);
                y += 1.0;
            }
        }
    }
}

/// Thin banks of cloud, lit from below.
pub(super) fn clouds(canvas: &mut Canvas, rng: &mut Rng, horizon: f32, lit: Colour) {
    let (wide, unit) = (length(canvas.width), canvas.unit());
    for _ in 0..rng.u8(3..7) {
        let y = horizon * (0.18 + 0.66 * rng.f32());
        let x = wide * rng.f32();
        for _ in 0..7 {
            let (dx, dy) = (rng.f32() - 0.5, rng.f32() - 0.5);
            let spread = (
                unit * (0.06 + 0.12 * rng.f32()),
                unit * (0.004 + 0.010 * rng.f32()),
            );
            canvas.glow(x + dx * unit * 0.4, y + dy * unit * 0.03, spread, lit, 0.16);
        }
    }
}

/// A loose flock, each bird two strokes.
pub(super) fn birds(canvas: &mut Canvas, rng: &mut Rng, below: f32, colour: Colour) {
    let (wide, unit) = (length(canvas.width), canvas.unit());
    let (x, y) = (
        wide * (0.2 + 0.6 * rng.f32()),
        below * (0.25 + 0.3 * rng.f32()),
    );
    for _ in 0..rng.u8(4..10) {
        let (x, y) = (
            x + (rng.f32() - 0.5) * unit * 0.24,
            y + (rng.f32() - 0.5) * unit * 0.10,
        );
        let span = unit * (0.006 + 0.008 * rng.f32());
        let lift = span * (0.35 + 0.5 * rng.f32());
        for side in [-1.0, 1.0] {
            let tip = Limb {
                x: x + side * span,
                y: y - lift,
                thick: 0.9,
            };
            canvas.beam(
                tip,
                Limb {
                    x,
                    y: y + 0.6,
                    thick: 1.3,
                },
                colour,
                0.85,
            );
        }
    }
}

/// Thin light lines on still water, denser towards the far shore.
pub(super) fn shimmer(
    canvas: &mut Canvas,
    rng: &mut Rng,
    shore: f32,
    colour: Colour,
    strength: f32,
) {
    let (wide, tall, unit) = (length(canvas.width), length(canvas.height), canvas.unit());
    for _ in 0..160 {
        let depth = rng.f32().powf(2.2);
        let y = shore + 1.0 + depth * (tall - shore);
        let half = unit * (0.02 + 0.09 * rng.f32());
        let x = rng.f32() * wide;
        canvas.bar(
            (x - half, x + half),
            (y, y + 1.0),
            colour,
            strength * (0.3 + 0.7 * rng.f32()),
        );
    }
}

/// Flakes in three sizes, the large ones close to the lens and blurred.
pub(super) fn snowfall(canvas: &mut Canvas, rng: &mut Rng) {
    let (wide, tall, unit) = (length(canvas.width), length(canvas.height), canvas.unit());
    let white = [0.97, 0.98, 1.0];
    for _ in 0..420 {
        canvas.dab(
            rng.f32() * wide,
            rng.f32() * tall,
            white,
            0.25 + 0.35 * rng.f32(),
        );
    }
    for _ in 0..110 {
        let size = unit * (0.0022 + 0.0030 * rng.f32());
        canvas.disc(rng.f32() * wide, rng.f32() * tall, size, white, 0.55);
    }
    for _ in 0..14 {
        let size = unit * (0.008 + 0.010 * rng.f32());
        canvas.disc(rng.f32() * wide, rng.f32() * tall, size, white, 0.14);
    }
}
