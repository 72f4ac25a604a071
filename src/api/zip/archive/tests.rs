use std::collections::HashMap;

use zip::ZipArchive;

use super::*;

/// One entry by the length of its name and of its picture.
fn entry(number: usize, name: usize, bytes: u64) -> Entry {
    Entry {
        name: format!("{number:0name$}.png"),
        key: ObjectKey::parse(&format!("none/{number}.png")).expect("a key"),
        bytes,
    }
}

fn entries(lengths: &[(usize, u64)]) -> Vec<Entry> {
    let numbered = lengths.iter().enumerate();
    numbered
        .map(|(number, &(name, bytes))| entry(number + 1, name, bytes))
        .collect()
}

/// As many bytes as the entry has, different for each.
fn pictures(entries: &[Entry]) -> HashMap<ObjectKey, Vec<u8>> {
    let picture = |(number, entry): (usize, &Entry)| {
        let length = usize::try_from(entry.bytes).expect("fits");
        let byte = u8::try_from(number % 251).expect("fits");
        (entry.key.clone(), vec![byte; length])
    };
    entries.iter().enumerate().map(picture).collect()
}

fn written(entries: &[Entry], pictures: &HashMap<ObjectKey, Vec<u8>>) -> io::Result<Vec<u8>> {
    write(Vec::new(), entries, |key| {
        let picture = pictures.get(key).ok_or(io::ErrorKind::NotFound)?;
        Ok(picture.as_slice())
    })
}

#[test]
fn the_length_is_known_before() {
    let check = |lengths: &[(usize, u64)]| {
        let entries = entries(lengths);
        let archive = written(&entries, &pictures(&entries)).expect("is written");
        assert_eq!(size(&entries), archive.len() as u64, "{lengths:?}");
    };

    check(&[]);
    check(&[(1, 1)]);
    check(&[(1, 0), (200, 70_000), (9, 64 * 1024), (30, 3)]);
    check(&[(7, 12_345); 100]);
}

/// Counts, and keeps nothing.
struct Scale(u64);

impl Write for Scale {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Offsets and lengths of 64 bits, and more entries than the short form of the end can count.
#[test]
fn the_length_is_known_before_also_of_huge_archives() {
    let check = |lengths: &[(usize, u64)]| {
        let entries = entries(lengths);
        let length = |key: &ObjectKey| {
            let number = key.as_str().trim_matches(|c: char| !c.is_ascii_digit());
            let number: usize = number.parse().expect("a number");
            Ok(io::repeat(0).take(lengths[number - 1].1))
        };
        let scale = write(Scale(0), &entries, length).expect("is written");
        assert_eq!(size(&entries), scale.0, "{} entries", lengths.len());
    };

    check(&vec![(6, 1); 65_535]);
    check(&vec![(6, 1); 65_536]);
    check(&[(5, LARGE), (5, 3)]);
    check(&[(5, LARGE - 100), (5, 3), (5, 4)]);
}

#[test]
fn an_archive_holds_the_pictures_and_is_the_same_at_any_time() {
    let entries = entries(&[(3, 100_000), (8, 1), (12, 5000)]);
    let pictures = pictures(&entries);

    let bytes = written(&entries, &pictures).expect("is written");

    assert_eq!(bytes, written(&entries, &pictures).expect("is written"));
    let mut archive = ZipArchive::new(io::Cursor::new(bytes)).expect("an archive");
    assert_eq!(archive.len(), entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let mut file = archive.by_index(index).expect("an entry");
        let mut picture = Vec::new();
        file.read_to_end(&mut picture).expect("is whole");
        assert_eq!(file.name().expect("a name"), entry.name);
        assert_eq!(file.compression(), CompressionMethod::Stored);
        assert_eq!(picture, pictures[&entry.key]);
    }
}

/// What comes through although the archive failed.
fn remains(entries: &[Entry], pictures: &HashMap<ObjectKey, Vec<u8>>) -> Vec<u8> {
    let mut sink = Vec::new();
    let result = write(&mut sink, entries, |key| {
        let picture = pictures.get(key).ok_or(io::ErrorKind::NotFound)?;
        Ok(picture.as_slice())
    });
    assert!(result.is_err());
    sink
}

#[test]
fn what_was_written_before_a_failure_is_no_archive() {
    let entries = entries(&[(3, 1000), (3, 1000)]);
    let whole = pictures(&entries);
    let check = |pictures: &HashMap<ObjectKey, Vec<u8>>| {
        let bytes = remains(&entries, pictures);
        assert!(bytes.len() > 1000, "the first picture was written");
        assert!(ZipArchive::new(io::Cursor::new(bytes)).is_err());
    };
    let second = &entries[1].key;

    let mut gone = whole.clone();
    gone.remove(second);
    check(&gone);
    let mut shorter = whole.clone();
    shorter.insert(second.clone(), vec![1; 999]);
    check(&shorter);
    let mut longer = whole;
    longer.insert(second.clone(), vec![1; 1001]);
    check(&longer);
}
