//! The shapes of pictures that may be asked for, and what they come to in pixels.

use std::fmt;

/// Width to height, as Gemini writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AspectRatio {
    width: u32,
    height: u32,
    name: &'static str,
}

const fn ratio(width: u32, height: u32, name: &'static str) -> AspectRatio {
    AspectRatio {
        width,
        height,
        name,
    }
}

impl AspectRatio {
    /// What any Gemini image model draws; the last four only some.
    pub const ALL: [Self; 14] = [
        ratio(1, 1, "1:1"),
        ratio(2, 3, "2:3"),
        ratio(3, 2, "3:2"),
        ratio(3, 4, "3:4"),
        ratio(4, 3, "4:3"),
        ratio(4, 5, "4:5"),
        ratio(5, 4, "5:4"),
        ratio(9, 16, "9:16"),
        ratio(16, 9, "16:9"),
        ratio(21, 9, "21:9"),
        ratio(1, 4, "1:4"),
        ratio(4, 1, "4:1"),
        ratio(1, 8, "1:8"),
        ratio(8, 1, "8:1"),
    ];
    /// What every Gemini image model draws.
    pub const COMMON: &[Self] = Self::ALL.split_at(10).0;

    pub fn as_str(self) -> &'static str {
        self.name
    }

    pub(in crate::domain) fn width(self) -> u64 {
        self.width.into()
    }

    pub(in crate::domain) fn height(self) -> u64 {
        self.height.into()
    }

    /// The nearest of the three sizes that each of OpenAI's models draws.
    pub(in crate::domain) fn nearest_pixels(self) -> &'static str {
        match self.width.cmp(&self.height) {
            std::cmp::Ordering::Less => "1024x1536",
            std::cmp::Ordering::Equal => "1024x1024",
            std::cmp::Ordering::Greater => "1536x1024",
        }
    }

    /// A size of exactly this shape, of about as many pixels, for a model that draws any whose sides
    /// are multiples of 16. The last four of [`Self::ALL`] are too long for it.
    pub(in crate::domain) fn exact_pixels(self) -> &'static str {
        match self.name {
            "3:4" => "1152x1536",
            "4:3" => "1536x1152",
            "4:5" => "1024x1280",
            "5:4" => "1280x1024",
            "9:16" => "864x1536",
            "16:9" => "1536x864",
            "21:9" => "1568x672",
            _ => self.nearest_pixels(),
        }
    }

    pub fn in_words(self) -> String {
        let shape = match self.width.cmp(&self.height) {
            std::cmp::Ordering::Less => "portrait",
            std::cmp::Ordering::Equal => "square",
            std::cmp::Ordering::Greater => "landscape",
        };
        format!("The image has the aspect ratio {} ({shape}).", self.name)
    }
}

impl fmt::Display for AspectRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}
