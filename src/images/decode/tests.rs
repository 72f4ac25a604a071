use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ImageEncoder, Rgb, Rgba, RgbaImage};

use super::*;

/// A picture with a gradient, so that a wrong turn or a lost half shows.
fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let share = |at: u32, of: u32| u8::try_from(at * 255 / of).expect("at most 255");
        Rgb([share(x, width), share(y, height), 128])
    })
}

fn encoded(picture: &RgbImage, format: PictureFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, codec(format))
        .expect("is encoded");
    bytes.into_inner()
}

fn png_with_alpha(picture: &RgbaImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(
            picture,
            picture.width(),
            picture.height(),
            ExtendedColorType::Rgba8,
        )
        .expect("is encoded");
    bytes
}

/// An EXIF block in TIFF form that holds nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// The same JPEG with an EXIF segment behind its first mark.
fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let block = [b"Exif\0\0".as_slice(), &exif(orientation)].concat();
    let length = u16::try_from(block.len() + 2).expect("is short");
    [
        &jpeg[..2],
        b"\xff\xe1",
        &length.to_be_bytes(),
        &block,
        &jpeg[2..],
    ]
    .concat()
}

fn opened(jpeg: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg)
        .expect("a JPEG")
        .into_rgb8()
}

#[track_caller]
fn assert_near(pixel: Rgb<u8>, expected: [u8; 3]) {
    let is_near = pixel
        .0
        .iter()
        .zip(expected)
        .all(|(&got, wanted)| got.abs_diff(wanted) < 12);
    assert!(is_near, "{pixel:?} is not near {expected:?}");
}

#[tokio::test]
async fn every_format_is_told_by_its_bytes_and_measured() {
    let decoder = Decoder::new(1);

    for format in PictureFormat::ALL {
        let got = decoder.inspect(encoded(&gradient(30, 20), format)).await;

        assert_eq!(
            got,
            Ok(Inspected {
                format,
                width: 30,
                height: 20
            })
        );
    }
}

#[tokio::test]
async fn a_picture_cut_anywhere_is_damaged() {
    let decoder = Decoder::new(2);

    for format in PictureFormat::ALL {
        let bytes = encoded(&gradient(64, 64), format);
        for keep in (12..bytes.len()).step_by(bytes.len() / 40 + 1) {
            let cut = bytes[..keep].to_vec();
            let got = decoder.inspect(cut).await;
            assert_eq!(
                got,
                Err(DecodeError::Damaged),
                "{format:?} cut to {keep} of {}",
                bytes.len()
            );
        }
        let cut = bytes[..bytes.len() - 1].to_vec();
        assert_eq!(decoder.prepare_input(cut).await, Err(DecodeError::Damaged));
    }
}

/// A small PNG whose header claims `side` by `side` pixels of `depth` bits, with transparency.
fn claiming(side: u32, depth: u8) -> Vec<u8> {
    let mut png = png_with_alpha(&RgbaImage::new(2, 2));
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    png[24] = depth;
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    png
}

#[tokio::test]
async fn a_header_that_claims_too_much_is_refused_before_its_pixels() {
    let decoder = Decoder::new(1);
    let mut jpeg = encoded(&gradient(2, 2), PictureFormat::Jpeg);
    let frame = jpeg
        .windows(2)
        .position(|mark| mark == b"\xff\xc0")
        .expect("a frame header");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);

    for (claim, bytes) in [
        ("sides of 60,000 in a JPEG", jpeg),
        ("sides of 60,000", claiming(60_000, 8)),
        ("56 megapixels", claiming(7_500, 8)),
        ("42 megapixels of 8 bytes", claiming(6_500, 16)),
    ] {
        let got = decoder.inspect(bytes).await;
        assert_eq!(got, Err(DecodeError::TooLarge), "{claim}");
    }
    // What is within the limits gets as far as its missing pixels.
    let got = decoder.inspect(claiming(6_500, 8)).await;
    assert_eq!(got, Err(DecodeError::Damaged));
}

/// A PNG with more chunks behind its header.
fn with_chunks(png: &[u8], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    const HEADER_END: usize = 33;
    let (head, rest) = png.split_at(HEADER_END);
    let mut bytes = head.to_vec();
    for (kind, data) in chunks {
        let length = u32::try_from(data.len()).expect("is short");
        let content = [kind.as_slice(), data].concat();
        bytes.extend(length.to_be_bytes());
        bytes.extend(&content);
        bytes.extend(crc32(&content).to_be_bytes());
    }
    [bytes.as_slice(), rest].concat()
}

