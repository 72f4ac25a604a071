//! A skyline across the water, with people at home.

use fastrand::Rng;

use super::super::air;
use super::super::canvas::{Canvas, index, length, mix, smooth};
use super::super::light::Hour;
use super::super::terrain::{House, skyline};
use super::{SNOW, Scene};
use crate::providers::simulator::picture::canvas::Colour;

/// A lamp behind a window; some people like it colder.
const LAMPS: [Colour; 3] = [[1.0, 0.80, 0.45], [1.0, 0.88, 0.62], [0.82, 0.90, 1.0]];

impl Scene {
    pub(super) fn city(&self, canvas: &mut Canvas, rng: &mut Rng) {
        let (width, unit, tall) = (canvas.width, canvas.unit(), length(canvas.height));
        let shore = tall * (0.70 + 0.06 * rng.f32());
        let quay = index(shore, canvas.height);
        self.sky(canvas, rng, shore, (0.26, 0.3));
        let centre = length(width) * (0.3 + 0.4 * rng.f32());
        let evening = self.lamps_lit();
        canvas.glow(
            centre,
            shore,
            (unit * 0.6, unit * 0.22),
            LAMPS[0],
            0.30 * evening,
        );
        for layer in 0_u8..4 {
            let depth = f32::from(layer) / 3.0;
            let high = unit * (0.46 - 0.20 * depth);
            let wide = unit * (0.045 + 0.03 * depth);
            let (line, houses) = skyline(rng, width, shore, high, wide, centre);
            let colour = self.land(0.15 + 0.72 * depth);
            let haze = mix(self.light.sky[2], self.light.far, 0.5);
            canvas.fill_below(&line, quay, |y| {
                mix(
                    colour,
                    haze,
                    (0.65 - 0.4 * depth) * smooth(shore - high, shore, y),
                )
            });
            if layer > 0 {
                for house in &houses {
                    self.windows(canvas, rng, house, shore, 0.3 + 0.7 * depth);
                }
            }
        }
        let water = mix(self.light.sky[1], self.light.near, 0.55);
        let phase = rng.f32() * 6.0;
        canvas.reflect(quay, water, 0.80, |down| {
            (down * 0.9 + phase).sin() * (0.6 + down * 11.0 / unit)
        });
        canvas.bar(
            (0.0, length(width)),
            (shore - 1.0, shore + unit * 0.008),
            self.light.near,
            0.9,
        );
        air::shimmer(canvas, rng, shore, mix(self.light.sky[2], SNOW, 0.25), 0.12);
        if self.light.hour != Hour::Night {
            air::birds(
                canvas,
                rng,
                shore * 0.6,
                mix(self.light.near, self.light.sky[1], 0.2),
            );
        }
    }

    /// The share of windows that are lit.
    fn lamps_lit(&self) -> f32 {
        match self.light.hour {
            Hour::Dawn => 0.14,
            Hour::Day => 0.0,
            Hour::Dusk => 0.40,
            Hour::Night => 0.52,
        }
    }

    fn windows(&self, canvas: &mut Canvas, rng: &mut Rng, house: &House, foot: f32, bright: f32) {
        let unit = canvas.unit();
        let (across, down) = (unit * 0.0095, unit * 0.0125);
        let busy = self.lamps_lit() * (0.4 + 1.1 * rng.f32());
        let lamp = LAMPS[rng.usize(0..LAMPS.len())];
        let mut y = house.top + down * 0.8;
        while y < foot - down {
            let mut x = house.left + across * 0.7;
            while x < house.right - across * 0.8 {
                if rng.f32() < busy {
                    let size = (across * 0.5, (down * 0.5).max(1.0));
                    canvas.bar(
                        (x, x + size.0),
                        (y, y + size.1),
                        lamp,
                        bright * (0.5 + 0.5 * rng.f32()),
                    );
                }
                x += across;
            }
            y += down;
        }
        if rng.u8(0..7) == 0 && self.lamps_lit() > 0.3 {
            // A warning light on the roof.
            canvas.dab(
                f32::midpoint(house.left, house.right),
                house.top - 1.0,
                self.accent,
                0.9,
            );
        }
    }
}
