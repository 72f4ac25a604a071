//! Opens pictures that strangers made: inputs are brought into the form that providers take,
//! results are looked at before they count as done.
//!
//! A few kilobytes can claim to be gigabytes of pixels, so the size is checked in the header and
//! decoding stays within stated limits. It is also slow, so it runs on blocking threads, a few at
//! a time. A caller who goes away leaves its thread to end by itself, still counted.

use std::io::Cursor;
use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
    RgbImage,
};
use tokio::sync::Semaphore;

use super::{INVALID_INPUT, NotAPicture, PictureFormat};
use crate::domain::Failure;

/// Longest side that is opened: four times what any provider draws.
const MAX_SIDE: u32 = 16_384;
/// Most pixels: the 48 megapixels of a telephone, with room for its odd formats.
const MAX_PIXELS: u64 = 50_000_000;
/// Most bytes of decoded pixels: 50 megapixels at 8 bits with transparency fit, at 16 bits not.
const MAX_PIXEL_BYTES: u64 = 256 * 1024 * 1024;
/// Longest side of what a provider gets. More costs input tokens and shows no difference.
const INPUT_SIDE: u32 = 1024;
/// Where the quick first step of shrinking ends: far enough from `INPUT_SIDE` not to show.
const QUICKLY_TO: u32 = 2 * INPUT_SIDE;
/// JPEG quality of what a provider gets.
const INPUT_QUALITY: u8 = 85;

/// Why a picture could not be opened, as a sentence for the person who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    NotAPicture(#[from] NotAPicture),
    #[error(
        "The picture is too large: at most {MAX_SIDE} pixels a side and 50 megapixels are opened."
    )]
    TooLarge,
    #[error("The picture is damaged or incomplete.")]
    Damaged,
}

impl From<ImageError> for DecodeError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge,
            ImageError::Decoding(_)
            | ImageError::Encoding(_)
            | ImageError::Parameter(_)
            | ImageError::Unsupported(_)
            | ImageError::IoError(_) => Self::Damaged,
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::never(INVALID_INPUT, error.to_string())
    }
}

/// What a picture is, known from having decoded all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    pub format: PictureFormat,
    pub width: u32,
    pub height: u32,
}

/// A picture as a provider gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upright {
    pub jpeg: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// Part of a picture, in thousandths of its sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub top: u16,
    pub left: u16,
    pub bottom: u16,
    pub right: u16,
}

/// Decodes a few pictures at a time. Clones share the same few.
#[derive(Clone, Debug)]
pub struct Decoder {
    turns: Arc<Semaphore>,
}

impl Decoder {
    /// `parallel` pictures at once; each may take some hundreds of megabytes at worst.
    pub fn new(parallel: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(parallel.max(1))),
        }
    }

    /// The picture as a provider gets it: upright, without metadata, on white, longest side 1024,
    /// JPEG.
    pub async fn prepare_input(
        &self,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Upright, DecodeError> {
        self.run(move || prepare(bytes.as_ref())).await
    }

    /// A part of a picture, as a provider gets it.
    pub async fn cut_out(
        &self,
        bytes: impl AsRef<[u8]> + Send + 'static,
        cut: Cut,
    ) -> Result<Upright, DecodeError> {
        self.run(move || cut_out(bytes.as_ref(), cut)).await
    }

    /// Decodes the whole picture to know that it is one.
    pub async fn inspect(
        &self,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Inspected, DecodeError> {
        self.run(move || inspect(bytes.as_ref())).await
    }

    /// The turn goes along to the thread: were it the future's, a canceled caller would let one
    /// more thread in than there may be.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DecodeError> + Send + 'static,
    ) -> Result<T, DecodeError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let thread = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        // A decoder that panics has met a picture that it cannot read.
        thread.await.unwrap_or(Err(DecodeError::Damaged))
    }
}

fn inspect(bytes: &[u8]) -> Result<Inspected, DecodeError> {
    let (picture, _) = decode(bytes)?;
    Ok(Inspected {
        format: PictureFormat::of(bytes)?,
        width: picture.width(),
        height: picture.height(),
    })
}

