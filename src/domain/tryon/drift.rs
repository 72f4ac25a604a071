//! Whether the face of a drawing is where the person's is, and whether it is worth a second drawing.
//!
//! A model that draws a person anew, and not the person of the picture, mostly moves or scales the head:
//! so where the face is says cheaply what a comparison of faces would say. It cannot tell a stranger's
//! face in the right place.

use std::time::Duration;

use super::FaceBox;

/// Two boxes that have less in common, of all that they cover, are not the same face in the same place.
const LEAST_OVERLAP: f64 = 0.58;
/// Nor are those whose centres are farther apart, in thousandths of the picture.
const FARTHEST: f64 = 70.0;
/// Nor those of which one is larger by more than this share: the mean of its height and width, so that a
/// smile or a turned head is no other face.
const MOST_GROWTH: f64 = 0.18;
/// Boxes are compared in pictures of one shape only, or in about one: models draw ten shapes, and the
/// nearest of them is this near to any usual photo. In another shape everything is somewhere else, and a
/// second drawing would be as well.
const SHAPES_APART: f64 = 0.1;
/// Which drawing of a try-on it is, is known by then, from the beginning of its first call. Somebody waits.
pub const DECIDED_BY: Duration = Duration::from_secs(45);
/// A second drawing that comes later could not be looked at in time: the small model takes two or three
/// seconds.
pub const REDRAWN_BY: Duration = Duration::from_secs(42);
/// It may take this much longer than the first: what is given up is paid for all the same.
const LONGER: f64 = 1.25;

impl FaceBox {
    /// What two boxes have in common, of all that they cover: 1 is the same box, 0 nothing.
    pub fn overlap(self, other: Self) -> f64 {
        let along = |from: u16, to: u16| f64::from(to.saturating_sub(from));
        let common = along(self.top.max(other.top), self.bottom.min(other.bottom))
            * along(self.left.max(other.left), self.right.min(other.right));
        let all = self.area() + other.area() - common;
        if all > 0.0 { common / all } else { 0.0 }
    }

    /// Whether this face of a drawing is another one than the person's `own`, or elsewhere.
    pub fn has_drifted_from(self, own: Self) -> bool {
        let (here, there) = (self.centre(), own.centre());
        let moved = (here.0 - there.0).hypot(here.1 - there.1);
        // Boxes that were read have no side of length 0.
        let growth = (self.area() / own.area()).sqrt() - 1.0;
        self.overlap(own) < LEAST_OVERLAP || moved > FARTHEST || growth.abs() > MOST_GROWTH
    }

    fn area(self) -> f64 {
        f64::from(self.height()) * f64::from(self.width())
    }

    fn centre(self) -> (f64, f64) {
        let middle = |from: u16, to: u16| f64::midpoint(f64::from(from), f64::from(to));
        (middle(self.top, self.bottom), middle(self.left, self.right))
    }
}

/// Whether boxes of these two pictures, by width and height, may be compared.
pub fn have_one_shape(one: (u32, u32), other: (u32, u32)) -> bool {
    let shape = |(width, height): (u32, u32)| f64::from(width) / f64::from(height.max(1));
    let times = shape(one) / shape(other);
    (1.0 - SHAPES_APART..=1.0 / (1.0 - SHAPES_APART)).contains(&times)
}

/// Whether a second drawing may begin so long after the first one was begun, which took `took`: it will
/// take about as long, and it must still be looked at then.
pub fn may_redraw(elapsed: Duration, took: Duration) -> bool {
    elapsed <= redraws_until(took)
}

/// Until when it may begin, counted from the beginning of the first one.
pub fn redraws_until(took: Duration) -> Duration {
    REDRAWN_BY.saturating_sub(took.mul_f64(LONGER))
}

#[cfg(test)]
mod tests;
