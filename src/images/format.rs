//! What a picture is, told by its first bytes and never by a name or a header: providers declare
//! PNG and send JPEG, and a web page can be called `me.png`.
//!
//! Also whether it is whole, because a JPEG that lost its second half decodes without complaint,
//! grey from there on. Nothing is decoded here.

/// The formats we take in and store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureFormat {
    Jpeg,
    Png,
    Webp,
}

/// A file that is no picture of ours. Its text is a sentence for the person who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPicture {
    /// A picture in a format that we do not decode.
    #[error("The picture is {0}, which is not supported; use JPEG, PNG or WebP.")]
    Foreign(&'static str),
    /// A page that shows or offers the picture, as links for sharing lead to.
    #[error("The file is a web page; use the URL of the picture itself.")]
    WebPage,
    #[error("The file is empty.")]
    Empty,
    /// Anything else.
    #[error("The file is not a JPEG, PNG or WebP picture.")]
    Unknown,
}

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

impl PictureFormat {
    pub const ALL: [Self; 3] = [Self::Jpeg, Self::Png, Self::Webp];

    /// The media type, as Gemini takes it (`image/jpg` is refused there).
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// The end of a file's name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    /// The format that has this media type.
    pub fn with_mime(mime: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.mime() == mime)
    }

    /// The format whose files end so.
    pub fn with_extension(extension: &str) -> Option<Self> {
        let mut formats = Self::ALL.into_iter();
        formats.find(|format| format.extension() == extension)
    }

    /// The format by magic bytes; `None` for everything that we do not take.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if bytes.starts_with(PNG_SIGNATURE) {
            Some(Self::Png)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else {
            None
        }
    }

    /// The format, or a sentence that says what the file is instead.
    pub fn of(bytes: &[u8]) -> Result<Self, NotAPicture> {
        Self::sniff(bytes).ok_or_else(|| {
            if bytes.is_empty() {
                NotAPicture::Empty
            } else if begins_with_tag(bytes, &["<!doctype html", "<html", "<head", "<body"]) {
                NotAPicture::WebPage
            } else {
                foreign(bytes).map_or(NotAPicture::Unknown, NotAPicture::Foreign)
            }
        })
    }

    /// Whether the file goes on to its own end mark. What follows that mark does not matter.
    pub fn is_whole(self, bytes: &[u8]) -> bool {
        match self {
            Self::Jpeg => jpeg_reaches_its_end(bytes).is_some(),
            Self::Png => png_reaches_its_end(bytes).is_some(),
            Self::Webp => webp_reaches_its_end(bytes).is_some(),
        }
    }
}

/// Whether the text begins with one of these tags, in any case, after blanks and a byte order mark.
fn begins_with_tag(bytes: &[u8], tags: &[&str]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = text.trim_ascii_start();
    tags.iter().any(|tag| {
        text.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    })
}

/// Within the head of an XML file: an SVG's own tag, behind declarations and comments.
fn names_svg(xml: &[u8]) -> bool {
    const HEAD: usize = 1024;
    let head = &xml[..xml.len().min(HEAD)];
    head.windows(4).any(|tag| tag == b"<svg")
}

/// Formats that people do send: telephones make HEIC, browsers save AVIF and GIF, logos are SVG.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"GIF8") {
        return Some("GIF");
    }
    if begins_with_tag(bytes, &["<svg"]) || (begins_with_tag(bytes, &["<?xml"]) && names_svg(bytes))
    {
        return Some("SVG");
    }
    if bytes.get(4..8)? != b"ftyp" {
        return None;
    }
    match bytes.get(8..12)? {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
            Some("HEIC")
        }
        _ => None,
    }
}

/// Walks the segments, so that the end mark of an embedded thumbnail is not taken for ours.
fn jpeg_reaches_its_end(bytes: &[u8]) -> Option<()> {
    const END: u8 = 0xd9;
    let mut rest = bytes.get(2..)?;
    loop {
        // Between segments and inside a scan alike: the next 0xFF that begins a mark.
        let start = rest.iter().position(|&byte| byte == 0xff)?;
        rest = &rest[start + 1..];
        match *rest.first()? {
            END => return Some(()),
            // Fill bytes: the next 0xFF may still begin a mark.
            0xff => {}
            // Escaped data, and marks that stand alone.
            0x00 | 0x01 | 0xd0..=0xd8 => rest = &rest[1..],
            _ => {
                let length = u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]);
                rest = rest.get(1 + usize::from(length)..)?;
            }
        }
    }
}

fn png_reaches_its_end(bytes: &[u8]) -> Option<()> {
    /// Length, type and checksum of a chunk, around its data.
    const FRAME: usize = 12;
    let mut rest = bytes.get(PNG_SIGNATURE.len()..)?;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?);
        let kind = rest.get(4..8)?;
        let next = FRAME.checked_add(usize::try_from(length).ok()?)?;
        let after = rest.get(next..)?;
        if kind == b"IEND" {
            return Some(());
        }
        rest = after;
    }
}

fn webp_reaches_its_end(bytes: &[u8]) -> Option<()> {
    let size = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
    bytes.get(8..)?.get(..usize::try_from(size).ok()?)?;
    Some(())
}

#[cfg(test)]
mod tests;