/// A grey JPEG of 8 by 8 pixels in four colours, as from a printer's program: each table has one
/// code, and each colour's block is empty.
fn cmyk_jpeg() -> Vec<u8> {
    let table = |class: u8| [b"\xff\xc4\0\x14".as_slice(), &[class, 1], &[0; 15], &[0]].concat();
    let quantization = [b"\xff\xdb\0\x43\0".as_slice(), &[1; 64]].concat();
    let frame = b"\xff\xc0\0\x14\x08\0\x08\0\x08\x04\x01\x11\0\x02\x11\0\x03\x11\0\x04\x11\0";
    let scan = b"\xff\xda\0\x0e\x04\x01\0\x02\0\x03\0\x04\0\0\x3f\0";
    [
        b"\xff\xd8".as_slice(),
        &quantization,
        frame,
        &table(0x00),
        &table(0x10),
        scan,
        b"\0\xff\xd9",
    ]
    .concat()
}

#[tokio::test]
async fn pictures_of_unusual_kinds_are_opened() {
    let decoder = Decoder::new(1);
    let deep = {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgba16(8, 8)
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("is encoded");
        bytes.into_inner()
    };
    let png = encoded(&gradient(8, 8), PictureFormat::Png);
    // Two frames are announced; the first one is what counts.
    let frame = [
        [0; 4],
        [0, 0, 0, 8],
        [0, 0, 0, 8],
        [0; 4],
        [0; 4],
        [0, 1, 0, 1],
    ]
    .concat();
    let frame = [frame.as_slice(), &[0, 0]].concat();
    let animated = with_chunks(
        &png,
        &[(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), (b"fcTL", &frame)],
    );

    for (kind, bytes) in [
        ("16 bits", deep),
        ("CMYK", cmyk_jpeg()),
        ("animated", animated),
    ] {
        let jpeg = decoder.prepare_input(bytes).await;
        let jpeg = jpeg.unwrap_or_else(|error| panic!("{kind}: {error}")).jpeg;
        assert_eq!(opened(&jpeg).dimensions(), (8, 8), "{kind}");
    }
}

#[tokio::test]
async fn metadata_that_is_a_trap_turns_nothing_and_costs_nothing() {
    let decoder = Decoder::new(1);
    let jpeg = encoded(&gradient(8, 8), PictureFormat::Jpeg);
    let png = encoded(&gradient(8, 8), PictureFormat::Png);
    // The directory has 65,535 entries, each followed by the directory itself.
    let endless = b"MM\0\x2a\0\0\0\x08\xff\xff\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\x08";
    let crowded = (0..150).fold(jpeg, |jpeg, _| {
        let filler = [b"\xff\xe1\xff\xff".as_slice(), &vec![b'E'; 65_533]].concat();
        [&jpeg[..2], &filler, &jpeg[2..]].concat()
    });

    for (trap, bytes) in [
        ("endless EXIF", with_chunks(&png, &[(b"eXIf", endless)])),
        ("no EXIF at all", with_chunks(&png, &[(b"eXIf", b"")])),
        ("10 MB of segments", crowded),
        (
            "a profile that is none",
            with_chunks(&png, &[(b"iCCP", b"x\0\0not zlib")]),
        ),
    ] {
        let prepared = decoder.prepare_input(bytes).await;
        let prepared = prepared
            .unwrap_or_else(|error| panic!("{trap}: {error}"))
            .jpeg;
        assert_eq!(opened(&prepared).dimensions(), (8, 8), "{trap}");
        assert!(prepared.len() < 2000, "{trap}: {}", prepared.len());
    }
}

/// The checksum of a PNG chunk, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

#[tokio::test]
async fn an_input_is_shrunk_to_1024_and_never_enlarged() {
    let decoder = Decoder::new(2);
    for (from, to) in [
        ((5000, 1250), (1024, 256)),
        ((2048, 1024), (1024, 512)),
        ((300, 1500), (205, 1024)),
        ((1024, 7), (1024, 7)),
        ((40, 30), (40, 30)),
    ] {
        let png = encoded(&gradient(from.0, from.1), PictureFormat::Png);

        let upright = decoder.prepare_input(png).await.expect("is prepared");

        assert_eq!(
            PictureFormat::sniff(&upright.jpeg),
            Some(PictureFormat::Jpeg)
        );
        assert_eq!(opened(&upright.jpeg).dimensions(), to);
        assert_eq!((upright.width, upright.height), to);
    }
}

