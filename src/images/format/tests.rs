use super::*;

#[test]
fn formats_are_told_by_their_first_bytes() {
    let sniff = PictureFormat::sniff;

    assert_eq!(sniff(b"\xff\xd8\xff\xe0rest"), Some(PictureFormat::Jpeg));
    assert_eq!(sniff(b"\x89PNG\r\n\x1a\nrest"), Some(PictureFormat::Png));
    assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 "), Some(PictureFormat::Webp));
    assert_eq!(sniff(b"RIFF\x10\0\0\0WAVEfmt "), None);
    assert_eq!(sniff(b"<html>"), None);
    assert_eq!(sniff(b""), None);
}

#[test]
fn a_foreign_format_is_refused_by_its_name() {
    #[track_caller]
    fn check(bytes: &[u8], says: &str) {
        let message = PictureFormat::of(bytes).expect_err("refused").to_string();
        assert!(message.contains(says), "{message:?} does not say {says:?}");
    }

    check(b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC");
    check(b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC");
    check(b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF");
    check(b"GIF89a", "GIF");
    check(b"\0\0\0\x18ftypisom\0\0\0\0", "not a JPEG, PNG or WebP");
    check(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG");
    check(b"<?xml version='1.0'?><svg/>", "SVG");
    check(b"<?xml version='1.0'?><Error/>", "not a JPEG, PNG or WebP");
    check(b"<!doctype html>", "web page");
    check(b"\xef\xbb\xbf\r\n <HTML>", "web page");
    check(b"", "is empty");
    check(b"<", "not a JPEG, PNG or WebP");
    check(b"\x1f\x8b\x08\0", "not a JPEG, PNG or WebP");
}

#[test]
fn an_end_mark_inside_a_segment_is_not_the_end() {
    // One application segment of 6 bytes that holds FF D9, as a thumbnail would.
    let head = b"\xff\xd8\xff\xe1\x00\x06\xff\xd9\0\0";
    // A scan with an escaped FF, a restart mark and a fill byte.
    let scan = b"\xff\xda\x00\x02\x12\xff\x00\xff\xd0\x34\xff";
    let end = b"\xff\xd9";

    let whole = [head.as_slice(), scan, end, b"trailer"].concat();
    let cut = [head.as_slice(), scan].concat();

    assert!(PictureFormat::Jpeg.is_whole(&whole));
    assert!(!PictureFormat::Jpeg.is_whole(&cut));
    assert!(!PictureFormat::Jpeg.is_whole(head));
}

#[test]
fn lengths_that_lie_are_no_end() {
    let png = [PNG_SIGNATURE, b"\xff\xff\xff\xffIEND"].concat();

    assert!(!PictureFormat::Png.is_whole(&png));
    assert!(!PictureFormat::Webp.is_whole(b"RIFF\xff\xff\xff\xffWEBPVP8 "));
    assert!(!PictureFormat::Jpeg.is_whole(b"\xff\xd8\xff\xe0\xff\xff"));
    assert!(!PictureFormat::Jpeg.is_whole(b""));
}
