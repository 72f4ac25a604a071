//! A small sheet of colour and the few strokes that the scenes are made of.
//!
//! Written for an unoptimised build: strokes work on rows and columns, a glow or a vignette is the
//! product of two one-dimensional tables, and nothing calls a function per channel of a pixel.

/// Red, green and blue, 0 to 1 as shown on a screen.
pub(super) type Colour = [f32; 3];

/// Below this a glow is not visible, and skipping it saves most of the work.
const FAINTEST: f32 = 0.004;

/// The sheet. `y` grows downwards.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Row by row.
    pub(super) pixels: Vec<Colour>,
}

/// One end of a [`Canvas::beam`].
#[derive(Clone, Copy)]
pub(super) struct Limb {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) thick: f32,
}

/// `from` at 0, `to` at 1.
pub(super) fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    [
        from[0] + (to[0] - from[0]) * share,
        from[1] + (to[1] - from[1]) * share,
        from[2] + (to[2] - from[2]) * share,
    ]
}

/// 0 below `low`, 1 above `high`, an even S between.
pub(super) fn smooth(low: f32, high: f32, at: f32) -> f32 {
    let t = ((at - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A length that may lie outside the sheet, as an index into it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what a clamp to the sheet needs"
)]
pub(super) fn index(at: f32, limit: usize) -> usize {
    (at as usize).min(limit)
}

/// An index as a length. Sheets are a few hundred pixels wide, far inside what f32 holds exactly.
#[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
pub(super) fn length(count: usize) -> f32 {
    count as f32
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![[0.0; 3]; width * height],
        }
    }

    /// The side of a square of the same area: what sizes are measured in, so that a scene looks
    /// alike in every aspect ratio.
    pub(super) fn unit(&self) -> f32 {
        length(self.width * self.height).sqrt()
    }

    fn row(&mut self, y: usize) -> &mut [Colour] {
        let start = y * self.width;
        &mut self.pixels[start..start + self.width]
    }

    /// Fills the rows `top..bottom`, each with the colour that `paint` gives for its share of the
    /// way down.
    pub(super) fn fill_rows(&mut self, top: usize, bottom: usize, paint: impl Fn(f32) -> Colour) {
        let span = length(bottom.saturating_sub(top).max(1));
        for y in top..bottom.min(self.height) {
            let colour = paint(length(y - top) / span);
            self.row(y).fill(colour);
        }
    }

    /// Fills everything below a line that has one height per column; the edge is anti-aliased.
    /// The colour depends on the row only: that is what makes mist gather in the valleys.
    pub(super) fn fill_below(
        &mut self,
        line: &[f32],
        bottom: usize,
        paint: impl Fn(f32) -> Colour,
    ) {
        let top = line.iter().copied().fold(f32::INFINITY, f32::min);
        for y in index(top, self.height)..bottom.min(self.height) {
            let edge = length(y) + 1.0;
            let colour = paint(length(y));
            for (pixel, &line) in self.row(y).iter_mut().zip(line) {
                let covered = edge - line;
                if covered >= 1.0 {
                    *pixel = colour;
                } else if covered > 0.0 {
                    *pixel = mix(*pixel, colour, covered);
                }
            }
        }
    }

    /// A dune: like [`Canvas::fill_below`], but lit by the slope of its own crest, followed
    /// downwards at a slant, which draws the long soft shadows that wind leaves in sand.
    pub(super) fn fill_dune(&mut self, line: &[f32], lit: Colour, shade: Colour, skew: f32) {
        let last = self.width - 1;
        let steepness = 2.2 * 640.0 / self.unit();
        let slope: Vec<f32> = (0..self.width)
            .map(|x| {
                let (left, right) = (x.saturating_sub(3), (x + 3).min(last));
                let rise = (line[left] - line[right]) / length(right - left);
                smooth(-0.35, 0.35, rise * steepness / 2.2)
            })
            .collect();
        let top = line.iter().copied().fold(f32::INFINITY, f32::min);
        for y in index(top, self.height)..self.height {
            let edge = length(y) + 1.0;
            let start = y * self.width;
            for (x, top) in line.iter().enumerate() {
                let covered = edge - top;
                if covered > 0.0 {
                    let along = index(length(x) + covered * skew, last);
                    let colour = mix(shade, lit, slope[along]);
                    let pixel = &mut self.pixels[start + x];
                    *pixel = mix(*pixel, colour, covered.min(1.0));
                }
            }
        }
    }

    /// A straight limb from one point down to another, tapering: a trunk, a mast, a shaft of
    /// light.
    pub(super) fn beam(&mut self, from: Limb, to: Limb, colour: Colour, strength: f32) {
        let span = (to.y - from.y).max(1.0);
        for row in index(from.y.max(0.0), self.height)..index(to.y.max(0.0), self.height) {
            let share = (length(row) - from.y) / span;
            let middle = from.x + (to.x - from.x) * share;
            let half = 0.5 * (from.thick + (to.thick - from.thick) * share);
            let (left, right) = (middle - half, middle + half);
            for column in
                index(left.max(0.0), self.width)..index((right + 1.0).max(0.0), self.width)
            {
                let at = length(column);
                let covered = ((at + 1.0).min(right) - at.max(left)).clamp(0.0, 1.0);
                let pixel = &mut self.pixels[row * self.width + column];
                *pixel = mix(*pixel, colour, covered * strength);
            }
        }
    }

    /// Puts `colour` over one pixel; outside the sheet it does nothing.
    pub(super) fn dab(&mut self, x: f32, y: f32, colour: Colour, strength: f32) {
        if x < 0.0 || y < 0.0 || x >= length(self.width) || y >= length(self.height) {
            return;
        }
        let at = index(y, self.height - 1) * self.width + index(x, self.width - 1);
        self.pixels[at] = mix(self.pixels[at], colour, strength);
    }

    /// A filled rectangle with soft left and right edges.
    pub(super) fn bar(&mut self, x: (f32, f32), y: (f32, f32), colour: Colour, strength: f32) {
        for row in index(y.0.max(0.0), self.height)..index(y.1.max(0.0), self.height) {
            for column in index(x.0.max(0.0), self.width)..index(x.1.max(0.0) + 1.0, self.width) {
                let left = length(column);
                let covered = ((left + 1.0).min(x.1) - left.max(x.0)).clamp(0.0, 1.0);
                let pixel = &mut self.pixels[row * self.width + column];
                *pixel = mix(*pixel, colour, covered * strength);
            }
        }
    }

    /// A disc with a soft edge.
    pub(super) fn disc(&mut self, x: f32, y: f32, radius: f32, colour: Colour, strength: f32) {
        let softness = (radius * 0.08).max(0.8);
        let rows = index(y - radius - 1.0, self.height)..index(y + radius + 2.0, self.height);
        for row in rows {
            let columns = index(x - radius - 1.0, self.width)..index(x + radius + 2.0, self.width);
            for column in columns {
                let away = (length(column) + 0.5 - x).hypot(length(row) + 0.5 - y);
                let covered = ((radius - away) / softness + 0.5).clamp(0.0, 1.0);
                if covered > 0.0 {
                    let pixel = &mut self.pixels[row * self.width + column];
                    *pixel = mix(*pixel, colour, covered * strength);
                }
            }
        }
    }

    /// Light spreading from a point, wider than high if `spread` says so. A Gaussian is the
    /// product of its row and its column, hence two tables and one multiplication.
    pub(super) fn glow(
        &mut self,
        x: f32,
        y: f32,
        spread: (f32, f32),
        colour: Colour,
        strength: f32,
    ) {
        let fall = |at: usize, centre: f32, spread: f32| {
            let away = (length(at) - centre) / spread;
            (-away * away).exp()
        };
        let across: Vec<f32> = (0..self.width).map(|at| fall(at, x, spread.0)).collect();
        for row in 0..self.height {
            let down = fall(row, y, spread.1) * strength;
            if down < FAINTEST {
                continue;
            }
            for (pixel, &across) in self.row(row).iter_mut().zip(&across) {
                let light = across * down;
                if light > FAINTEST {
                    pixel[0] += (1.0 - pixel[0]) * colour[0] * light;
                    pixel[1] += (1.0 - pixel[1]) * colour[1] * light;
                    pixel[2] += (1.0 - pixel[2]) * colour[2] * light;
                }
            }
        }
    }

    /// What stands above `horizon`, mirrored below it: darker, mixed with the water's colour, and
    /// shaken sideways by `ripple(row)` pixels.
    pub(super) fn reflect(
        &mut self,
        horizon: usize,
        water: Colour,
        clarity: f32,
        ripple: impl Fn(f32) -> f32,
    ) {
        for y in horizon..self.height {
            let down = length(y - horizon) / length(self.height - horizon);
            // Seen at a flat angle, so the picture in the water is a little shorter.
            let source = horizon.saturating_sub(1 + (y - horizon) * 9 / 10);
            let shift = index(self.unit() + ripple(length(y - horizon)), usize::MAX);
            let shift = shift % self.width;
            let share = clarity * (1.0 - 0.55 * down);
            let base = index(self.unit(), usize::MAX) % self.width;
            for x in 0..self.width {
                let from = (x + shift + self.width - base) % self.width;
                let seen = self.pixels[source * self.width + from];
                self.pixels[y * self.width + x] = mix(water, seen, share);
            }
        }
    }
}