#[tokio::test]
async fn a_part_is_cut_out_and_has_at_least_one_pixel() {
    let decoder = Decoder::new(1);
    let check = async |top, left, bottom, right, expected| {
        let png = encoded(&gradient(200, 100), PictureFormat::Png);
        let cut = Cut {
            top,
            left,
            bottom,
            right,
        };
        let part = decoder.cut_out(png, cut).await.expect("is cut out");
        assert_eq!(opened(&part.jpeg).dimensions(), expected);
        assert_eq!((part.width, part.height), expected);
    };

    check(0, 0, 1000, 1000, (200, 100)).await;
    check(100, 400, 300, 600, (40, 20)).await;
    check(1000, 1000, 1000, 1000, (1, 1)).await;
    check(900, 500, 2000, 400, (1, 10)).await;
}

#[tokio::test]
async fn an_input_stands_upright_and_loses_its_metadata() {
    // Orientation 6: to be turned by 90 degrees clockwise for viewing.
    let lying = encoded(&gradient(60, 40), PictureFormat::Jpeg);
    let lying = with_exif(&lying, 6);

    let prepared = Decoder::new(1)
        .prepare_input(lying)
        .await
        .expect("is prepared");
    assert_eq!((prepared.width, prepared.height), (40, 60));
    let jpeg = prepared.jpeg;

    assert!(!jpeg.windows(4).any(|bytes| bytes == b"Exif"));
    let upright = opened(&jpeg);
    assert_eq!(upright.dimensions(), (40, 60));
    // The left lower corner of the lying picture is the left upper one of the upright.
    assert_near(*upright.get_pixel(0, 0), [0, 250, 128]);
    assert_near(*upright.get_pixel(39, 0), [0, 0, 128]);
}

#[tokio::test]
async fn a_webp_turns_by_its_exif_too() {
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
    encoder.set_exif_metadata(exif(8)).expect("is taken");
    encoder
        .encode(&gradient(6, 4), 6, 4, ExtendedColorType::Rgb8)
        .expect("is encoded");

    let upright = Decoder::new(1).prepare_input(bytes).await.expect("works");

    assert_eq!((upright.width, upright.height), (4, 6));
    assert_eq!(opened(&upright.jpeg).dimensions(), (4, 6));
}

#[tokio::test]
async fn transparency_becomes_white_paper() {
    let picture = RgbaImage::from_fn(48, 16, |x, _| match x / 16 {
        // Hidden colour must stay hidden.
        0 => Rgba([255, 0, 0, 0]),
        1 => Rgba([0, 0, 0, 128]),
        _ => Rgba([0, 0, 255, 255]),
    });

    let prepared = Decoder::new(1)
        .prepare_input(png_with_alpha(&picture))
        .await
        .expect("is prepared");

    let flat = opened(&prepared.jpeg);
    assert_near(*flat.get_pixel(4, 8), [255, 255, 255]);
    assert_near(*flat.get_pixel(24, 8), [127, 127, 127]);
    assert_near(*flat.get_pixel(44, 8), [0, 0, 255]);
}

#[tokio::test]
async fn what_is_no_picture_is_refused_by_name() {
    let decoder = Decoder::new(1);

    assert_eq!(
        decoder
            .inspect(b"\0\0\0\x18ftypheic\0\0\0\0".as_slice())
            .await,
        Err(DecodeError::NotAPicture(NotAPicture::Foreign("HEIC")))
    );
    let failure = Failure::from(decoder.prepare_input("<html>").await.expect_err("refused"));
    assert_eq!(failure.code, "invalid_input_image");
}

#[tokio::test]
async fn a_caller_who_leaves_keeps_its_turn_until_the_thread_ends() {
    let decoder = Decoder::new(1);
    let (started, is_started) = tokio::sync::oneshot::channel();
    let (end, may_end) = std::sync::mpsc::channel::<()>();
    let caller = tokio::spawn({
        let decoder = decoder.clone();
        async move {
            decoder
                .run(move || {
                    started.send(()).expect("is awaited");
                    may_end.recv().expect("is told");
                    Ok(())
                })
                .await
        }
    });
    is_started.await.expect("has started");

    caller.abort();
    caller.await.expect_err("is aborted");

    assert_eq!(decoder.turns.available_permits(), 0);
    end.send(()).expect("still runs");
    decoder.run(|| Ok(())).await.expect("the turn came back");
}

#[tokio::test]
async fn a_decoder_that_panics_is_a_damaged_picture() {
    let decoder = Decoder::new(1);

    let got = decoder.run::<()>(|| panic!("on purpose")).await;

    assert_eq!(got, Err(DecodeError::Damaged));
    decoder.run(|| Ok(())).await.expect("the turn came back");
}
