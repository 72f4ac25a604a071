//! Trunks in the mist, the sun behind them.

use fastrand::Rng;

use super::super::canvas::{Canvas, Limb, length, mix, smooth};
use super::super::light::Hour;
use super::super::terrain::{conifers, hills};
use super::{SNOW, Scene};

impl Scene {
    pub(super) fn forest(&self, canvas: &mut Canvas, rng: &mut Rng) {
        let (width, unit, tall) = (canvas.width, canvas.unit(), length(canvas.height));
        let sun = self.sky(canvas, rng, tall * 0.8, (0.42, 0.22));
        let mist = mix(self.light.sky[2], self.light.far, 0.35);
        for layer in 0_u8..3 {
            let depth = f32::from(layer) / 2.0;
            let base = tall * (0.50 + 0.14 * depth);
            let mut line = hills(rng, width, base, unit * 0.09, unit * 0.5, 0.5);
            conifers(
                rng,
                &mut line,
                unit * (0.10 + 0.12 * depth),
                unit * (0.022 + 0.02 * depth),
            );
            let colour = self.land(0.12 + 0.38 * depth);
            canvas.fill_below(&line, canvas.height, |y| {
                mix(
                    colour,
                    mist,
                    0.9 * smooth(base - unit * 0.1, base + unit * 0.22, y),
                )
            });
        }
        if self.light.hour != Hour::Night {
            self.shafts(canvas, rng, sun);
        }
        let birch = matches!(self.light.hour, Hour::Dawn | Hour::Day) || self.snow;
        for layer in 0_u8..3 {
            let depth = 0.35 + f32::from(layer) * 0.3;
            let floor = tall * (0.78 + 0.10 * f32::from(layer));
            for _ in 0..(9 - 3 * layer) {
                self.trunk(canvas, rng, depth, floor, birch);
            }
            let line = hills(rng, width, floor, unit * 0.05, unit * 0.35, 0.6);
            let ground = if self.snow {
                mix(SNOW, self.light.sky[1], 0.45 - 0.1 * depth)
            } else {
                self.land(depth)
            };
            canvas.fill_below(&line, canvas.height, |y| {
                mix(
                    ground,
                    mist,
                    0.35 * smooth(floor + unit * 0.12, floor - unit * 0.04, y),
                )
            });
        }
        if !self.snow {
            let mut grass = hills(rng, width, tall * 1.0, unit * 0.05, unit * 0.3, 0.5);
            conifers(rng, &mut grass, unit * 0.05, unit * 0.006);
            canvas.fill_below(&grass, canvas.height, |_| self.light.near);
        }
    }

    /// Light falling between the trees, from the sun down to the ground.
    fn shafts(&self, canvas: &mut Canvas, rng: &mut Rng, sun: f32) {
        let (unit, tall) = (canvas.unit(), length(canvas.height));
        let x = self.sun * length(canvas.width);
        for _ in 0..5 {
            let foot = x + (rng.f32() - 0.5) * unit * 1.6;
            let (top, bottom) = (sun, tall * 0.92);
            let from = Limb {
                x: x + (foot - x) * 0.1,
                y: top,
                thick: unit * 0.01,
            };
            let to = Limb {
                x: foot,
                y: bottom,
                thick: unit * (0.06 + 0.1 * rng.f32()),
            };
            canvas.beam(from, to, self.light.disc, 0.07);
        }
    }

    /// One trunk, in the distance `depth` (1 near); a birch is pale and has dark marks.
    fn trunk(&self, canvas: &mut Canvas, rng: &mut Rng, depth: f32, floor: f32, birch: bool) {
        let unit = canvas.unit();
        let x = rng.f32() * length(canvas.width);
        let thick = unit * (0.006 + 0.030 * depth * depth) * (0.7 + 0.6 * rng.f32());
        let lean = unit * 0.05 * (rng.f32() - 0.5);
        let foot = floor + unit * 0.03;
        let from = Limb {
            x: x + lean,
            y: 0.0,
            thick: thick * 0.55,
        };
        let to = Limb { x, y: foot, thick };
        let bark = self.land(depth + 0.1);
        if !birch {
            canvas.beam(from, to, bark, 0.97);
            return;
        }
        let pale = mix(
            mix(SNOW, self.light.sky[2], 0.55),
            bark,
            0.16 + 0.2 * (1.0 - depth),
        );
        canvas.beam(from, to, mix(pale, bark, 0.55), 0.98);
        // The side towards the light is brighter.
        let side = if self.sun * length(canvas.width) > x {
            0.16
        } else {
            -0.16
        };
        let lit = |limb: Limb| Limb {
            x: limb.x + limb.thick * side,
            thick: limb.thick * 0.62,
            ..limb
        };
        canvas.beam(lit(from), lit(to), pale, 0.9);
        let mut y = rng.f32() * unit * 0.05;
        while y < foot {
            let middle = x + lean * (1.0 - y / foot);
            let here = thick * (0.55 + 0.45 * y / foot) / 2.0;
            let (left, right) = if rng.bool() {
                (-1.0, 0.5 * rng.f32() - 0.5)
            } else {
                (0.5 - 0.5 * rng.f32(), 1.0)
            };
            canvas.bar(
                (middle + here * left, middle + here * right),
                (y, y + 1.0 + thick * 0.10 * rng.f32()),
                bark,
                0.75,
            );
            y += unit * 0.012 + rng.f32() * unit * 0.06;
        }
    }
}