fn prepare(bytes: &[u8]) -> Result<Upright, DecodeError> {
    let (picture, orientation) = decode(bytes)?;
    // Flattened first, else the hidden colour of transparent pixels bleeds in. Turned last, when
    // there is least to turn: the target is square, so both orders give the same size.
    let mut picture = shrunk(DynamicImage::ImageRgb8(on_white(picture)));
    picture.apply_orientation(orientation);
    jpeg(&picture)
}

/// Of a picture that is upright already. At least one pixel, whatever is asked for.
fn cut_out(bytes: &[u8], cut: Cut) -> Result<Upright, DecodeError> {
    let (picture, _) = decode(bytes)?;
    let pixels = |side: u32, thousandths: u16| side * u32::from(thousandths.min(1000)) / 1000;
    let (left, top) = (
        pixels(picture.width(), cut.left).min(picture.width() - 1),
        pixels(picture.height(), cut.top).min(picture.height() - 1),
    );
    let right = pixels(picture.width(), cut.right).max(left + 1);
    let bottom = pixels(picture.height(), cut.bottom).max(top + 1);
    let part = picture.crop_imm(left, top, right - left, bottom - top);
    jpeg(&DynamicImage::ImageRgb8(on_white(part)))
}

fn jpeg(picture: &DynamicImage) -> Result<Upright, DecodeError> {
    let mut jpeg = Vec::new();
    let (width, height) = (picture.width(), picture.height());
    JpegEncoder::new_with_quality(&mut jpeg, INPUT_QUALITY).encode(
        picture.as_bytes(),
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(Upright {
        jpeg,
        width,
        height,
    })
}

/// All pixels, and how the picture is to be turned. For an animation the first frame.
fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), DecodeError> {
    let format = PictureFormat::of(bytes)?;
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_PIXEL_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), codec(format));
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || decoder.total_bytes() > MAX_PIXEL_BYTES {
        return Err(DecodeError::TooLarge);
    }
    if !format.is_whole(bytes) {
        return Err(DecodeError::Damaged);
    }
    // Metadata that cannot be read turns nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder)?;
    Ok((picture, orientation))
}

fn codec(format: PictureFormat) -> ImageFormat {
    match format {
        PictureFormat::Jpeg => ImageFormat::Jpeg,
        PictureFormat::Png => ImageFormat::Png,
        PictureFormat::Webp => ImageFormat::WebP,
    }
}

/// Lays a picture on white paper, in the memory that it already has.
fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let (width, height) = (picture.width(), picture.height());
    let mut bytes = picture.into_rgba8().into_raw();
    let pixels = bytes.len() / 4;
    for pixel in 0..pixels {
        let alpha = bytes[pixel * 4 + 3];
        for channel in 0..3 {
            bytes[pixel * 3 + channel] = over_white(bytes[pixel * 4 + channel], alpha);
        }
    }
    bytes.truncate(pixels * 3);
    RgbImage::from_raw(width, height, bytes).expect("three bytes for each pixel")
}

/// One colour value over 255, rounded.
fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u16::from(value), u16::from(alpha));
    let mixed = (value * alpha + 255 * (255 - alpha) + 127) / 255;
    u8::try_from(mixed).unwrap_or(u8::MAX)
}

/// At most `INPUT_SIDE` a side. A small picture stays as it is: enlarging adds no information.
fn shrunk(picture: DynamicImage) -> DynamicImage {
    let longest = picture.width().max(picture.height());
    if longest <= INPUT_SIDE {
        return picture;
    }
    // A quick mean of neighbours takes the largest ones half of the way.
    let picture = if longest > QUICKLY_TO * 2 {
        picture.thumbnail(QUICKLY_TO, QUICKLY_TO)
    } else {
        picture
    };
    picture.resize(INPUT_SIDE, INPUT_SIDE, FilterType::Lanczos3)
}

#[cfg(test)]
mod tests;
