//! Snowy ranges, one behind the other, mirrored in a lake or standing above dark woods.

use fastrand::Rng;

use super::super::air;
use super::super::canvas::{Canvas, Limb, index, length, mix, smooth};
use super::super::terrain::{conifers, hills, noise, peaks};
use super::{SNOW, Scene};

impl Scene {
    pub(super) fn mountains(&self, canvas: &mut Canvas, rng: &mut Rng) {
        let (width, unit, tall) = (canvas.width, canvas.unit(), length(canvas.height));
        // In a wide picture the peaks stay low enough to leave a sky.
        let up = unit.min(tall * 0.88);
        let lake = rng.u8(0..3) > 0;
        let shore = tall * if lake { 0.70 + 0.06 * rng.f32() } else { 0.86 };
        self.sky(canvas, rng, shore, (0.40, 0.24));
        let foot = if lake {
            index(shore, canvas.height)
        } else {
            canvas.height
        };
        for layer in 0_u8..5 {
            let depth = f32::from(layer) / 4.0;
            let base = shore - up * (0.24 - 0.24 * depth);
            let rise = up * (0.34 - 0.19 * depth) * (0.8 + 0.4 * rng.f32());
            let mut line = if layer < 3 {
                peaks(rng, width, base, rise, unit * (0.50 - 0.05 * depth))
            } else {
                hills(rng, width, base, rise, unit * 0.45, 0.5)
            };
            if layer >= 3 {
                conifers(
                    rng,
                    &mut line,
                    unit * (0.022 + 0.022 * (depth - 0.5)),
                    unit * 0.011,
                );
            }
            let colour = self.land(0.12 + 0.78 * depth * depth);
            let mist = mix(self.light.sky[2], self.light.far, 0.45 + 0.4 * depth);
            let top = line.iter().copied().fold(f32::INFINITY, f32::min);
            let veil = move |y: f32| mix(colour, mist, 0.75 * smooth(top, base + unit * 0.1, y));
            if layer < 3 {
                let white = mix(SNOW, mix(self.light.sky[1], self.light.disc, 0.35), 0.45);
                let white = mix(white, self.land(0.3), 0.12 + 0.25 * self.light.stars);
                canvas.fill_below(&line, foot, |_| white);
                let limit = top + rise * if self.snow { 0.62 } else { 0.40 };
                let patches = noise(rng, width, unit * 0.018);
                let rock: Vec<f32> = line
                    .iter()
                    .zip(patches)
                    .map(|(y, patch)| y + (limit - y).max(0.0) * (0.25 + 0.75 * patch))
                    .collect();
                canvas.fill_below(&rock, foot, veil);
            } else {
                let colour = if self.snow {
                    mix(colour, SNOW, 0.25)
                } else {
                    colour
                };
                canvas.fill_below(&line, foot, |y| mix(colour, veil(y), 0.6));
            }
        }
        if lake {
            let phase = rng.f32() * 6.0;
            let water = mix(self.light.sky[1], self.light.near, 0.45);
            canvas.reflect(foot, water, 0.86, |down| {
                (down * 0.7 + phase).sin() * (0.3 + down * 7.0 / unit)
            });
            air::shimmer(canvas, rng, shore, mix(self.light.sky[2], SNOW, 0.3), 0.10);
            self.balloon(canvas, rng, shore * 0.36);
        } else {
            self.balloon(canvas, rng, shore * 0.40);
        }
        let mut front = hills(rng, width, tall * 1.02, unit * 0.16, unit * 0.7, 0.4);
        conifers(rng, &mut front, unit * 0.15, unit * 0.085);
        let near = if self.snow {
            mix(self.light.near, SNOW, 0.12)
        } else {
            self.light.near
        };
        canvas.fill_below(&front, canvas.height, |_| near);
    }

    /// A hot-air balloon, small in a large sky.
    pub(super) fn balloon(&self, canvas: &mut Canvas, rng: &mut Rng, y: f32) {
        let unit = canvas.unit();
        let away = 0.24 + 0.14 * rng.f32();
        let side = if self.sun > 0.5 { -away } else { away };
        let x = (self.sun + side) * length(canvas.width);
        let radius = unit * (0.018 + 0.016 * rng.f32());
        let y = y * (0.8 + 0.5 * rng.f32());
        let shadow = mix(self.accent, self.light.near, 0.45);
        let limb = |x: f32, y: f32, thick: f32| Limb { x, y, thick };
        // The side away from the light is darker: the lit envelope lies a little off the dark one.
        let lit = if side > 0.0 { -1.0 } else { 1.0 };
        for (colour, shift, size) in [(shadow, 0.0, 1.0), (self.accent, lit * 0.17, 0.83)] {
            let (x, thick) = (x + shift * radius, radius * size);
            canvas.disc(x, y, thick, colour, 1.0);
            let neck = limb(x - shift * radius * 0.6, y + radius * 1.55, thick * 0.5);
            canvas.beam(limb(x, y + radius * 0.55, thick * 1.62), neck, colour, 1.0);
        }
        let band = mix(self.accent, SNOW, 0.7);
        canvas.bar(
            (x - radius * 0.13, x + radius * 0.13),
            (y - radius * 0.95, y + radius * 1.5),
            band,
            0.9,
        );
        canvas.bar(
            (x - radius * 0.22, x + radius * 0.22),
            (y + radius * 1.75, y + radius * 2.1),
            self.light.near,
            0.95,
        );
    }
}
