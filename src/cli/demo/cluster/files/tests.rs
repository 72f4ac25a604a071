use super::*;

#[test]
fn what_went_wrong_is_found_in_a_log() {
    let check = |log, expected| assert_eq!(last_words(log), expected, "{log}");

    check(
        "LOG:  starting\nFATAL:  no space\nHINT:  make some\n\n",
        "FATAL:  no space",
    );
    check(
        "initdb: error: invalid locale name \"C.UTF-8\"\n",
        "initdb: error: invalid locale name \"C.UTF-8\"",
    );
    check("one\ntwo\n", "two");
    check("", "it said nothing");
}

#[test]
fn a_folder_that_somebody_else_put_there_is_not_used() {
    let parent = tempfile::tempdir().unwrap();
    let target = tempfile::tempdir().unwrap();
    let dir = Path::new("/root/safelight-demo");
    let trap = parent.path().join(format!("safelight-demo-{}", key(dir)));
    std::os::unix::fs::symlink(target.path(), &trap).unwrap();

    let refused = folder_of_root(parent.path(), dir);

    assert!(matches!(refused, Err(ClusterError::NotOurs(path)) if path == trap));
}
