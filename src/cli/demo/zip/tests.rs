use std::io::Read;

use tempfile::TempDir;
use zip::ZipArchive;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand more";
const JPEG: &[u8] = b"\xff\xd8\xffand more";

fn entry(folder: &TempDir, job: JobId, index: i32, bytes: &[u8]) -> Entry {
    // Named as another program might have named it.
    let file = folder.path().join(format!("{job}-{index}.webp"));
    fs::write(&file, bytes).unwrap();
    Entry { job, index, file }
}

#[test]
fn photos_are_packed_in_order_and_named_by_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.zip");
    let entries = [
        entry(&folder, 1, 1, PNG),
        entry(&folder, 1, 3, JPEG),
        entry(&folder, 2, 1, PNG),
    ];

    let packed = write(&path, &entries).unwrap();

    assert_eq!(packed.photos, 3);
    assert_eq!(
        u64::try_from(packed.bytes).unwrap(),
        fs::metadata(&path).unwrap().len()
    );
    let mut zip = ZipArchive::new(File::open(&path).unwrap()).unwrap();
    let names: Vec<String> = zip
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "job-1/image-1.png",
            "job-1/image-3.jpg",
            "job-2/image-1.png"
        ]
    );
    let mut bytes = Vec::new();
    let mut second = zip.by_name("job-1/image-3.jpg").unwrap();
    second.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, JPEG);
    assert_eq!(second.compression(), CompressionMethod::Stored);
}

#[test]
fn a_photo_that_is_gone_leaves_the_old_zip_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.zip");
    fs::write(&path, "old").unwrap();
    let mut gone = entry(&folder, 1, 1, PNG);
    gone.file = folder.path().join("gone.png");

    let error = write(&path, &[gone]).unwrap_err().to_string();

    assert!(error.contains("gone.png"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert!(!path.with_extension("zip.tmp").exists());
}

#[test]
fn what_is_no_picture_is_not_packed() {
    let folder = tempfile::tempdir().unwrap();
    let text = entry(&folder, 1, 1, b"a text");

    let error = write(&folder.path().join("photos.zip"), &[text]).unwrap_err();

    assert!(
        error.to_string().contains("not a JPEG, PNG or WebP"),
        "{error}"
    );
}
