//! The five places that the simulator knows how to photograph.
//!
//! Every scene paints from far to near: sky, what gives light, land in layers that lose their veil
//! of air as they come closer, then something small that gives the picture its scale.

use fastrand::Rng;

use super::air;
use super::canvas::{Canvas, Colour, index, length, mix, smooth};
use super::light::{Hour, Light};

mod city;
mod desert;
mod forest;
mod mountains;
mod sea;

/// Where a picture is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Mountains,
    Sea,
    Forest,
    City,
    Desert,
}

impl Place {
    pub(super) const ALL: [Self; 5] = [
        Self::Mountains,
        Self::Sea,
        Self::Forest,
        Self::City,
        Self::Desert,
    ];
}

/// What a scene is painted with.
pub(super) struct Scene {
    pub(super) light: Light,
    /// Snow on the ground and in the air.
    pub(super) snow: bool,
    /// The colour of the one small thing made by people.
    pub(super) accent: Colour,
    /// Where the sun or the moon stands, from the left, 0 to 1.
    pub(super) sun: f32,
}

/// Fresh snow in full light.
const SNOW: Colour = [0.95, 0.96, 0.99];

impl Scene {
    pub(super) fn paint(&self, place: Place, canvas: &mut Canvas, rng: &mut Rng) {
        match place {
            Place::Mountains => self.mountains(canvas, rng),
            Place::Sea => self.sea(canvas, rng),
            Place::Forest => self.forest(canvas, rng),
            Place::City => self.city(canvas, rng),
            Place::Desert => self.desert(canvas, rng),
        }
        if self.snow {
            air::snowfall(canvas, rng);
        }
    }

    /// Sky, stars, northern lights, and the sun or moon, `low` above the horizon and up to
    /// `more` higher. Returns how far down it stands.
    fn sky(
        &self,
        canvas: &mut Canvas,
        rng: &mut Rng,
        horizon: f32,
        (low, more): (f32, f32),
    ) -> f32 {
        let height = low + more * rng.f32();
        let Light { sky, disc, .. } = self.light;
        let unit = canvas.unit();
        canvas.fill_rows(0, canvas.height, |_| sky[2]);
        canvas.fill_rows(0, index(horizon, canvas.height), |share| {
            if share < 0.58 {
                mix(sky[0], sky[1], smooth(-0.1, 0.58, share))
            } else {
                mix(sky[1], sky[2], smooth(0.58, 1.0, share))
            }
        });
        if self.light.stars > 0.0 {
            air::stars(canvas, rng, horizon, self.light.stars);
        }
        if self.light.aurora {
            air::aurora(canvas, rng, horizon);
        }
        let (x, y) = (self.sun * length(canvas.width), horizon - height * horizon);
        let (reach, bright) = match self.light.hour {
            Hour::Night => (0.16, 0.35),
            Hour::Day => (0.34, 0.55),
            Hour::Dawn | Hour::Dusk => (0.42, 0.75),
        };
        canvas.glow(
            x,
            y,
            (unit * reach * 1.5, unit * reach * 0.8),
            mix(sky[2], disc, 0.4),
            bright,
        );
        canvas.glow(x, y, (unit * 0.11, unit * 0.11), disc, bright);
        let radius = match self.light.hour {
            Hour::Night => 0.038,
            Hour::Day => 0.030,
            Hour::Dawn | Hour::Dusk => 0.052,
        } * unit;
        canvas.disc(x, y, radius, disc, 0.96);
        if self.light.hour == Hour::Night {
            // The seas of the moon.
            for (dx, dy, size) in [(-0.3, -0.2, 0.34), (0.25, 0.1, 0.26), (-0.1, 0.42, 0.2)] {
                canvas.disc(
                    x + dx * radius,
                    y + dy * radius,
                    radius * size,
                    [0.72, 0.74, 0.74],
                    0.35,
                );
            }
        } else {
            air::clouds(canvas, rng, horizon, mix(sky[2], disc, 0.5));
        }
        y
    }

    /// The colour of land at a distance: 0 far, 1 near.
    fn land(&self, nearness: f32) -> Colour {
        mix(self.light.far, self.light.near, nearness)
    }
}
