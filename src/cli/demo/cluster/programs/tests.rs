use super::*;

#[test]
fn the_major_version_is_the_first_number() {
    let check = |text, expected| assert_eq!(major(text), expected, "{text}");

    check(
        "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
        Some(15),
    );
    check("postgres (PostgreSQL) 18beta1", Some(18));
    check("postgres (PostgreSQL) 9.6.24", Some(9));
    check("16", Some(16));
    check("postgres (PostgreSQL)", None);
    check("", None);
}

#[test]
fn the_newest_of_several_versions_comes_first() {
    let versions = ["9.6", "15", "common", "16"].map(|name| Path::new("/pg").join(name));

    let folders = newest_first(versions.to_vec());

    assert_eq!(
        folders,
        ["/pg/16/bin", "/pg/15/bin", "/pg/9.6/bin", "/pg/common/bin"].map(PathBuf::from)
    );
}
