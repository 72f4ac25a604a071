//! Dunes with the wind's long shadows, table mountains behind them.

use fastrand::Rng;

use super::super::canvas::{Canvas, Limb, length, mix, smooth};
use super::super::terrain::{hills, noise};
use super::{SNOW, Scene};

impl Scene {
    pub(super) fn desert(&self, canvas: &mut Canvas, rng: &mut Rng) {
        let (width, unit, tall) = (canvas.width, canvas.unit(), length(canvas.height));
        let horizon = tall * (0.48 + 0.08 * rng.f32());
        self.sky(canvas, rng, horizon + unit * 0.06, (0.22, 0.32));
        for nearness in [0.10_f32, 0.30] {
            // Table mountains: noise cut off at two levels.
            let shape = noise(rng, width, unit * (0.26 + 0.2 * nearness));
            let ragged = noise(rng, width, unit * 0.012);
            let line: Vec<f32> = shape
                .iter()
                .zip(ragged)
                .map(|(shape, ragged)| {
                    let table = smooth(0.56, 0.62, *shape) + 0.5 * smooth(0.42, 0.50, *shape);
                    horizon + unit * (0.03 + 0.02 * nearness)
                        - unit * (0.085 * table + 0.010 * ragged)
                })
                .collect();
            let colour = mix(self.land(nearness + 0.1), self.light.sand, 0.25);
            let haze = self.light.sky[2];
            canvas.fill_below(&line, canvas.height, |y| {
                mix(
                    colour,
                    haze,
                    0.6 * smooth(horizon - unit * 0.1, horizon + unit * 0.05, y),
                )
            });
        }
        let umber = mix(
            [0.36, 0.20, 0.17],
            self.light.near,
            0.15 + 0.55 * self.light.stars,
        );
        let skew = if self.sun > 0.5 { 0.9 } else { -0.9 };
        for layer in 0_u8..5 {
            let depth = f32::from(layer) / 4.0;
            let base = horizon + (tall - horizon) * (0.10 + 0.86 * depth);
            let rise = unit * (0.05 + 0.17 * depth);
            let line = hills(rng, width, base, rise, unit * (0.26 + 0.5 * depth), 0.16);
            let air = 0.62 - 0.58 * depth;
            let lit = mix(
                mix(self.light.sand, self.light.disc, 0.18),
                self.light.sky[2],
                air,
            );
            let shade = mix(mix(self.light.sand, umber, 0.58), self.light.far, air);
            let (lit, shade) = if self.snow {
                (mix(lit, SNOW, 0.6), mix(shade, SNOW, 0.25))
            } else {
                (lit, shade)
            };
            canvas.fill_dune(&line, lit, shade, skew * (1.0 - 0.3 * depth));
            if layer == 2 {
                self.caravan(canvas, rng, &line);
            }
        }
        self.balloon(canvas, rng, horizon * 0.45);
    }

    /// A few walkers on a crest, with their shadows.
    fn caravan(&self, canvas: &mut Canvas, rng: &mut Rng, crest: &[f32]) {
        let unit = canvas.unit();
        let mut x = length(canvas.width) * (0.2 + 0.4 * rng.f32());
        let size = unit * 0.016;
        for _ in 0..rng.u8(3..7) {
            let column = super::super::canvas::index(x, crest.len() - 1);
            let foot = crest[column] + 1.0;
            let (head, feet) = (foot - size * (0.9 + 0.2 * rng.f32()), foot);
            canvas.beam(
                Limb {
                    x,
                    y: head,
                    thick: size * 0.18,
                },
                Limb {
                    x,
                    y: feet,
                    thick: size * 0.34,
                },
                self.light.near,
                0.95,
            );
            canvas.disc(x, head - size * 0.12, size * 0.15, self.light.near, 0.95);
            x += size * (1.0 + 1.2 * rng.f32());
        }
    }
}
