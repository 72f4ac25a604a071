//! What each model of Gemini's draws, and refuses to draw; and which one only reads.

use super::answer::ApiError;
use crate::providers::simulator::picture::Size;

/// What a model accepts.
pub(super) struct Model {
    name: &'static str,
    sizes: &'static [&'static str],
    ratios: &'static [Ratio],
}

type Ratio = (&'static str, Size);

const fn ratio(name: &'static str, width: u32, height: u32) -> Ratio {
    (name, Size { width, height })
}

/// The ratios in the pixels of a 1K picture; the first ten are what every model draws.
const RATIOS: &[Ratio] = &[
    ratio("1:1", 1024, 1024),
    ratio("2:3", 832, 1248),
    ratio("3:2", 1248, 832),
    ratio("3:4", 864, 1184),
    ratio("4:3", 1184, 864),
    ratio("4:5", 896, 1152),
    ratio("5:4", 1152, 896),
    ratio("9:16", 768, 1344),
    ratio("16:9", 1344, 768),
    ratio("21:9", 1536, 672),
    ratio("1:4", 512, 2048),
    ratio("4:1", 2048, 512),
    ratio("1:8", 384, 3072),
    ratio("8:1", 3072, 384),
];

const fn model(name: &'static str, sizes: &'static [&'static str], ratios: usize) -> Model {
    let (ratios, _) = RATIOS.split_at(ratios);
    Model {
        name,
        sizes,
        ratios,
    }
}

const MODELS: [Model; 7] = [
    model("gemini-2.5-flash-image", &[], 10),
    model("gemini-3-pro-image", &["1K", "2K", "4K"], 10),
    model("gemini-3-pro-image-preview", &["1K", "2K", "4K"], 10),
    model("gemini-3.1-flash-image", &["512", "1K", "2K", "4K"], 14),
    model(
        "gemini-3.1-flash-image-preview",
        &["512", "1K", "2K", "4K"],
        14,
    ),
    model("gemini-3.1-flash-lite-image", &["1K"], 14),
    model("gemini-3.1-flash-lite-image-preview", &["1K"], 14),
];

/// Whether it reads pictures and answers in words.
pub(super) fn reads(name: &str) -> bool {
    name == "gemini-2.5-flash"
}

impl Model {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// The pixels of the picture asked for. Without a ratio the picture follows the last input.
    pub(super) fn size(
        &self,
        ratio: Option<&str>,
        size: Option<&str>,
        input: Option<Size>,
    ) -> Result<Size, ApiError> {
        let ratio = match ratio {
            Some(wanted) => self
                .ratios
                .iter()
                .find(|(name, _)| *name == wanted)
                .ok_or_else(|| {
                    let known: Vec<_> = self.ratios.iter().map(|(name, _)| *name).collect();
                    ApiError::invalid(format!(
                        "Invalid aspect ratio: {wanted}. Supported: {}",
                        known.join(", ")
                    ))
                })?,
            None => input.map_or(&self.ratios[0], |input| self.nearest(input)),
        };
        let Size { width, height } = ratio.1;
        let Some(wanted) = size else {
            return Ok(ratio.1);
        };
        if !self.sizes.contains(&wanted) {
            return Err(ApiError::invalid(format!(
                "Image size {wanted} is not supported by models/{}",
                self.name
            )));
        }
        let (times, by) = match wanted {
            "512" => (1, 2),
            "2K" => (2, 1),
            "4K" => (4, 1),
            _ => (1, 1),
        };
        Ok(Size {
            width: width * times / by,
            height: height * times / by,
        })
    }

    fn nearest(&self, input: Size) -> &Ratio {
        let slope =
            |size: Size| (f64::from(size.width.max(1)) / f64::from(size.height.max(1))).ln();
        let wanted = slope(input);
        let away = |ratio: &&Ratio| (slope(ratio.1) - wanted).abs();
        let nearest = self
            .ratios
            .iter()
            .min_by(|a, b| away(a).total_cmp(&away(b)));
        nearest.unwrap_or(&RATIOS[0])
    }
}
