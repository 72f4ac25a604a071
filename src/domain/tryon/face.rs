//! Where a face is, as a small model says it in whatever form, or as most portraits have it.

use serde_json::Value;

/// The numbers go from 0 to this on both axes.
const SCALE: f64 = 1000.0;
/// A face that fills more of the picture than this is the picture.
const LARGEST_AREA: f64 = 0.82;
/// No side of a face in a picture of a person is longer, nor shorter.
const LONGEST_SIDE: u16 = 900;
const SHORTEST_SIDE: u16 = 35;

/// Names under which models tell a box, the usual one first.
const NAMES: [&str; 6] = ["box_2d", "bbox", "face_box", "bounding_box", "face", "box"];

/// A box in thousandths of the picture's height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaceBox {
    pub top: u16,
    pub left: u16,
    pub bottom: u16,
    pub right: u16,
}

impl FaceBox {
    /// Where a face is in most pictures of a whole person: what is taken when nobody says better.
    pub const USUAL: Self = Self {
        top: 60,
        left: 360,
        bottom: 320,
        right: 640,
    };

    /// Reads what a model has answered: JSON, fenced or not, cut off or not, an object, an array or one
    /// in the other. `None`: there is no box in it, or none that a face could have.
    pub fn read(answer: &str) -> Option<Self> {
        let start = answer.find(['{', '['])?;
        let json = serde_json::Deserializer::from_str(&answer[start..])
            .into_iter::<Value>()
            .next()
            .and_then(Result::ok);
        let sides = json
            .as_ref()
            .and_then(|value| sides_in(value, DEEPEST))
            .or_else(|| sides_of_cut(answer))?;
        Self::of_sides(sides).filter(|found| found.is_plausible())
    }

    /// As the ledger's step keeps it; [`Self::read`] reads it again.
    pub fn to_json(self) -> String {
        let Self {
            top,
            left,
            bottom,
            right,
        } = self;
        format!(r#"{{"box_2d": [{top}, {left}, {bottom}, {right}]}}"#)
    }

    /// With more around it by this share of each side, within the picture.
    #[must_use]
    pub fn widened(self, share: f64) -> Self {
        let more = |side: u16| thousandths(f64::from(side) * share);
        let (high, wide) = (more(self.height()), more(self.width()));
        Self {
            top: self.top.saturating_sub(high),
            left: self.left.saturating_sub(wide),
            bottom: (self.bottom + high).min(1000),
            right: (self.right + wide).min(1000),
        }
    }

    /// Top, left, bottom, right; from 0 to 1000, or from 0 to 1.
    fn of_sides(sides: [f64; 4]) -> Option<Self> {
        if !sides.iter().all(|side| (0.0..=SCALE).contains(side)) {
            return None;
        }
        let times = if sides.iter().all(|side| *side <= 1.0) {
            SCALE
        } else {
            1.0
        };
        let [top, left, bottom, right] = sides.map(|side| thousandths(side * times));
        Some(Self {
            top: top.min(bottom),
            left: left.min(right),
            bottom: top.max(bottom),
            right: left.max(right),
        })
    }

    fn is_plausible(self) -> bool {
        let sides = [self.height(), self.width()];
        let area = f64::from(self.height()) * f64::from(self.width()) / (SCALE * SCALE);
        area <= LARGEST_AREA
            && sides
                .iter()
                .all(|side| (SHORTEST_SIDE..=LONGEST_SIDE).contains(side))
    }

    pub(super) fn height(self) -> u16 {
        self.bottom - self.top
    }

    pub(super) fn width(self) -> u16 {
        self.right - self.left
    }
}

/// Answers that nest deeper say nothing that we understand.
const DEEPEST: u32 = 4;

/// The first box anywhere in an answer.
fn sides_in(value: &Value, depth: u32) -> Option<[f64; 4]> {
    if depth == 0 {
        return None;
    }
    match value {
        Value::Array(items) => four(items).or_else(|| {
            let mut found = items.iter().filter_map(|item| sides_in(item, depth - 1));
            found.next()
        }),
        Value::Object(fields) => {
            let named = NAMES.iter().filter_map(|name| fields.get(*name));
            let mut all = named.chain(fields.values());
            sides_of_names(value).or_else(|| all.find_map(|inner| sides_in(inner, depth - 1)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn four(items: &[Value]) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = items.iter().filter_map(number).collect();
    (items.len() == 4)
        .then_some(numbers)
        .and_then(|numbers| numbers.try_into().ok())
}

/// Sides by their names, or a corner and two lengths.
fn sides_of_names(fields: &Value) -> Option<[f64; 4]> {
    let any = |names: [&str; 3]| {
        names
            .iter()
            .find_map(|name| fields.get(name).and_then(number))
    };
    let top = any(["ymin", "y_min", "top"]);
    let left = any(["xmin", "x_min", "left"]);
    let bottom = any(["ymax", "y_max", "bottom"]);
    let right = any(["xmax", "x_max", "right"]);
    if let (Some(top), Some(left), Some(bottom), Some(right)) = (top, left, bottom, right) {
        return Some([top, left, bottom, right]);
    }
    let (x, y) = (any(["x", "left", "xmin"])?, any(["y", "top", "ymin"])?);
    let (width, height) = (any(["width", "w", "wide"])?, any(["height", "h", "high"])?);
    Some([y, x, y + height, x + width])
}

/// Numbers are at times written as texts.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An answer that was cut off: four whole numbers after a name are a box all the same.
fn sides_of_cut(answer: &str) -> Option<[f64; 4]> {
    let from = NAMES
        .iter()
        .find_map(|name| Some(answer.find(&format!("\"{name}\""))? + name.len() + 2))?;
    let rest = &answer[from..];
    let mut numbers = Vec::new();
    let mut pieces = rest.split_inclusive(|c: char| !is_of_number(c));
    while numbers.len() < 4 {
        let piece = pieces.next()?;
        let digits = piece.trim_end_matches(|c: char| !is_of_number(c));
        // What nothing follows may lack its last digits.
        if let Ok(number) = digits.parse::<f64>()
            && digits.len() < piece.len()
        {
            numbers.push(number);
        }
    }
    numbers.try_into().ok()
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// Of a number that is known to be within the scale.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 1000"
)]
fn thousandths(number: f64) -> u16 {
    number.clamp(0.0, SCALE).round() as u16
}

#[cfg(test)]
mod tests;
