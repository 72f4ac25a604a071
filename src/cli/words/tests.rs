use super::*;

#[test]
fn an_excerpt_fits_into_its_cells() {
    let check = |text: &str, cells: usize, expected: &str| {
        let excerpt = excerpt(text, cells);
        assert_eq!(excerpt, expected);
        assert!(width(&excerpt) <= cells, "{excerpt}");
    };

    check("a red bicycle", 13, "a red bicycle");
    check("a red bicycle", 12, "a red bicyc…");
    check("a red bicycle", 7, "a red…");
    check("  two\n\tlines ", 20, "two lines");
    check("红色自行车", 10, "红色自行车");
    check("红色自行车", 8, "红色自…");
    check("cafe\u{301}", 4, "cafe\u{301}");
    check("", 5, "");
}

#[test]
fn a_text_cannot_steer_the_terminal() {
    assert_eq!(one_line("a\u{1b}[2Jb\r\nc\u{7}"), "a [2Jb c");
    assert_eq!(one_line("a\u{202e}b"), "a b");
}

#[test]
fn one_is_not_many() {
    assert_eq!(count(0, "job"), "0 jobs");
    assert_eq!(count(1, "job"), "1 job");
    assert_eq!(count(2, "image"), "2 images");
}

#[test]
fn a_tally_follows_the_life_of_a_job() {
    let statuses = [Status::Failed, Status::Pending, Status::Failed];

    assert_eq!(tally(statuses.into_iter()), "1 pending, 2 failed");
    assert_eq!(tally([].into_iter()), "");
}

#[test]
fn a_size_is_short() {
    let check = |bytes: i64, expected: &str| assert_eq!(size(bytes), expected);

    check(0, "0 B");
    check(999, "999 B");
    check(48_200, "48 kB");
    check(1_499_999, "1.4 MB");
    check(12_000_000, "12.0 MB");
    check(999_999_999, "999.9 MB");
    check(61_249_000_000, "61.2 GB");
}
