//! Open water below a low sun, with a sail on it.

use fastrand::Rng;

use super::super::air;
use super::super::canvas::{Canvas, Colour, Limb, index, length, mix, smooth};
use super::super::terrain::hills;
use super::{SNOW, Scene};

impl Scene {
    pub(super) fn sea(&self, canvas: &mut Canvas, rng: &mut Rng) {
        let (width, unit, tall) = (canvas.width, canvas.unit(), length(canvas.height));
        let horizon = tall * (0.52 + 0.10 * rng.f32());
        self.sky(canvas, rng, horizon, (0.10, 0.30));
        for (nearness, rise) in [(0.15, 0.10), (0.42, 0.07)] {
            // A headland: hills that sink below the horizon on one side.
            let side = rng.bool();
            let mut line = hills(rng, width, 0.0, unit * rise, unit * 0.3, 0.5);
            for (x, y) in line.iter_mut().enumerate() {
                let along = length(x) / length(width);
                let along = if side { along } else { 1.0 - along };
                *y = horizon
                    + *y * smooth(0.45, 0.95, along) * 1.6
                    + unit * 0.02 * smooth(0.5, 0.3, along);
            }
            let (colour, haze) = (self.land(nearness), self.light.sky[2]);
            canvas.fill_below(&line, index(horizon, canvas.height), |y| {
                mix(
                    colour,
                    haze,
                    0.5 * smooth(horizon - unit * 0.12, horizon, y),
                )
            });
        }
        let shallow = mix(self.light.sky[2], self.light.sky[1], 0.55);
        let deep = mix(self.light.sky[0], self.light.near, 0.55);
        canvas.fill_rows(index(horizon, canvas.height), canvas.height, |share| {
            mix(shallow, deep, smooth(-0.15, 0.9, share.sqrt()))
        });
        self.waves(canvas, rng, horizon, deep);
        self.glitter(canvas, rng, horizon);
        self.sailboat(canvas, rng, horizon);
        air::birds(
            canvas,
            rng,
            horizon,
            mix(self.light.near, self.light.sky[1], 0.2),
        );
        if rng.bool() {
            let mut beach = hills(rng, width, tall * 1.0, unit * 0.10, unit * 1.2, 0.3);
            for (x, y) in beach.iter_mut().enumerate() {
                *y += unit * 0.12 * (length(x) / length(width) - 0.3);
            }
            let foam: Vec<f32> = beach.iter().map(|y| y - unit * 0.006).collect();
            canvas.fill_below(&foam, canvas.height, |_| mix(shallow, SNOW, 0.6));
            let sand = mix(self.light.sand, self.light.near, 0.45);
            let wet = mix(sand, self.light.near, 0.35);
            canvas.fill_below(&beach, canvas.height, |y| {
                mix(wet, sand, smooth(tall * 0.9, tall, y))
            });
        }
    }

    /// Long dashes that grow towards the viewer.
    fn waves(&self, canvas: &mut Canvas, rng: &mut Rng, horizon: f32, deep: Colour) {
        let (unit, tall, wide) = (canvas.unit(), length(canvas.height), length(canvas.width));
        let pale = mix(self.light.sky[2], SNOW, 0.2);
        for _ in 0..420 {
            let depth = rng.f32().powf(1.6);
            let y = horizon + 1.0 + depth * (tall - horizon);
            let half = unit * (0.008 + 0.07 * depth) * (0.4 + rng.f32());
            let x = rng.f32() * wide;
            let thick = 1.0 + depth * unit * 0.004;
            let colour = if rng.u8(0..3) == 0 { pale } else { deep };
            canvas.bar(
                (x - half, x + half),
                (y, y + thick),
                colour,
                0.05 + 0.13 * rng.f32(),
            );
        }
    }

    /// The path of light on the water below the sun.
    fn glitter(&self, canvas: &mut Canvas, rng: &mut Rng, horizon: f32) {
        let (unit, tall) = (canvas.unit(), length(canvas.height));
        let centre = self.sun * length(canvas.width);
        for _ in 0..520 {
            let depth = rng.f32().powf(1.4);
            let y = horizon + 1.0 + depth * (tall - horizon) * 0.92;
            let reach = unit * (0.02 + 0.16 * depth);
            let x = centre + (rng.f32() + rng.f32() - 1.0) * reach;
            let half = unit * (0.004 + 0.022 * depth) * (0.4 + rng.f32());
            let strength = (0.75 - 0.6 * depth) * (0.4 + 0.6 * rng.f32());
            canvas.bar(
                (x - half, x + half),
                (y, y + 1.0 + depth),
                self.light.disc,
                strength,
            );
        }
    }

    fn sailboat(&self, canvas: &mut Canvas, rng: &mut Rng, horizon: f32) {
        let unit = canvas.unit();
        let away = 0.22 + 0.2 * rng.f32();
        let side = if self.sun > 0.5 { -away } else { away };
        let x = (self.sun + side) * length(canvas.width);
        let size = unit * (0.05 + 0.05 * rng.f32());
        let y = horizon + size * 0.55;
        let limb = |x: f32, y: f32, thick: f32| Limb { x, y, thick };
        canvas.beam(
            limb(x, y - size * 1.6, 0.6),
            limb(x - size * 0.28, y - size * 0.1, size * 0.62),
            self.accent,
            0.95,
        );
        canvas.beam(
            limb(x + size * 0.1, y - size * 1.3, 0.4),
            limb(x + size * 0.34, y - size * 0.1, size * 0.42),
            mix(self.accent, SNOW, 0.6),
            0.9,
        );
        canvas.beam(
            limb(x, y - size * 0.08, size * 1.3),
            limb(x, y + size * 0.12, size * 0.9),
            self.light.near,
            0.95,
        );
        for step in 0_u8..9 {
            let down = y + size * (0.16 + 0.11 * f32::from(step));
            let half = size * (0.42 - 0.03 * f32::from(step)) * (0.5 + 0.5 * rng.f32());
            let shift = size * 0.16 * (rng.f32() - 0.5);
            canvas.bar(
                (x + shift - half, x + shift + half),
                (down, down + 1.0),
                mix(self.accent, self.light.near, 0.4),
                0.40,
            );
        }
    }
}
